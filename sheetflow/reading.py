"""What was read from one sheet: pairs, what stayed unpaired, what was discarded, and the doubts.

Plain values, free of pixels, so that a reading can be kept as JSON and compared in a test.
All quads are in pixels of the image as displayed, that is after its EXIF orientation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # numpy stands behind it, for which `sheetflow status` has no time.
    from sheetflow.vision.geometry import Quad


@dataclass(frozen=True)
class Symbol:
    """One printed code and where it stands.

    Attributes:
        payload: Its decoded text, in canonical form (a UPC-A read as EAN-13 has one spelling).
        symbology: Its kind: "EAN-13", "EAN-8", "UPC-A", "UPC-E", "Code 128", "Code 39", "ITF",
            "QR", "DataMatrix", "PDF417" or "Aztec".
        quad: Its corners.
        confidence: 0 to 1.
    """

    payload: str
    symbology: str
    quad: Quad
    confidence: float = 1.0


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
    """

    code: str
    symbology: str
    row: int
    column: int
    picture_quad: Quad
    symbol_quad: Quad
    confidence: float
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Discard:
    """A region that is neither picture nor symbol of an item, and why."""

    quad: Quad
    reason: str


@dataclass(frozen=True)
class SheetReading:
    """Everything that one sheet gave.

    Attributes:
        size_px: (width, height) of the image as displayed.
        pairs: In reading order of the upright page.
        unpaired_pictures: Pictures whose code is missing or unreadable.
        unpaired_symbols: Codes whose picture is missing.
        discards: Headers, prices, logos, placeholders, decoy codes.
        doubts: Why a person should look at the sheet, a sentence each, those of its pairs
            included; empty for a sheet that can be believed as it is.
        sheet_doubts: Those of `doubts` that no pair, picture or code bears: of the whole sheet.
    """

    size_px: tuple[int, int]
    pairs: tuple[Pair, ...] = ()
    unpaired_pictures: tuple[Quad, ...] = ()
    unpaired_symbols: tuple[Symbol, ...] = ()
    discards: tuple[Discard, ...] = ()
    doubts: tuple[str, ...] = ()
    sheet_doubts: tuple[str, ...] = ()

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
            unpaired_pictures=tuple(_quad(quad) for quad in value["unpaired_pictures"]),
            unpaired_symbols=tuple(
                Symbol(**{**symbol, "quad": _quad(symbol["quad"])})
                for symbol in value["unpaired_symbols"]
            ),
            discards=tuple(
                Discard(quad=_quad(discard["quad"]), reason=discard["reason"])
                for discard in value["discards"]
            ),
            doubts=tuple(value["doubts"]),
            sheet_doubts=tuple(value["sheet_doubts"]),
        )


def twice_on_sheet(code: str) -> str:
    """Return the doubt about a pair whose code another pair of the sheet has too."""
    return f"the code {code} stands on the sheet more than once"


def _quad(points: Any) -> Quad:
    first, second, third, fourth = ((float(x), float(y)) for x, y in points)
    return (first, second, third, fourth)
