"""Score the reader on sheets with a truth.json, or on photographs of single codes.

    python benchmarks/recognition.py DIR [--json]
    python benchmarks/recognition.py --drawn SEED COUNT [--level LEVEL] [--json]

A folder with a `truth.json` is a set of sheets, scored level by level. Any other folder is a tree
of photographs, `x.webp` (or .png, .jpg) with the expected text in `x.txt`, scored by symbology,
beside plain pyzbar and plain zxing-cpp on the same files. With `--drawn`, sheets of all layouts are
drawn at random by sheetflow's own generator, the same ones for the same seed, and scored; with
`--level` (or `--level all`) they are captured as a scanner, a copier or a phone would. With
`--faults DIR`, an overlay of each imperfect sheet is left there.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import zxingcpp
from numpy.typing import NDArray
from pyzbar import pyzbar

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.levels import LEVELS, sheets_at
from sheetflow.errors import SheetRejected
from sheetflow.isolation import keep_memory
from sheetflow.reading import SheetReading
from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import sheet_bytes
from sheetflow.samples.spec import Frame, LabelSide, PictureStyle, SheetSpec
from sheetflow.vision.barcodes import decode_label
from sheetflow.vision.geometry import Quad
from sheetflow.vision.images import SheetImage, load_image
from sheetflow.vision.overlay import draw_overlay
from sheetflow.vision.pages import SheetFile
from sheetflow.vision.recognition import read_sheet

RETAIL_FOLDERS = ("ean", "upc", "code128", "code39", "itf", "qrcode")
NO_CODE_FOLDERS = ("falsepositives",)
GOOD_CUT = 0.8
SAME_PICTURE = 0.5

_SIDES: tuple[LabelSide, ...] = ("below", "above", "left", "right")
_FRAMES: tuple[Frame, ...] = ("none", "cell", "card")
_PICTURES: tuple[PictureStyle, ...] = get_args(PictureStyle)
_MIXES = (("EAN13",), ("QR",), ("EAN13", "CODE128", "QR"), ("CODE128",), ("EAN8", "UPCA"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that fits the folder and print its table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", help="sheets with a truth.json, or photographs of codes"
    )
    parser.add_argument(
        "--drawn", type=int, nargs=2, metavar=("SEED", "COUNT"), help="draw the sheets"
    )
    parser.add_argument("--level", choices=[*LEVELS, "all"], help="capture the drawn sheets so")
    parser.add_argument("--faults", type=Path, help="where to leave overlays of imperfect sheets")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)  # CPU seconds of one core, as the flows use it
    keep_memory()  # as a run's readers do
    if (options.folder is None) == (options.drawn is None):
        parser.error("name a folder, or a seed and a count of sheets to draw")
    if options.faults is not None:
        options.faults.mkdir(parents=True, exist_ok=True)
    if options.level is not None and options.drawn is not None:
        levels = LEVELS if options.level == "all" else (options.level,)
        scores = score_levels(*options.drawn, levels=levels, faults=options.faults)
    elif options.drawn is not None:
        scores = score_drawn(*options.drawn, faults=options.faults)
    elif (options.folder / "truth.json").is_file():
        scores = score_sheets(options.folder, faults=options.faults)
    else:
        scores = score_codes(options.folder)
    if options.json:
        print(json.dumps(scores, indent=1))
    else:
        _print_table(scores)
    return 0 if scores else 1


def score_sheets(folder: Path, *, faults: Path | None = None) -> dict[str, dict[str, float]]:
    """Return each level's scores for the sheets of a folder."""
    counts: dict[str, Counter[str]] = {}
    for truth in json.loads((folder / "truth.json").read_bytes())["sheets"]:
        data = (folder / truth["file"]).read_bytes()
        counts.setdefault(truth["level"], Counter()).update(_score(truth, data, faults=faults))
    return {level: _level_scores(count) for level, count in counts.items()}


def score_levels(
    seed: int, count: int, *, levels: Sequence[str], faults: Path | None = None
) -> dict[str, dict[str, float]]:
    """Return each level's scores for sheets drawn and captured at random."""
    counts = {level: Counter[str]() for level in levels}
    for level in levels:
        for data, truth, is_lacking in islice(sheets_at(level, seed), count):
            truth["file"] = f"{level}-{seed}-{counts[level]['sheets']:02d}"
            counts[level].update(_score(truth, data, is_spoilt=is_lacking, faults=faults))
    return {level: _level_scores(count) for level, count in counts.items()}


