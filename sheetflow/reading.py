"""What was read from one sheet: pairs, what stayed unpaired, what was discarded, and the doubts.

Plain values, free of pixels, so that a reading can be kept as JSON and compared in a test.
All quads are in pixels of the image as displayed, that is after its EXIF orientation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # numpy stands behind it, for which `sheetflow status` has no time.
    from sheetflow.vision.geometry import Quad


@dataclass(frozen=True)
class Picture:
    """A picture without a readable code.

    Attributes:
        quad: Its corners.
        page: As in `Pair`.
    """

    quad: Quad
    page: int | None = None


@dataclass(frozen=True)
class Symbol:
    """One printed code and where it stands.

    Attributes:
        payload: Its decoded text, in canonical form (a UPC-A read as EAN-13 has one spelling).
        symbology: Its kind: "EAN-13", "EAN-8", "UPC-A", "UPC-E", "Code 128", "Code 39", "ITF",
            "QR", "DataMatrix", "PDF417" or "Aztec".
        quad: Its corners.
        confidence: 0 to 1.
        page: As in `Pair`.
    """

    payload: str
    symbology: str
    quad: Quad
    confidence: float = 1.0
    page: int | None = None


@dataclass(frozen=True)
class Pair:
    """A picture with its symbol, and its place in the grid.

    Attributes:
        code: The symbol's payload.
        symbology: The symbol's kind.
        row: Row of the upright page's grid, from 0.
        column: Column of the upright page's grid, from 0.
        picture_quad: The picture's corners.
        symbol_quad: The symbol's corners.
        confidence: 0 to 1, of the pairing and the read together.
        doubts: Why a person should look at this pair; empty for a certain one.
        page: On which page of its file it is, from 1; None where the file has one.
    """

    code: str
    symbology: str
    row: int
    column: int
    picture_quad: Quad
    symbol_quad: Quad
    confidence: float
    doubts: tuple[str, ...] = ()
    page: int | None = None


@dataclass(frozen=True)
class Discard:
    """A region that is neither picture nor symbol of an item, and why."""

    quad: Quad
    reason: str
    page: int | None = None


@dataclass(frozen=True)
class SheetReading:
    """Everything that one sheet gave.

    Attributes:
        size_px: (width, height) of the image as displayed; of its first page, if it has several.
        pairs: In reading order of the upright page; page by page, if there are several.
        unpaired_pictures: Pictures whose code is missing or unreadable.
        unpaired_symbols: Codes whose picture is missing.
        discards: Headers, prices, logos, placeholders, decoy codes.
        doubts: Why a person should look at the sheet, a sentence each, those of its pairs
            included; empty for a sheet that can be believed as it is.
        sheet_doubts: Those of `doubts` that no pair, picture or code bears: of the whole sheet.
        page_sizes_px: (width, height) of each page, where the file has several.
    """

    size_px: tuple[int, int]
    pairs: tuple[Pair, ...] = ()
    unpaired_pictures: tuple[Picture, ...] = ()
    unpaired_symbols: tuple[Symbol, ...] = ()
    discards: tuple[Discard, ...] = ()
    doubts: tuple[str, ...] = ()
    sheet_doubts: tuple[str, ...] = ()
    page_sizes_px: tuple[tuple[int, int], ...] = ()

    @property
    def page_numbers(self) -> Sequence[int | None]:
        """The pages, as its pairs name them: (None,) where the file has one."""
        return range(1, len(self.page_sizes_px) + 1) if self.page_sizes_px else (None,)

    @property
    def needs_review(self) -> bool:
        """Whether a person has to look before the sheet may be believed."""
        return bool(self.doubts)

    @property
    def certain_pairs(self) -> tuple[Pair, ...]:
        """The pairs that can be stored whatever a review of the others decides."""
        return tuple(pair for pair in self.pairs if not pair.doubts)

    def to_json(self) -> dict[str, Any]:
        """Return the reading as plain values that `from_json` takes back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SheetReading:
        """Rebuild a reading from what `to_json` returned, also after a trip through JSON text."""
        return cls(
            size_px=(int(value["size_px"][0]), int(value["size_px"][1])),
            pairs=tuple(
                Pair(
                    **{
                        **pair,
                        "picture_quad": _quad(pair["picture_quad"]),
                        "symbol_quad": _quad(pair["symbol_quad"]),
                        "doubts": tuple(pair["doubts"]),
                    }
                )
                for pair in value["pairs"]
            ),
            unpaired_pictures=tuple(
                Picture(**{**picture, "quad": _quad(picture["quad"])})
                for picture in value["unpaired_pictures"]
            ),
            unpaired_symbols=tuple(
                Symbol(**{**symbol, "quad": _quad(symbol["quad"])})
                for symbol in value["unpaired_symbols"]
            ),
            discards=tuple(
                Discard(**{**discard, "quad": _quad(discard["quad"])})
                for discard in value["discards"]
            ),
            doubts=tuple(value["doubts"]),
            sheet_doubts=tuple(value["sheet_doubts"]),
            page_sizes_px=tuple((int(w), int(h)) for w, h in value["page_sizes_px"]),
        )


