"""Turn what was found on a page into a reading of the sheet, and say what a person should check.

Pure. A doubt costs a person's look, a silent fault sells the wrong product: whatever does not fit
the sheet's own rule is doubted, but for headers, logos and decoy codes, which every sheet may have.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

from sheetflow.reading import BLANK, Discard, Pair, Picture, SheetReading, Symbol, twice_on_sheet
from sheetflow.vision.barcodes import CERTAIN
from sheetflow.vision.geometry import Box, Quad, move_quad, union_of
from sheetflow.vision.page import UprightPage
from sheetflow.vision.pairing import Item
from sheetflow.vision.segmentation import Kind, Region

_ALIKE = 0.25
_SMALLEST_TEXT_AREA = 40  # below, it may as well be dust
_LABEL_REACH_PX = 50
_LEAST_LINE_PX = 5
_SAME_LINE_PX = 6
_LEAST_LINES = 2  # one, of its digits, a header's code has as well


@dataclass(frozen=True, eq=False)
class Findings:
    """What was found on one page.

    Attributes:
        size_px: (width, height) of the sheet.
        page: The page, upright.
        symbols: All codes that were read, quads in pixels of the sheet.
        codes: Their boxes on the page, in the same order.
        regions: What is printed on the page.
        items: What each cell of the grid shows, in reading order.
        is_ambiguous: Whether another grid would fit as well.
        are_in_margins: Whether all codes stand in header and footer.
        is_empty: Whether the page is bare paper.
    """

    size_px: tuple[int, int]
    page: UprightPage
    symbols: Sequence[Symbol]
    codes: Sequence[Box]
    regions: Sequence[Region]
    items: Sequence[Item]
    is_ambiguous: bool
    are_in_margins: bool = False
    is_empty: bool = False

    @property
    def unused(self) -> list[int]:
        """Indices of the symbols that stand in no cell."""
        used = {item.code for item in self.items} | {i for it in self.items for i in it.decoys}
        return [i for i in range(len(self.symbols)) if i not in used]

    @property
    def beside_grid(self) -> list[int]:
        """Indices of the unused symbols that stand as high as rows of the grid."""
        if not self.shown:
            return []
        # Cells reach farther than what they show: up to a header, if there is but one row.
        rows = union_of([*self.shown, *self.usual])
        return [i for i in self.unused if rows.top < self.codes[i].centre[1] < rows.bottom]

    @property
    def in_line(self) -> list[int]:
        """Indices of the unused symbols that stand above or below a column as its codes do."""
        if not self.shown:
            return []
        grid = union_of(item.cell.box for item in self.items)
        return [
            i
            for i in self.unused
            if any(_is_in_line(self.codes[i], code, grid) for code in self.usual)
        ]

    @property
    def labels_outside(self) -> list[int]:
        """Indices of the unused symbols that are labels: no header's code.

        One may stand in line with a column too, but not among the lines of text that labels have.
        """
        return sorted({*self.beside_grid, *filter(self._has_words_of_labels, self.in_line)})

    @property
    def shown(self) -> list[Box]:
        """The pictures in the cells."""
        return [item.picture for item in self.items if item.picture is not None]

    @property
    def usual(self) -> list[Box]:
        """The boxes of the cells' codes."""
        return [self.codes[item.code] for item in self.items if item.code is not None]

    def _has_words_of_labels(self, index: int) -> bool:
        texts = [region.box for region in self.regions if region.kind is Kind.TEXT]
        labels = [_lines_at(code, texts) for code in self.usual]
        common = [
            line
            for line in _lines_at(self.codes[index], texts)
            if 2 * sum(any(abs(line - its) < _SAME_LINE_PX for its in label) for label in labels)
            >= len(labels)
        ]
        return len(common) >= _LEAST_LINES

    def on_sheet(self, box: Box) -> Quad:
        """Return a box of the page as a quad of the sheet.

        A box runs along the pixels' edges, the homography between their centres.
        """
        left, top = box.left - 0.5, box.top - 0.5
        return move_quad(Box(left, top, box.width, box.height).quad(), self.page.to_sheet)


def reading_of(
    findings: Findings,
    *,
    expected_pairs: int | None = None,
    contradictions: Iterable[str] = (),
) -> SheetReading:
    """Return the reading of a sheet, with its doubts.

    Args:
        findings: What was found on its page.
        expected_pairs: How many pairs it should have, if the caller knows.
        contradictions: What else the caller knows and the sheet does not show.
    """
    if findings.is_empty:
        return SheetReading(size_px=findings.size_px, doubts=(BLANK,), sheet_doubts=(BLANK,))
    pairs = _pairs(findings)
    doubts = [*_doubts_outside(findings), *contradictions]
    if findings.is_ambiguous:
        doubts.append("the codes could as well belong to the pictures on their other side")
    if findings.are_in_margins:
        doubts.append("the code stands in the header or footer, and is the only one")
    if not pairs:
        doubts.append("no pair was found on the sheet")
    if expected_pairs is not None and len(pairs) != expected_pairs:
        doubts.append(f"{len(pairs)} pairs were found, {expected_pairs} are expected")
    return SheetReading(
        size_px=findings.size_px,
        pairs=tuple(pairs.values()),
        unpaired_pictures=tuple(
            Picture(findings.on_sheet(item.picture))
            for item in findings.items
            if item.picture is not None and item.code is None
        ),
        unpaired_symbols=(
            *(
                findings.symbols[item.code]
                for item in findings.items
                if item.code is not None and item.picture is None
            ),
            *(findings.symbols[i] for i in findings.labels_outside),
        ),
        discards=tuple(_discards(findings)),
        doubts=(*_doubts_of_items(findings, pairs), *doubts),
        sheet_doubts=tuple(doubts),
    )


