from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from sheetflow.custody.files import digest_bytes
from sheetflow.reading import Pair, SheetReading
from sheetflow.settings import Settings
from sheetflow.sheets import CropFile, ProcessedSheet, Sheet
from sheetflow.store.connection import Store, open_store

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def processed(tmp_path: Path) -> Callable[..., ProcessedSheet]:
    """Make a processed sheet from its name and the picture's bytes of each code."""

    def make(name: str, pictures: Mapping[str, bytes]) -> ProcessedSheet:
        sheet = Sheet(name, digest_bytes(name.encode()), tmp_path / name)
        pairs, crops = [], []
        for index, (code, data) in enumerate(pictures.items()):
            pairs.append(Pair(code, "EAN-13", index, 0, SQUARE, SQUARE, 1.0))
            path = tmp_path / f"{name}-{index}.jpg"
            path.write_bytes(data)
            crops.append(CropFile(path, digest_bytes(data), "image/jpeg", (10, 10)))
        return ProcessedSheet(sheet, SheetReading((100, 100), tuple(pairs)), tuple(crops))

    return make
