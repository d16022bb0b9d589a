"""`sheetflow read`: what sheetflow makes of a file, touching no folder and no database."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import json_option, known_sheets_options
from cli.tables import print_json, print_table
from sheetflow.wording import counted

if TYPE_CHECKING:
    from sheetflow.reading import SheetReading
    from sheetflow.settings import Settings
    from sheetflow.vision.geometry import Quad
    from sheetflow.vision.pages import SheetFile


@click.command()
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--overlay",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Also draw what was recognised over each sheet, as a PNG in DIR.",
)
@known_sheets_options
@json_option
def read(
    files: tuple[Path, ...], *, overlay: Path | None, as_json: bool, **known: str | int | None
) -> None:
    """Read sheets and print their pairs; nothing is moved or stored.

    Exit status 1 if a file could not be read.
    """
    from sheetflow.errors import SheetflowError
    from sheetflow.settings import load_settings

    settings = load_settings(**known)
    all_read = True
    for file in files:
        try:
            reading, seconds = _read(file, settings, overlay)
        except SheetflowError as error:
            all_read = False
            click.echo(f"sheetflow: {error}", err=True)
            if as_json:
                print_json({"file": _spelled(file), "error": str(error)})
            continue
        if as_json:
            for page in reading.page_numbers:
                print_json(_to_json(file, reading, page, seconds))
        else:
            _show(file, reading, seconds)
    sys.exit(0 if all_read else 1)


def _read(file: Path, settings: Settings, overlay: Path | None) -> tuple[SheetReading, float]:
    from sheetflow.custody.files import read_file
    from sheetflow.custody.names import shown_name
    from sheetflow.errors import UsageError
    from sheetflow.reading import joined
    from sheetflow.vision.pages import SheetFile
    from sheetflow.vision.recognition import RecognitionSettings, read_sheet

    started = time.perf_counter()
    try:
        # A path that a person names may be a link: it is theirs to follow.
        data = read_file(file.resolve())
    except FileNotFoundError:
        raise UsageError(
            "there is no such file", cure="Check the path", sheet=shown_name(str(file))
        ) from None
    sheet = SheetFile(
        data,
        sheet=shown_name(file.name),
        max_pixels=settings.max_pixels,
        max_pages=settings.max_pages,
    )
    known = RecognitionSettings.of(settings)
    images = (sheet.page(number) for number in range(1, sheet.count + 1))
    reading = joined([read_sheet(image, known) for image in images])
    seconds = time.perf_counter() - started
    if overlay is not None:
        _draw(sheet, reading, overlay / f"{file.stem}.overlay.png")
    return reading, seconds


def _draw(sheet: SheetFile, reading: SheetReading, path: Path) -> None:
    """Draw each page, into files that bear its number where there are several."""
    from sheetflow.vision.overlay import draw_overlay

    path.parent.mkdir(parents=True, exist_ok=True)
    for page in reading.page_numbers:
        drawn = path if page is None else path.with_stem(f"{path.stem}-{page}")
        drawn.write_bytes(draw_overlay(sheet.page(page or 1), reading, page=page))


def _to_json(file: Path, reading: SheetReading, page: int | None, seconds: float) -> dict[str, Any]:
    """Return what is printed of a file; of a file of several pages, of one of them."""
    size_px = reading.size_px if page is None else reading.page_sizes_px[page - 1]
    return {
        "file": _spelled(file),
        **({} if page is None else {"page": page}),
        "size_px": list(size_px),
        "pairs": [
            {
                "code": pair.code,
                "symbology": pair.symbology,
                "row": pair.row,
                "column": pair.column,
                "picture_quad": _points(pair.picture_quad),
                "symbol_quad": _points(pair.symbol_quad),
                "confidence": round(pair.confidence, 3),
            }
            for pair in reading.pairs
            if pair.page == page
        ],
        "unpaired_pictures": [
            _points(picture.quad) for picture in reading.unpaired_pictures if picture.page == page
        ],
        "unpaired_symbols": [
            {"code": symbol.payload, "symbology": symbol.symbology, "quad": _points(symbol.quad)}
            for symbol in reading.unpaired_symbols
            if symbol.page == page
        ],
        "discards": [
            {"quad": _points(discard.quad), "reason": discard.reason}
            for discard in reading.discards
            if discard.page == page
        ],
        "needs_review": reading.needs_review,
        "seconds": round(seconds, 3),
    }


def _show(file: Path, reading: SheetReading, seconds: float) -> None:
    from sheetflow.custody.names import shown_name

    several = bool(reading.page_sizes_px)
    columns = ["row", "column", "code", "symbology", "confidence", "doubts"]
    print_table(
        ["page", *columns] if several else columns,
        [
            [
                *([pair.page] if several else []),
                pair.row,
                pair.column,
                pair.code,
                pair.symbology,
                round(pair.confidence, 2),
                "; ".join(pair.doubts),
            ]
            for pair in reading.pairs
        ],
        title=f"{shown_name(str(file))}: {counted(len(reading.pairs), 'pair')} in {seconds:.2f} s",
    )
    for doubt in reading.doubts:
        click.echo(f"needs a review: {doubt}")


def _points(quad: Quad) -> list[list[float]]:
    return [[round(x, 1), round(y, 1)] for x, y in quad]


def _spelled(file: Path) -> str:
    from sheetflow.custody.names import portable_name

    return portable_name(str(file))
