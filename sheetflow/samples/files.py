"""Drawn sheets and their truth as files, each whole or not there at all."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sheetflow.errors import NameTaken
from sheetflow.samples.drawing import DrawnSheet
from sheetflow.samples.spec import FileFormat, SheetSpec
from sheetflow.samples.truth import SheetTruth

_LONG_AGO = time.gmtime(0)


def sheet_bytes(sheet: DrawnSheet, spec: SheetSpec) -> bytes:
    """Return a drawn sheet as the bytes of a file in its spec's format."""
    buffer = io.BytesIO()
    options = _save_options(spec.file_format, spec)
    if spec.exif_orientation != 1:
        options["exif"] = sheet.image.getexif()
    sheet.image.save(buffer, spec.file_format, **options)
    return buffer.getvalue()


def save_sheet(folder: Path, sheet: DrawnSheet, spec: SheetSpec) -> Path:
    """Write a drawn sheet into a folder under its spec's name.

    Raises:
        NameTaken: Another file has that name.
    """
    return write_new(folder / spec.file_name, sheet_bytes(sheet, spec))


def save_bound(path: Path, pages: Sequence[DrawnSheet], file_format: str) -> Path:
    """Write drawn sheets as the pages of one file, a "PDF" or a "TIFF".

    Raises:
        NameTaken: Another file has that name.
    """
    first, *others = (page.image.convert("RGB") for page in pages)
    options: dict[str, Any] = (
        # Drawn again, the file is to have the same bytes, and so no date.
        {"quality": 92, "resolution": 300, "creationDate": _LONG_AGO, "modDate": _LONG_AGO}
        if file_format == "PDF"
        else {"compression": "tiff_lzw"}
    )
    buffer = io.BytesIO()
    first.save(buffer, file_format, save_all=True, append_images=others, **options)
    return write_new(path, buffer.getvalue())


def save_truth(path: Path, truths: Sequence[SheetTruth], *, seed: int) -> Path:
    """Write what some sheets show as one JSON file.

    Raises:
        NameTaken: Another file has that name.
    """
    value = {"generator": _generator(seed, len(truths)), "sheets": truths}
    return write_new(path, json.dumps(value, indent=1).encode())


def check_truth(path: Path, *, seed: int, count: int) -> None:
    """Refuse to begin where the truth of another set stands already.

    Raises:
        NameTaken: It does, or another file has that name.
    """
    if not path.exists():
        return
    try:
        found = json.loads(path.read_bytes())["generator"]
    except (ValueError, LookupError, TypeError):
        found = None
    if found != _generator(seed, count):
        raise _taken(path)


def write_new(path: Path, content: bytes) -> Path:
    """Write a file that is whole from the moment that it has its name.

    Raises:
        NameTaken: A file with other bytes has the name.
    """
    if path.exists():
        if path.read_bytes() == content:
            return path
        raise _taken(path)
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return path


def _generator(seed: int, count: int) -> dict[str, object]:
    return {"name": "sheetflow samples", "seed": seed, "count": count}


def _taken(path: Path) -> NameTaken:
    return NameTaken(
        f"{path} exists, with other content", cure="Choose an empty folder", sheet=path.name
    )


def _save_options(file_format: FileFormat, spec: SheetSpec) -> dict[str, Any]:
    dpi = (round(spec.dpi * spec.scale),) * 2
    if file_format == "JPEG":
        # Full colour resolution: halved chroma would smear coloured prices into the bars.
        return {"quality": spec.quality, "subsampling": 0, "dpi": dpi}
    if file_format == "WEBP":
        return {"quality": spec.quality, "method": 2}
    if file_format == "TIFF":
        return {"compression": "tiff_lzw", "dpi": dpi}
    return {"dpi": dpi}
