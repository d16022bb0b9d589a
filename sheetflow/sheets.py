"""A sheet on its way: what identifies it, where it is, and in which state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sheetflow.custody.names import portable_name, shown_name
from sheetflow.reading import SheetReading


class State(StrEnum):
    """The states of the ledger. `failed` is an attempt's outcome, never a place."""

    WAITING = "waiting"
    STAGED = "staged"
    PROCESSED = "processed"
    NEEDS_REVIEW = "needs_review"
    UPLOADED = "uploaded"
    ARCHIVED = "archived"
    REJECTED = "rejected"
    FAILED = "failed"


@dataclass(frozen=True)
class Sheet:
    """A file whose bytes are known.

    Attributes:
        name: Its name on disk now, as Python spells it; it may hold undecodable bytes.
        sha256: The digest of its bytes, which is its identity.
        path: Where it is.
    """

    name: str
    sha256: str
    path: Path

    @property
    def label(self) -> str:
        """The printable name and the short digest, which lead every log line."""
        return f"{shown_name(self.name)} [{self.sha256[:8]}]"

    @property
    def portable_name(self) -> str:
        """The name as records and JSON hold it."""
        return portable_name(self.name)


@dataclass(frozen=True)
class Counts:
    """What was found on a sheet, in numbers."""

    pictures: int = 0
    symbols: int = 0
    pairs: int = 0
    discards: int = 0

    @classmethod
    def of(cls, reading: SheetReading) -> Counts:
        """Count what a reading holds; a pair's picture and symbol count as such too."""
        return cls(
            pictures=len(reading.pairs) + len(reading.unpaired_pictures),
            symbols=len(reading.pairs) + len(reading.unpaired_symbols),
            pairs=len(reading.pairs),
            discards=len(reading.discards),
        )


@dataclass(frozen=True)
class ProcessedSheet:
    """A staged sheet with its work products.

    Attributes:
        sheet: The sheet, in staging.
        reading: What was read from it.
        crops: The crop file of each pair, in the order of `reading.pairs`.
    """

    sheet: Sheet
    reading: SheetReading
    crops: tuple[CropFile, ...]

    @property
    def counts(self) -> Counts:
        """What was found, in numbers."""
        return Counts.of(self.reading)


@dataclass(frozen=True)
class CropFile:
    """An encoded crop, kept as a file until it is stored.

    Attributes:
        path: Where its bytes are.
        sha256: Their digest.
        media_type: `image/jpeg` and the like.
        size_px: (width, height).
    """

    path: Path
    sha256: str
    media_type: str
    size_px: tuple[int, int]
