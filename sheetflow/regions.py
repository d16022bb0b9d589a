"""The regions of a reading, each with the number by which a person names it.

One row of numbers for all pages: the pairs in reading order, then pictures without a code, codes
without a picture, and what was discarded. The same reading always gives the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import hypot
from statistics import median
from typing import TYPE_CHECKING

from sheetflow.custody.names import shown_name
from sheetflow.reading import SheetReading, Symbol

if TYPE_CHECKING:
    # numpy stands behind it, for which `sheetflow status` has no time.
    from sheetflow.vision.geometry import Quad

_CODE_LENGTH = 40
_LARGE = 0.5


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
        page: On which page of its file it is, from 1; None where the file has one.
    """

    number: int
    kind: Kind
    quad: Quad
    symbol: Symbol | None = None
    doubts: tuple[str, ...] = ()
    reason: str = ""
    page: int | None = None

    @property
    def label(self) -> str:
        """What people call it: "pair 3", "picture 49 on page 2"."""
        return f"{self.kind} {self.number}{on_page(self.page)}"

    @property
    def is_open(self) -> bool:
        """Whether a person has to decide about it."""
        return bool(self.doubts)

    @property
    def told(self) -> str:
        """What it is, on one short line, for a list to choose from."""
        code = shown_name(self.symbol.payload) if self.symbol is not None else ""
        code = code if len(code) <= _CODE_LENGTH else f"{code[: _CODE_LENGTH - 3]}..."
        said = f": {code}" if code else f" ({self.reason})" if self.reason else ""
        return f"{self.label}{said}"


def on_page(page: int | None) -> str:
    """Return " on page 2", or nothing where a file has one page."""
    return "" if page is None else f" on page {page}"


NO_CODE = "the picture has no readable code"
NO_PICTURE = "the code has no picture"


def regions_of(reading: SheetReading) -> tuple[Region, ...]:
    """Return the regions of a reading in the order of their numbers, which begin with 1."""
    return tuple(_numbered(reading))


def shown_regions(reading: SheetReading) -> tuple[Region, ...]:
    """Return the regions that a person may want to speak of.

    All but the small discards, words and rules of the page: one as large as half a picture may be
    a picture that was not seen to be one.
    """
    least = _LARGE * usual_side(reading)
    return tuple(
        region
        for region in regions_of(reading)
        if region.kind is not Kind.DISCARD or _shorter_side(region.quad) >= least
    )


def usual_side(reading: SheetReading) -> float:
    """Return the median length of the pictures' shorter sides, in pixels; 100 if there are none."""
    quads = [
        *(pair.picture_quad for pair in reading.pairs),
        *(picture.quad for picture in reading.unpaired_pictures),
    ]
    return median(map(_shorter_side, quads)) if quads else 100.0


def _shorter_side(quad: Quad) -> float:
    sides = zip(quad, quad[1:] + quad[:1], strict=True)
    return min(hypot(x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in sides)


def _numbered(reading: SheetReading) -> Iterator[Region]:
    number = 0
    for pair in reading.pairs:
        number += 1
        symbol = Symbol(pair.code, pair.symbology, pair.symbol_quad, pair.confidence, pair.page)
        yield Region(number, Kind.PAIR, pair.picture_quad, symbol, pair.doubts, page=pair.page)
    for picture in reading.unpaired_pictures:
        number += 1
        doubts = (NO_CODE,)
        yield Region(number, Kind.PICTURE, picture.quad, doubts=doubts, page=picture.page)
    for symbol in reading.unpaired_symbols:
        number += 1
        yield Region(number, Kind.CODE, symbol.quad, symbol, (NO_PICTURE,), page=symbol.page)
    for discard in reading.discards:
        number += 1
        reason, page = discard.reason, discard.page
        yield Region(number, Kind.DISCARD, discard.quad, reason=reason, page=page)
