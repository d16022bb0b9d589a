"""A set of catalogue pages as files: what `sheetflow samples DIR` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sheetflow.samples.spec import SheetSpec

if TYPE_CHECKING:
    from sheetflow.samples.drawing import DrawnSheet

TRUTH_NAME = "truth.json"
BOUND_SUFFIXES = {"PDF": ".pdf", "TIFF": ".tif"}

# Every kind of page that people send, each complete: a code for every picture, none twice.
_PAGES = (
    SheetSpec(
        name="home",
        rows=4,
        columns=3,
        dpi=300,
        frame="card",
        pictures="mixed",
        symbologies=("EAN13",),
        theme=0,
        file_format="JPEG",
    ),
    SheetSpec(
        name="goods",
        rows=4,
        columns=2,
        dpi=200,
        frame="cell",
        label_side="right",
        symbologies=("EAN13", "UPCA", "CODE39", "EAN8"),
        theme=2,
        file_format="PNG",
    ),
    SheetSpec(
        name="collection",
        page="A4L",
        rows=2,
        columns=4,
        dpi=250,
        label_side="above",
        pictures="bleed",
        symbologies=("QR", "CODE128"),
        theme=3,
        file_format="WEBP",
        quality=90,
    ),
    SheetSpec(
        name="trade",
        page="Letter",
        rows=5,
        columns=2,
        dpi=200,
        label_side="left",
        pictures="mixed",
        symbologies=("ITF", "CODE128", "UPCA"),
        theme=4,
        skew_deg=0.6,
        noise=2.5,
        paper=252,
        file_format="TIFF",
    ),
    SheetSpec(
        name="index",
        rows=6,
        columns=4,
        dpi=300,
        frame="cell",
        symbologies=("EAN13", "EAN8"),
        theme=1,
        file_format="JPEG",
    ),
    SheetSpec(
        name="selection",
        page="Letter",
        rows=2,
        columns=2,
        dpi=200,
        frame="card",
        pictures="bleed",
        symbologies=("QR", "EAN13"),
        theme=0,
        title="The selection",
        skew_deg=-0.4,
        noise=2.0,
        paper=251,
        file_format="JPEG",
        quality=90,
    ),
)


@dataclass(frozen=True)
class SampleSheet:
    """A sheet that was written, and what it shows.

    Attributes:
        path: The file.
        codes: The payloads on it, in reading order.
        pictures: How many pictures it shows.
        spec: What it was drawn from.
    """

    path: Path
    codes: tuple[str, ...]
    pictures: int
    spec: SheetSpec


def sample_specs(*, seed: int = 1, count: int = 6) -> list[SheetSpec]:
    """Return what a set of sample pages shows; no code comes twice in the whole set."""
    import numpy as np

    from sheetflow.samples.payloads import new_payload

    random = np.random.default_rng(seed)
    taken: set[str] = set()
    specs = []
    for number in range(count):
        layout = _PAGES[number % len(_PAGES)]
        payloads = tuple(
            new_payload(layout.symbologies[cell % len(layout.symbologies)], random, taken)
            for cell in range(layout.cell_count)
        )
        specs.append(
            replace(
                layout,
                name=f"{number + 1:02d}-{layout.name}",
                seed=seed * 1000 + number,
                payloads=payloads,
            )
        )
    return specs


def draw_samples(
    folder: Path,
    *,
    seed: int = 1,
    count: int = 6,
    with_truth: bool = True,
    on_sheet: Callable[[SampleSheet], None] | None = None,
) -> list[SampleSheet]:
    """Write catalogue pages, and what they show, into a folder, which is made if need be.

    Drawing the same set again changes nothing.

    Args:
        folder: Where to.
        seed: Another number gives other products, codes and prices.
        count: How many pages; the layouts come round after six.
        with_truth: Whether to write `truth.json` too; it has no business in an inbox.
        on_sheet: Called after each page, to show progress.

    Raises:
        NameTaken: A file with other content has the name of a page or of the truth.
    """
    # Pillow, numpy and zxing-cpp are needed only by those who draw.
    from sheetflow.samples.drawing import draw_sheet
    from sheetflow.samples.files import check_truth, save_sheet, save_truth

    folder.mkdir(parents=True, exist_ok=True)
    if with_truth:
        check_truth(folder / TRUTH_NAME, seed=seed, count=count)
    written, truths = [], []
    for spec in sample_specs(seed=seed, count=count):
        drawn = draw_sheet(spec)
        sheet = _sample(save_sheet(folder, drawn, spec), drawn, spec)
        written.append(sheet)
        truths.append(drawn.truth)
        if on_sheet:
            on_sheet(sheet)
    if with_truth:
        save_truth(folder / TRUTH_NAME, truths, seed=seed)
    return written


def draw_bound_samples(
    folder: Path, file_format: str, *, seed: int = 1, count: int = 6, with_truth: bool = True
) -> list[SampleSheet]:
    """Write the same pages as those of one file, a "PDF" or a "TIFF".

    In `truth.json` each bears its number as `page`. Otherwise as `draw_samples`; all pages are in
    memory at once.
    """
    from sheetflow.samples.drawing import draw_sheet
    from sheetflow.samples.files import check_truth, save_bound, save_truth

    folder.mkdir(parents=True, exist_ok=True)
    if with_truth:
        check_truth(folder / TRUTH_NAME, seed=seed, count=count)
    specs = sample_specs(seed=seed, count=count)
    pages = [draw_sheet(spec) for spec in specs]
    path = folder / f"catalogue{BOUND_SUFFIXES[file_format]}"
    save_bound(path, pages, file_format)
    if with_truth:
        for number, page in enumerate(pages, start=1):
            page.truth["file"], page.truth["page"] = path.name, number
        save_truth(folder / TRUTH_NAME, [page.truth for page in pages], seed=seed)
    return [_sample(path, page, spec) for page, spec in zip(pages, specs, strict=True)]


def _sample(path: Path, drawn: DrawnSheet, spec: SheetSpec) -> SampleSheet:
    items = drawn.truth["items"]
    codes = tuple(item["code"]["text"] for item in items if item["code"])
    pictures = sum(item["picture"] is not None for item in items)
    return SampleSheet(path, codes, pictures, spec)