def score_drawn(
    seed: int, count: int, *, faults: Path | None = None
) -> dict[str, dict[str, float]]:
    """Return the scores of sheets drawn at random; the same seed draws the same sheets."""
    chance = random.Random(seed)  # noqa: S311 - no secret, but a series that can be repeated
    counts: Counter[str] = Counter()
    while counts["sheets"] < count:
        spec = _random_spec(chance)
        try:
            drawn = draw_sheet(spec)
        except ValueError:  # no room for such codes in such cells
            continue
        lacking = spec.scribbled_codes
        truth = {**drawn.truth, "file": f"drawn-{seed}-{counts['sheets']:02d}"}
        data = sheet_bytes(drawn, spec)
        counts.update(_score(truth, data, is_spoilt=bool(lacking), faults=faults))
    return {f"drawn, seed {seed}": _level_scores(counts)}


def _random_spec(chance: random.Random) -> SheetSpec:
    spec = SheetSpec(
        seed=chance.randrange(10**6),
        page=chance.choice(["A4", "A5", "Letter"]),
        dpi=chance.choice([150, 200, 300]),
        rows=chance.randint(1, 6),
        columns=chance.randint(1, 5),
        label_side=chance.choice(_SIDES),
        frame=chance.choice(_FRAMES),
        pictures=chance.choice(_PICTURES),
        symbologies=chance.choice(_MIXES),
        header=chance.random() < 0.6,
        footer=chance.random() < 0.6,
        captions=chance.random() < 0.6,
        prices=chance.random() < 0.6,
        digits=chance.random() < 0.7,
        skew_deg=chance.choice([0, 0, 0.5, -1.2]),
        noise=chance.choice([0, 0, 2, 4]),
    )
    if chance.random() < 0.3:
        spoilt = frozenset({chance.randrange(spec.cell_count)})
        return replace(spec, scribbled_codes=spoilt)
    return spec


def _score(
    truth: Mapping[str, Any],
    data: bytes,
    *,
    is_spoilt: bool = False,
    faults: Path | None = None,
) -> Counter[str]:
    start = time.process_time()
    image = SheetFile(data, sheet=truth["file"]).page(truth.get("page", 1))
    reading = read_sheet(image)
    seconds = time.process_time() - start
    counts = _sheet_counts(truth, reading, seconds, is_spoilt=is_spoilt)
    is_fault = not counts["perfect"] or counts["silent"] or counts["needless"]
    if faults is not None and is_fault:
        _leave_overlay(faults, Path(truth["file"]).stem, image, reading, counts)
    return counts


def _leave_overlay(
    faults: Path, name: str, image: SheetImage, reading: SheetReading, counts: Mapping[str, int]
) -> None:
    (faults / f"{name}.png").write_bytes(draw_overlay(image, reading))
    told = [f"{key} {value}" for key, value in counts.items()]
    (faults / f"{name}.txt").write_text("\n".join([", ".join(told), *reading.doubts, ""]))


def _sheet_counts(
    truth: Mapping[str, Any], reading: SheetReading, seconds: float, *, is_spoilt: bool
) -> Counter[str]:
    items = truth["items"]
    codes = Counter(item["code"]["text"] for item in items if item["code"])
    pictures = [item["picture"]["quad"] for item in items if item["picture"]]
    wanted = [
        (item["code"]["text"], item["picture"]["quad"])
        for item in items
        if item["code"] and item["picture"]
    ]
    read = Counter([pair.code for pair in reading.pairs])
    read.update(symbol.payload for symbol in reading.unpaired_symbols)
    cuts = [pair.picture_quad for pair in reading.pairs]
    cuts += [picture.quad for picture in reading.unpaired_pictures]
    well_cut = sum(
        max((_overlap(quad, cut) for cut in cuts), default=0.0) > GOOD_CUT for quad in pictures
    )
    right = _right_pairs(wanted, reading)
    is_right = right == len(wanted) == len(reading.pairs)
    lacks = is_spoilt or len(wanted) < len(items) or len(codes) < codes.total()
    return Counter(
        sheets=1,
        codes=codes.total(),
        codes_read=(codes & read).total(),
        codes_wrong=(read - codes).total(),
        pictures=len(pictures),
        pictures_well_cut=well_cut,
        pairs=len(wanted),
        pairs_right=right,
        perfect=int(is_right and well_cut == len(pictures) and not read - codes),
        silent=int(not is_right and not reading.needs_review),
        complete=int(is_right and not lacks),
        needless=int(is_right and not lacks and reading.needs_review),
        cpu_ms=round(1000 * seconds),
    )


