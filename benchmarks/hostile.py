"""Hostile files by the hundred through `ingest`: no crash, no hang, each with a place and a reason.

    python benchmarks/hostile.py --files 500 --seed 1

Real sheets in every format are cut, flipped, zeroed, doubled, given false sizes, swollen with data
that unpacks to thousands of times its size, and led round in circles. Each must end in exactly one
folder: archived or held if it can still be read whole, else in quarantine with a reason.
The verdict is this file's own: it looks at folders and bytes, not at what sheetflow says.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    # name: suffix and colour mode, and how Pillow saves it; all that is admitted.
    "JPEG": ("jpg", "RGB", {}),
    "JPEG progressive": ("jpg", "L", {"progressive": True}),
    "JPEG CMYK": ("jpg", "CMYK", {"quality": 70}),
    "JPEG with another behind": ("jpg", "RGB", {"format": "MPO", "save_all": True}),
    "PNG": ("png", "RGB", {}),
    "PNG with alpha": ("png", "RGBA", {}),
    "PNG palette": ("png", "P", {"bits": 4}),
    "TIFF": ("tif", "RGB", {}),
    "TIFF fax": ("tif", "1", {"compression": "group4"}),
    "TIFF LZW": ("tif", "L", {"compression": "tiff_lzw"}),
    "TIFF JPEG": ("tif", "RGB", {"compression": "jpeg"}),
    "TIFF of two pages": ("tif", "RGB", {"compression": "tiff_deflate", "save_all": True}),
    "WEBP": ("webp", "RGB", {}),
    "WEBP lossless": ("webp", "RGBA", {"lossless": True, "method": 0}),
    "BMP": ("bmp", "RGB", {}),
    "GIF": ("gif", "P", {}),
    "GIF moving": ("gif", "P", {"save_all": True}),
    "PDF": ("pdf", "RGB", {}),
    "PDF fax of two pages": ("pdf", "1", {"save_all": True}),
}
PLACES = ("source", "images_sources", "images_old", "images_rejected")


def hostile_files(count: int, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of broken files, every kind and every way of breaking in turn."""
    from sheetflow.samples.drawing import draw_sheet
    from sheetflow.samples.spec import SheetSpec

    chance = random.Random(seed)  # noqa: S311  # for breaking files, not for secrets
    sheet = draw_sheet(SheetSpec(page="A5", dpi=100, rows=1, columns=1, frame="cell")).image
    originals = [(_encoded(sheet, kind), KINDS[kind][0]) for kind in KINDS]
    for index in range(count):
        turn, kind = divmod(index, len(originals))
        data, suffix = originals[kind]
        breaker = BREAKERS[(kind + turn) % len(BREAKERS)]
        yield f"{index:04d}-{breaker.__name__.strip('_')}.{suffix}", breaker(data, chance)


def _encoded(sheet: Image.Image, kind: str) -> bytes:
    _, mode, options = KINDS[kind]
    buffer = io.BytesIO()
    more = [sheet.convert(mode).rotate(180)] if "save_all" in options else []
    extra = {"append_images": more} if more else {}
    options = {"format": kind.split()[0], **options, **extra}
    sheet.convert("RGB").convert(mode).save(buffer, **options)
    return buffer.getvalue()


def _cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(1, len(data))]


def _flipped(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice([1, 5, 50])):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _broken_header(data: bytes, chance: random.Random) -> bytes:
    broken = bytearray(data)
    for _ in range(8):
        broken[chance.randrange(min(200, len(broken)))] = chance.randrange(256)
    return bytes(broken)


