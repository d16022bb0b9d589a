"""Hostile files by the hundred through `ingest`: no crash, no hang, each with a place and a reason.

    python benchmarks/hostile.py --files 500 --seed 1

Real sheets in every format are cut, flipped, zeroed, doubled and given false sizes. Each must end
in exactly one folder: archived or held if it can still be read whole, else in quarantine with a
reason.
The verdict is this file's own: it looks at folders and bytes, not at what sheetflow says.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

FORMATS = {"JPEG": "jpg", "PNG": "png", "TIFF": "tif", "WEBP": "webp", "BMP": "bmp", "GIF": "gif"}
PLACES = ("source", "images_sources", "images_old", "images_rejected")


def hostile_files(count: int, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Yield names and bytes of broken files, every format and every way of breaking in turn."""
    from sheetflow.samples.drawing import draw_sheet
    from sheetflow.samples.spec import SheetSpec

    chance = random.Random(seed)  # noqa: S311  # for breaking files, not for secrets
    sheet = draw_sheet(SheetSpec(page="A5", dpi=100, rows=1, columns=1, frame="cell")).image
    originals = {name: _encoded(sheet, name) for name in FORMATS}
    for index in range(count):
        kind = list(FORMATS)[index % len(FORMATS)]
        breaker = BREAKERS[(index // len(FORMATS)) % len(BREAKERS)]
        data = breaker(originals[kind], chance)
        yield f"{index:04d}-{breaker.__name__.strip('_')}.{FORMATS[kind]}", data


def _encoded(sheet: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    sheet.convert("RGB").save(buffer, kind)
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


BREAKERS = (_cut, _flipped, _broken_header, _zeroed, _doubled, _noise, _foreign)


def violations(root: Path, dropped: dict[str, bytes]) -> list[str]:
    """Return what is wrong with where the dropped files are now, a sentence each."""
    found: dict[str, list[Path]] = {}
    for place in PLACES:
        for path in (root / place).iterdir():
            if path.is_file():
                found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), []).append(path)
    wrong = []
    for name, data in dropped.items():
        places = found.get(hashlib.sha256(data).hexdigest(), [])
        if len({path.parent for path in places}) != 1:
            wrong.append(f"{name} is in {[str(path) for path in places] or 'no folder'}")
        elif places[0].parent.name == "source":
            wrong.append(f"{name} was left in the inbox")
        elif places[0].parent.name == "images_rejected":
            reason = places[0].with_name(places[0].name + ".json")
            if not reason.exists() or not json.loads(reason.read_bytes()).get("cure"):
                wrong.append(f"{name} lies in quarantine without a reason")
    return wrong


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
        states = Counter(sheet["state"] for sheet in json.loads(run.stdout)["sheets"])
        wrong = violations(root, dropped)
    print(f"{len(dropped)} files, {seconds:.0f} s, exit status {run.returncode}")
    for state, count in sorted(states.items()):
        print(f"  {state:<14}{count:>6}")
    print(f"violations: {len(wrong)}")
    for sentence in wrong:
        print(f"  {sentence}")
    return int(bool(wrong) or run.returncode not in (0, 1))


if __name__ == "__main__":
    sys.exit(main())
