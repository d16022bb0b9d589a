"""Sheets to measure with: A4 pages as they come from a scanner, and tiny ones by the thousand."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from sheetflow.samples.codes import encode
from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import save_sheet
from sheetflow.samples.spec import SheetSpec

PAIRS_A4 = 12


def a4_pages(folder: Path, *, count: int, seed: int = 1) -> list[Path]:
    """Draw A4 pages at 300 dpi with 12 pictures each, no code twice; the same for a seed."""
    specs = [
        SheetSpec(
            name=f"page-{number:05d}",
            seed=seed * 100_000 + number,
            rows=4,
            columns=3,
            dpi=300,
            frame="card",
            pictures="mixed",
            symbologies=("CODE128",),
            payloads=tuple(f"B{seed}-{number:05d}-{cell:02d}" for cell in range(PAIRS_A4)),
            theme=number,
            file_format="JPEG",
        )
        for number in range(count)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor() as pool:
        return list(pool.map(_draw, [folder] * count, specs))


def tiny_sheets(folder: Path, *, count: int, seed: int = 1) -> list[Path]:
    """Write sheets of one picture and one code, as small as can be read; no code comes twice."""
    spec = SheetSpec(
        name="tiny",
        seed=seed,
        page="A6",
        rows=1,
        columns=1,
        dpi=150,
        frame="cell",
        header=False,
        footer=False,
        symbologies=("QR",),
        payloads=(_tiny_code(seed, 0),),
    )
    drawn = draw_sheet(spec)
    folder.mkdir(parents=True, exist_ok=True)
    left, top, right, _ = map(round, drawn.truth["items"][0]["code"]["box"])
    page = cv2.imread(str(save_sheet(folder.parent, drawn, spec)), cv2.IMREAD_GRAYSCALE)
    files = []
    for number in range(count):
        # Only the code is drawn anew: to draw each page whole would take as long as to read it.
        dark = encode(_tiny_code(seed, number), "QR").dark
        scale = (right - left) // dark.shape[1]
        code = np.where(np.kron(dark, np.ones((scale, scale))), 0, 255).astype(np.uint8)
        page[top : top + code.shape[0], left : left + code.shape[1]] = code
        files.append(folder / f"tiny-{number:07d}.png")
        cv2.imwrite(str(files[-1]), page)
    return files


def _tiny_code(seed: int, number: int) -> str:
    return f"S{seed:02d}-{number:07d}"


def _draw(folder: Path, spec: SheetSpec) -> Path:
    path = folder / spec.file_name
    return path if path.exists() else save_sheet(folder, draw_sheet(spec), spec)