BLANK = "the sheet shows nothing"
"""The doubt about an empty page, which is none where other pages of the file show pairs."""


def joined(readings: Sequence[SheetReading]) -> SheetReading:
    """Return what the pages of one file gave as one reading, each thing with its page.

    Pages that show nothing, such as the backs of a double-sided scan, are no doubt beside others
    that show pairs. A code on two pages is one that stands on the sheet twice.
    """
    if len(readings) == 1:
        return readings[0]
    times = Counter(code for reading in readings for code in {pair.code for pair in reading.pairs})
    pages = list(enumerate(readings, start=1))
    has_pairs = any(reading.pairs for reading in readings)
    doubts, sheet_doubts = list[str](), list[str]()
    for page, reading in pages:
        told = () if has_pairs and reading.sheet_doubts == (BLANK,) else reading.sheet_doubts
        sheet_doubts += [page_told(page) + doubt for doubt in told]
        of_items = [doubt for doubt in reading.doubts if doubt not in reading.sheet_doubts]
        doubts += [page_told(page) + doubt for doubt in of_items]
    doubts += [twice_on_sheet(code) for code, pages_with_it in times.items() if pages_with_it > 1]
    return SheetReading(
        size_px=readings[0].size_px,
        pairs=tuple(
            replace(
                pair,
                page=page,
                doubts=_with_twice(pair.doubts, pair.code) if times[pair.code] > 1 else pair.doubts,
            )
            for page, reading in pages
            for pair in reading.pairs
        ),
        unpaired_pictures=tuple(
            replace(picture, page=page)
            for page, reading in pages
            for picture in reading.unpaired_pictures
        ),
        unpaired_symbols=tuple(
            replace(symbol, page=page)
            for page, reading in pages
            for symbol in reading.unpaired_symbols
        ),
        discards=tuple(
            replace(discard, page=page) for page, reading in pages for discard in reading.discards
        ),
        doubts=(*doubts, *sheet_doubts),
        sheet_doubts=tuple(sheet_doubts),
        page_sizes_px=tuple(reading.size_px for reading in readings),
    )


def page_told(page: int) -> str:
    """Return how a doubt about a page of several begins."""
    return f"page {page}: "


def _with_twice(doubts: tuple[str, ...], code: str) -> tuple[str, ...]:
    twice = twice_on_sheet(code)
    return doubts if twice in doubts else (*doubts, twice)


def twice_on_sheet(code: str) -> str:
    """Return the doubt about a pair whose code another pair of the sheet has too."""
    return f"the code {code} stands on the sheet more than once"


def _quad(points: Any) -> Quad:
    first, second, third, fourth = ((float(x), float(y)) for x, y in points)
    return (first, second, third, fourth)
