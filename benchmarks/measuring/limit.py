"""The limit: what a loop takes that does the work and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pymongo import MongoClient, UpdateOne

from benchmarks.measuring.meter import metered
from benchmarks.measuring.world import Root
from sheetflow.custody.files import digest_bytes
from sheetflow.vision.crops import cut_pictures
from sheetflow.vision.images import load_image
from sheetflow.vision.recognition import RecognitionSettings, read_sheet

_THREADS = 2


def hand_written(root: Root, files: Sequence[Path]) -> dict[str, Any]:
    """Read sheets in two threads and write the pairs of each in one go; return what it took."""
    here = root.world
    with MongoClient[dict[str, Any]](here.mongodb_uri, w="majority", journal=True) as client:
        records = client[root.database_name].codes_images
        records.create_index("code", unique=True)

        def one(path: Path) -> None:
            data = path.read_bytes()
            image = load_image(data, sheet=path.name, max_pixels=10**9)
            reading = read_sheet(image, RecognitionSettings())
            crops = cut_pictures(image, reading)
            sheet = {"name": path.name, "sha256": digest_bytes(data)}
            now = datetime.now(UTC)
            records.bulk_write(
                [
                    UpdateOne(
                        {"code": pair.code},
                        {
                            "$set": {
                                "symbology": pair.symbology,
                                "image_bytes": crop.image_bytes,
                                "image_sha256": crop.sha256,
                                "image_media_type": crop.media_type,
                                "image_size_px": list(crop.size_px),
                                "source_image": sheet,
                                "updated_at": now,
                            }
                        },
                        upsert=True,
                    )
                    for pair, crop in zip(reading.pairs, crops, strict=True)
                ],
                ordered=False,
            )

        with metered(mongod=here.mongod_pid) as meter, ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(one, files))
    return {
        "wall_s": meter.wall_s,
        "cpu_s": meter.total_cpu_s,
        **{f"{name}_s": meter.cpu_s.get(name, 0.0) for name in ("client", "mongod", "server")},
        "slowness": meter.slowness,
    }