def _right_pairs(wanted: Sequence[tuple[str, Quad]], reading: SheetReading) -> int:
    left = list(reading.pairs)
    right = 0
    for code, quad in wanted:
        for pair in left:
            if pair.code == code and _overlap(quad, pair.picture_quad) > SAME_PICTURE:
                left.remove(pair)
                right += 1
                break
    return right


def _overlap(first: Quad, second: Quad) -> float:
    """Return the intersection over union of two quads."""
    hulls = [cv2.convexHull(np.asarray(quad, np.float32)) for quad in (first, second)]
    common, _ = cv2.intersectConvexConvex(hulls[0], hulls[1])
    joint = cv2.contourArea(hulls[0]) + cv2.contourArea(hulls[1]) - common
    return float(common / joint) if joint > 0 else 0.0


def _level_scores(count: Counter[str]) -> dict[str, float]:
    def share(part: str, whole: str) -> float:
        return round(count[part] / count[whole], 4) if count[whole] else 1.0

    return {
        "sheets": count["sheets"],
        "code_recall": share("codes_read", "codes"),
        "wrong_codes": count["codes_wrong"],
        "well_cut": share("pictures_well_cut", "pictures"),
        "right_pairs": share("pairs_right", "pairs"),
        "perfect": share("perfect", "sheets"),
        "silent_faults": count["silent"],
        "needless_flags": share("needless", "complete") if count["complete"] else 0.0,
        "cpu_s": round(count["cpu_ms"] / 1000 / max(count["sheets"], 1), 2),
    }


def score_codes(folder: Path) -> dict[str, dict[str, float]]:
    """Return each symbology's scores for a tree of photographs, reader by reader."""
    counts: dict[str, Counter[str]] = {}
    for kind, expected, luminance in _photographs(folder):
        count = counts.setdefault(kind, Counter())
        count["n"] += 1
        for name, read in _READERS.items():
            start = time.process_time()
            texts = {_canonical(text) for text in read(luminance)}
            count[f"{name}_ms"] += round(1000 * (time.process_time() - start))
            is_right = expected is not None and expected in texts
            count[name] += int(is_right)
            count[f"{name}_wrong"] += int(bool(texts - {expected}))
    return {kind: dict(count) for kind, count in sorted(counts.items())}


def _photographs(folder: Path) -> Iterator[tuple[str, str | None, NDArray[np.uint8]]]:
    for path in sorted(folder.rglob("*")):
        kind = path.parent.name.rpartition("-")[0]
        if path.suffix.lower() not in (".webp", ".png", ".jpg", ".jpeg"):
            continue
        if not kind.startswith((*RETAIL_FOLDERS, *NO_CODE_FOLDERS)):
            continue
        try:
            luminance = load_image(path.read_bytes(), sheet=path.name).luminance
        except SheetRejected as error:
            print(error, file=sys.stderr)
            continue
        text = path.with_suffix(".txt")
        has_text = text.is_file() and not kind.startswith(NO_CODE_FOLDERS)
        yield kind, _canonical(text.read_text()) if has_text else None, luminance


def _canonical(text: str) -> str:
    """Return a text without what spellings of it differ in: line ends, and UPC-A's leading 0."""
    text = "\n".join(text.strip().splitlines())
    return text[1:] if len(text) == 13 and text.isdigit() and text.startswith("0") else text


def _plain_pyzbar(luminance: NDArray[np.uint8]) -> list[str]:
    try:
        return [found.data.decode("utf-8", "replace") for found in pyzbar.decode(luminance)]
    except ValueError:  # an orientation that pyzbar does not know
        return []


def _plain_zxing(luminance: NDArray[np.uint8]) -> list[str]:
    return [found.text for found in zxingcpp.read_barcodes(luminance)]


def _sheetflow(luminance: NDArray[np.uint8]) -> list[str]:
    return [symbol.payload for symbol in decode_label(luminance)]


_READERS: dict[str, Callable[[NDArray[np.uint8]], list[str]]] = {
    "sheetflow": _sheetflow,
    "pyzbar": _plain_pyzbar,
    "zxing": _plain_zxing,
}


def _print_table(scores: Mapping[str, Mapping[str, float]]) -> None:
    columns = sorted(
        {name for row in scores.values() for name in row}, key=_first_row(scores).index
    )
    print("| " + " | ".join(["", *columns]) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for label, row in scores.items():
        print("| " + " | ".join([label, *(f"{row.get(name, 0):g}" for name in columns)]) + " |")


def _first_row(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the columns in the order in which rows first name them."""
    return list(dict.fromkeys(name for row in scores.values() for name in row))


if __name__ == "__main__":
    sys.exit(main())
