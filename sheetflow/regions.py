"""The regions of a reading, each with the number by which a person names it.

One row of numbers for all: the pairs in reading order, then pictures without a code, codes without
a picture, and what was discarded. The same reading always gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from sheetflow.reading import SheetReading, Symbol
from sheetflow.vision.geometry import Quad


class Kind(StrEnum):
    """What a region is."""

    PAIR = "pair"
    PICTURE = "picture"
    CODE = "code"
    DISCARD = "discard"


@dataclass(frozen=True)
class Region:
    """One numbered thing on a sheet.

    Attributes:
        number: From 1.
        kind: What it is.
        quad: Its corners; a pair's are its picture's.
        symbol: The code of a pair, or of a code without a picture.
        doubts: Why a person should look at it.
        reason: Why it was discarded.
    """

    number: int
    kind: Kind
    quad: Quad
    symbol: Symbol | None = None
    doubts: tuple[str, ...] = ()
    reason: str = ""

    @property
    def label(self) -> str:
        """What people call it: "pair 3", "picture 49"."""
        return f"{self.kind} {self.number}"

    @property
    def is_open(self) -> bool:
        """Whether a person has to decide about it."""
        return bool(self.doubts)

    @property
    def told(self) -> str:
        """What it is, in a few words, for a list to choose from."""
        code = f": {self.symbol.payload}" if self.symbol is not None else ""
        return f"{self.label}{code}{f' ({self.reason})' if self.reason else ''}"


NO_CODE = "the picture has no readable code"
NO_PICTURE = "the code has no picture"


def regions_of(reading: SheetReading) -> tuple[Region, ...]:
    """Return the regions of a reading in the order of their numbers, which begin with 1."""
    return tuple(_numbered(reading))


def _numbered(reading: SheetReading) -> Iterator[Region]:
    number = 0
    for pair in reading.pairs:
        number += 1
        symbol = Symbol(pair.code, pair.symbology, pair.symbol_quad, pair.confidence)
        yield Region(number, Kind.PAIR, pair.picture_quad, symbol, pair.doubts)
    for quad in reading.unpaired_pictures:
        number += 1
        yield Region(number, Kind.PICTURE, quad, doubts=(NO_CODE,))
    for symbol in reading.unpaired_symbols:
        number += 1
        yield Region(number, Kind.CODE, symbol.quad, symbol, (NO_PICTURE,))
    for discard in reading.discards:
        number += 1
        yield Region(number, Kind.DISCARD, discard.quad, reason=discard.reason)