def _pairs(findings: Findings) -> dict[int, Pair]:
    """Return the pairs by the index of their item."""
    codes = [findings.symbols[item.code] for item in findings.items if item.code is not None]
    times = Counter(symbol.payload for symbol in codes)
    pairs: dict[int, Pair] = {}
    for index, item in enumerate(findings.items):
        if item.code is None or item.picture is None:
            continue
        symbol = findings.symbols[item.code]
        pairs[index] = Pair(
            code=symbol.payload,
            symbology=symbol.symbology,
            row=item.cell.row,
            column=item.cell.column,
            picture_quad=findings.on_sheet(item.picture),
            symbol_quad=symbol.quad,
            confidence=symbol.confidence if not item.doubts else min(symbol.confidence, 0.5),
            doubts=(*item.doubts, *_doubts_of_code(symbol, times[symbol.payload])),
        )
    return pairs


def _doubts_of_code(symbol: Symbol, times: int) -> list[str]:
    doubts = []
    if symbol.confidence < CERTAIN:
        doubts.append(f"the code {symbol.payload} was read with doubt")
    if times > 1:
        doubts.append(twice_on_sheet(symbol.payload))
    return doubts


def _doubts_of_items(findings: Findings, pairs: dict[int, Pair]) -> list[str]:
    doubts = []
    for index, item in enumerate(findings.items):
        place = f"row {item.cell.row + 1}, column {item.cell.column + 1}"
        if index in pairs:
            doubts += [f"{place}: {doubt}" for doubt in pairs[index].doubts]
        elif item.code is not None:
            doubts.append(f"{place}: the code {findings.symbols[item.code].payload} has no picture")
        elif item.picture is not None:
            doubts.append(f"{place}: the picture has no readable code")
    return doubts


def _doubts_outside(findings: Findings) -> list[str]:
    """Return what stands outside of the grid and is no header, logo or decoy for certain."""
    if not findings.shown:
        return []
    grid = union_of(item.cell.box for item in findings.items)
    doubts = [
        f"the code {findings.symbols[i].payload} stands beside the grid"
        for i in findings.beside_grid
    ]
    doubts += [
        f"the code {findings.symbols[i].payload} stands outside of the grid, where others would"
        for i in findings.in_line
    ]
    width = median(box.width for box in findings.shown)
    height = median(box.height for box in findings.shown)
    near = Box(
        grid.left - 2 * width,
        grid.top - height,
        grid.width + 4 * width,
        grid.height + 2 * height,
    )
    stray = [
        region
        for region in findings.regions
        if region.kind is Kind.PICTURE
        and 0.5 * width < region.box.width < 2 * width
        and 0.5 * height < region.box.height < 2 * height
        and near.contains(region.box.centre)
        and not any(item.cell.box.contains(region.box.centre) for item in findings.items)
    ]
    if stray:
        doubts.append(f"pictures stand outside of the grid: {len(stray)}")
    return doubts


def _is_in_line(code: Box, usual: Box, grid: Box) -> bool:
    """Tell whether a code above or below the grid stands in a column of it, as another does."""
    is_like = all(
        abs(own - other) < _ALIKE * other
        for own, other in ((code.width, usual.width), (code.height, usual.height))
    )
    is_beyond = not grid.top < code.centre[1] < grid.bottom
    return is_like and is_beyond and abs(code.centre[0] - usual.centre[0]) < 0.25 * usual.width


def _lines_at(code: Box, texts: Sequence[Box]) -> list[float]:
    """Return how far below a code's lower edge, or above its upper one (negative), lines stand."""
    near = code.grown(_LABEL_REACH_PX)
    gaps = sorted(
        text.top - code.bottom if text.centre[1] > code.centre[1] else text.bottom - code.top
        for text in texts
        if text.height > _LEAST_LINE_PX
        and near.contains(text.centre)
        and not code.contains(text.centre)
        and min(text.right, code.right) > max(text.left, code.left)
    )
    return [gap for gap, before in zip(gaps, [-inf, *gaps], strict=False) if gap - before > 2]


def _discards(findings: Findings) -> list[Discard]:
    discards, labels = [], findings.labels_outside
    for item in findings.items:
        if item.placeholder is not None:
            discards.append(Discard(findings.on_sheet(item.placeholder), "a placeholder"))
        discards += [
            Discard(findings.symbols[i].quad, "a code that is printed on a picture")
            for i in item.decoys
        ]
    discards += [
        Discard(findings.symbols[i].quad, "a code outside of the grid")
        for i in findings.unused
        if i not in labels
    ]
    discards += [
        Discard(findings.on_sheet(region.box), "a text")
        for region in findings.regions
        if region.kind is Kind.TEXT and region.area > _SMALLEST_TEXT_AREA
    ]
    return discards
