"""Work products: a sheet's reading and crops, kept until they are stored and confirmed.

They appear together or not at all: written into a folder of another name, then renamed. They are
not synced to the disk one by one, because they can be made again: their digests stand in the
reading, and what a power cut spoiled is found out when it is used. What a review has changed is
kept beside what was read, so that the reading that the person saw outlives every kill.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from sheetflow import __version__
from sheetflow.custody.files import sync_folder, translated_errors
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, work_folder
from sheetflow.reading import SheetReading
from sheetflow.review.applying import apply
from sheetflow.review.decisions import Review
from sheetflow.sheets import CropFile, ProcessedSheet, Sheet
from sheetflow.vision.crops import Crop

_RESULT = "result"
_REVIEWED = "reviewed"
_READING = "reading.json"
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


def save_result(
    folders: Folders,
    sheet: Sheet,
    reading: SheetReading,
    crops: Sequence[Crop],
    *,
    as_read: SheetReading | None = None,
    review: Review | None = None,
) -> ProcessedSheet:
    """Keep what processing gave, and return it as it is kept.

    Args:
        folders: Where work products go.
        sheet: The staged sheet.
        reading: What is to be stored: what was read, and what a review decided about it.
        crops: One for each of `reading.pairs`, in that order.
        as_read: What was read, where a review has changed it.
        review: The review whose decisions were applied, if there was one.
    """
    final = work_folder(folders, sheet.sha256) / _name(review)
    draft = final.with_name(f"{final.name}.part")
    with translated_errors(sheet.path):
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        files = [_write_crop(draft, index, crop) for index, crop in enumerate(crops)]
        value = {
            "sheetflow_version": __version__,
            "reading": reading.to_json(),
            "as_read": (as_read or reading).to_json(),
            "review": review.id if review is not None else None,
            "crops": files,
        }
        (draft / _READING).write_text(json.dumps(value))
        shutil.rmtree(final, ignore_errors=True)
        draft.rename(final)
        sync_folder(final.parent)
    return ProcessedSheet(sheet, reading, _crop_files(final, files))


def load_result(folders: Folders, sheet: Sheet) -> ProcessedSheet | None:
    """Return what an earlier run's processing gave, None if there is nothing usable.

    What was made before the sheet's last review is not.
    """
    entry = load_entry(folders, sheet.sha256)
    review = entry.review if entry is not None else None
    folder = work_folder(folders, sheet.sha256) / _name(review)
    try:
        value = json.loads((folder / _READING).read_text())
        if folder.name == _REVIEWED and review is not None and value["review"] != review.id:
            return None
        reading = SheetReading.from_json(value["reading"])
        crops = _crop_files(folder, value["crops"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never made, or spoiled by a power cut: it is made again
    # A crop that is gone would be found out by the upload, one attempt too late.
    whole = len(crops) == len(reading.pairs) and all(crop.path.is_file() for crop in crops)
    return ProcessedSheet(sheet, reading, crops) if whole else None


def load_reading(folders: Folders, sha256: str) -> SheetReading | None:
    """Return what was read on a sheet, untouched by any review; None if that is not kept."""
    for name in (_RESULT, _REVIEWED):
        try:
            value = json.loads((work_folder(folders, sha256) / name / _READING).read_text())
            return SheetReading.from_json(value["as_read"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # read again after a review, a sheet has the second alone
    return None


def lines_to_store(folders: Folders, sheet: Sheet) -> dict[str, str | None] | None:
    """Return the codes that a sheet is to store, each with the digest of its picture.

    The digest is None where a review has made a pair whose picture the next run is to cut.

    Returns:
        None if nothing that was read on the sheet is kept.
    """
    reading = load_reading(folders, sheet.sha256)
    if reading is None:
        return None
    cut = {}
    for name in (_RESULT, _REVIEWED):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            value = json.loads((work_folder(folders, sheet.sha256) / name / _READING).read_text())
            pairs = SheetReading.from_json(value["reading"]).pairs
            for pair, file in zip(pairs, value["crops"], strict=True):
                cut[pair.code, pair.picture_quad] = str(file["sha256"])
    entry = load_entry(folders, sheet.sha256)
    review = entry.review if entry is not None else None
    decided = apply(reading, review.decisions if review is not None else ())
    return {pair.code: cut.get((pair.code, pair.picture_quad)) for pair in decided.pairs}


def discard_result(folders: Folders, sheet: Sheet) -> None:
    """Throw a sheet's work products away, so that it is processed again."""
    for name in (_RESULT, _REVIEWED):
        shutil.rmtree(work_folder(folders, sheet.sha256) / name, ignore_errors=True)


def _name(review: Review | None) -> str:
    return _REVIEWED if review is not None and review.decisions else _RESULT


def _write_crop(folder: Path, index: int, crop: Crop) -> dict[str, object]:
    name = f"{index:04d}{_SUFFIXES.get(crop.media_type, '')}"
    (folder / name).write_bytes(crop.image_bytes)
    return {
        "name": name,
        "sha256": crop.sha256,
        "media_type": crop.media_type,
        "size_px": list(crop.size_px),
    }


def _crop_files(folder: Path, files: Sequence[dict[str, object]]) -> tuple[CropFile, ...]:
    return tuple(
        CropFile(
            path=folder / str(file["name"]),
            sha256=str(file["sha256"]),
            media_type=str(file["media_type"]),
            size_px=tuple(file["size_px"]),  # type: ignore[arg-type]  # JSON's list of two
        )
        for file in files
    )