def _zeroed(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    length = min(chance.randrange(1, 5000), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def _doubled(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + data[start // 2 :]


def _noise(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(4, 40)] + chance.randbytes(chance.randrange(1, 20_000))


def _foreign(_data: bytes, chance: random.Random) -> bytes:
    heads = [
        b"%PDF-1.7\n",
        b"PK\x03\x04",
        b"\x7fELF",
        b"<svg xmlns='x'/>",
        b"%!PS-Adobe-3.0\n",
        b"\0",
    ]
    return chance.choice(heads) + chance.randbytes(500)


def _bomb(data: bytes, chance: random.Random) -> bytes:
    """Announce more pixels than any memory holds, in a file of a few hundred bytes."""
    side = chance.choice([50_000, 65_000])
    if data.startswith(b"\xff\xd8"):
        frame = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
        size = struct.pack(">HH", side, side)
        return data[: frame + 5] + size + data[frame + 9 :]
    if data.startswith((b"II*", b"MM\0*")):
        return _tiff_of(side)
    if data.startswith(b"RIFF"):
        head = b"VP8X" + struct.pack("<I", 10) + bytes(4)
        body = head + (16382).to_bytes(3, "little") * 2 + data[12:]
        return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
    if data.startswith(b"BM"):
        return data[:18] + struct.pack("<ii", side, side) + data[26:]
    if data.startswith(b"GIF"):
        return data[:6] + struct.pack("<HH", side, side) + data[10:]
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(bytes(99)))
    )


def _swollen(data: bytes, chance: random.Random) -> bytes:
    """Put into a file what unpacks to thousands of times its size, or leads round in a circle."""
    megabytes = zlib.compress(bytes(chance.choice([8, 64]) << 20), 9)
    if data.startswith(b"\x89PNG"):
        kind = chance.choice([b"iCCP", b"zTXt"])
        return data[:33] + _chunk(kind, b"x\0\0" + megabytes) + data[33:]
    if data.startswith(b"II*"):
        # The list of pages whose next one is itself.
        first = struct.unpack("<I", data[4:8])[0]
        entries = struct.unpack("<H", data[first : first + 2])[0]
        link = first + 2 + 12 * entries
        return data[:link] + struct.pack("<I", first) + data[link + 4 :]
    if data.startswith(b"\xff\xd8"):
        # EXIF whose one directory points to itself.
        exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]
    return data + megabytes


def _tiff_of(side: int) -> bytes:
    tags = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (278, side),
        (279, 99),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BREAKERS = (
    _cut,
    _flipped,
    _broken_header,
    _zeroed,
    _doubled,
    _noise,
    _bomb,
    _swollen,
    _foreign,
)


def violations(root: Path, dropped: dict[str, bytes]) -> list[str]:
    """Return what is wrong with where the dropped files are now, a sentence each."""
    found: dict[str, list[Path]] = {}
    for place in PLACES:
        for path in (root / place).iterdir():
            if path.is_file():
                found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), []).append(path)
    wrong = []
    for digest, names in _by_digest(dropped).items():
        paths = found.get(digest, [])
        places = {path.parent.name for path in paths}
        who = " and ".join(names)
        if len(paths) != len(names):
            wrong.append(f"{who} is in {[str(path) for path in paths] or 'no folder'}")
        # Of files with the same bytes one may be held for a person; the others then wait for it.
        if "source" in places and not ("images_sources" in places and len(names) > 1):
            wrong.append(f"{who} was left in the inbox")
        for path in paths:
            if path.parent.name == "images_rejected" and not _has_reason(path):
                wrong.append(f"{path.name} lies in quarantine without a reason")
    return wrong


def _by_digest(dropped: dict[str, bytes]) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, data in dropped.items():
        names.setdefault(hashlib.sha256(data).hexdigest(), []).append(name)
    return names


def _has_reason(path: Path) -> bool:
    reason = path.with_name(path.name + ".json")
    return reason.exists() and bool(json.loads(reason.read_bytes()).get("cure"))


def _failed(sheet: dict[str, Any]) -> bool:
    return sheet["state"] == "failed" or "unexpectedly" in (sheet["error"] or "")


def main() -> int:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "source").mkdir()
        dropped = dict(hostile_files(options.files, seed=options.seed))
        for name, data in dropped.items():
            (root / "source" / name).write_bytes(data)
        started = time.monotonic()
        run = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", "ingest", "--json"],
            env={**os.environ, "SHEETFLOW_ROOT": folder},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        sheets = json.loads(run.stdout)["sheets"]
        states = Counter(sheet["state"] for sheet in sheets)
        wrong = violations(root, dropped)
        # A decoder that crashed or hung: it has cost its sheet the attempt, and is worth a look.
        wrong += [f"{item['name']} failed: {item['error']}" for item in sheets if _failed(item)]
    print(f"{len(dropped)} files, {seconds:.0f} s, exit status {run.returncode}")
    for state, count in sorted(states.items()):
        print(f"  {state:<14}{count:>6}")
    print(f"violations: {len(wrong)}")
    for sentence in wrong:
        print(f"  {sentence}")
    return int(bool(wrong) or run.returncode not in (0, 1))


if __name__ == "__main__":
    sys.exit(main())
