"""What a drawn sheet should show: paper, grid, labels, codes, what is missing, and the capture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

LabelSide = Literal["below", "above", "right", "left"]
Frame = Literal["none", "cell", "card", "shade", "label"]
Align = Literal["centre", "left"]
PictureStyle = Literal["cutout", "bleed", "mixed"]
ColourMode = Literal["RGB", "L", "CMYK", "RGBA", "I;16", "P", "1"]
FileFormat = Literal["JPEG", "PNG", "TIFF", "WEBP"]

PAGE_SIZES_MM: Mapping[str, tuple[float, float]] = {
    "A4": (210.0, 297.0),
    "A4L": (297.0, 210.0),
    "A5": (148.0, 210.0),
    "A6": (105.0, 148.0),
    "Letter": (215.9, 279.4),
    "LetterL": (279.4, 215.9),
}
SYMBOLOGIES = ("EAN13", "EAN8", "UPCA", "CODE128", "CODE39", "ITF", "QR")
MODES_OF_FORMAT: Mapping[FileFormat, tuple[ColourMode, ...]] = {
    "JPEG": ("RGB", "L", "CMYK"),
    "PNG": ("RGB", "L", "RGBA", "I;16", "P", "1"),
    "TIFF": ("RGB", "L", "CMYK", "RGBA", "I;16", "P", "1"),
    "WEBP": ("RGB", "RGBA"),
}
SUFFIX_OF_FORMAT: Mapping[FileFormat, str] = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "TIFF": ".tif",
    "WEBP": ".webp",
}


@dataclass(frozen=True)
class SheetSpec:
    """One sheet to draw; the same spec always gives the same sheet on the same machine.

    Cells are counted from 0 in reading order, `row * columns + column`.

    Attributes:
        name: The file's name without its suffix.
        seed: What chooses products, colours, captions, prices and payloads.
        page: A key of `PAGE_SIZES_MM`; a final "L" is landscape.
        dpi: Pixels per inch of the page, before `scale`.
        rows: Rows of the grid.
        columns: Columns of the grid.
        margin_mm: Blank border around everything that is printed.
        label_side: Where the code stands, as seen from its picture.
        frame: Lines around each cell: none, one grid, a card for each, a shaded card, or a line
            around its label alone.
        align: Where pictures and labels stand in their room.
        pictures: Cut-out products on the paper, photos that fill a rectangle, or both by turns.
        symbologies: Keys of `SYMBOLOGIES`, dealt to the cells in turn.
        payloads: The codes' texts in cell order, instead of made-up ones; needs one for each cell.
        theme: Which house style of the catalogue, any number.
        title: The header's text; chosen by the theme if None.
        header: Whether the header is printed.
        footer: Whether the footer is printed.
        captions: Whether the products' names are printed.
        prices: Whether prices are printed.
        digits: Whether codes have their text below the bars.
        missing_codes: Cells that have a picture and no code.
        scribbled_codes: Cells whose code is struck out, so that nobody can read it.
        missing_pictures: Cells that have a code and no picture.
        placeholders: Whether a missing picture leaves a grey "no image" box.
        empty_cells: Cells that have neither.
        badges: Cells whose picture bears a "NEW" badge over its corner.
        pale: Cells whose product is nearly white.
        loose: Cells whose picture is of three products side by side.
        coded_pictures: Cells whose picture shows a readable code that names no product.
        uneven: By how much of its room a picture may be smaller, 0 to below 1.
        duplicates: Pairs (first, second): the second cell shows the first one's code again.
        header_code: A readable code in the header that names no product.
        paper: Luminance of the paper, 255 for white.
        skew_deg: How far the page is turned clockwise on the scanner's glass.
        turn: Quarter turns clockwise of the whole page, in degrees: 0, 90, 180, 270.
        noise: Standard deviation of the sensor's noise in grey levels.
        blur_px: Radius of the lens' blur.
        scale: Factor on the finished image's size; other than 1, modules are no whole pixels.
        exif_orientation: 1 to 8; the stored pixels are turned so that a reader has to undo it.
        mode: Colour mode of the stored pixels.
        transparent_paper: In mode RGBA, whether the paper is see-through.
        file_format: One that can hold `mode`, see `MODES_OF_FORMAT`.
        quality: Of JPEG and WebP, 1 to 100.

    Raises:
        ValueError: The parts of the spec do not fit each other.
    """

    name: str = "sheet"
    seed: int = 1
    page: str = "A4"
    dpi: int = 200
    rows: int = 3
    columns: int = 2
    margin_mm: float = 12.0
    label_side: LabelSide = "below"
    frame: Frame = "none"
    align: Align = "centre"
    pictures: PictureStyle = "cutout"
    symbologies: tuple[str, ...] = ("EAN13",)
    payloads: tuple[str, ...] | None = None
    theme: int = 0
    title: str | None = None
    header: bool = True
    footer: bool = True
    captions: bool = True
    prices: bool = True
    digits: bool = True
    missing_codes: frozenset[int] = frozenset()
    scribbled_codes: frozenset[int] = frozenset()
    missing_pictures: frozenset[int] = frozenset()
    placeholders: bool = False
    empty_cells: frozenset[int] = frozenset()
    badges: frozenset[int] = frozenset()
    pale: frozenset[int] = frozenset()
    loose: frozenset[int] = frozenset()
    coded_pictures: frozenset[int] = frozenset()
    uneven: float = 0.0
    duplicates: tuple[tuple[int, int], ...] = ()
    header_code: bool = False
    paper: int = 255
    skew_deg: float = 0.0
    turn: int = 0
    noise: float = 0.0
    blur_px: float = 0.0
    scale: float = 1.0
    exif_orientation: int = 1
    mode: ColourMode = "RGB"
    transparent_paper: bool = False
    file_format: FileFormat = "PNG"
    quality: int = 92

    def __post_init__(self) -> None:
        for complaint, wrong in self._complaints():
            if wrong:
                raise ValueError(f"sheet spec {self.name!r}: {complaint}")

    def _complaints(self) -> tuple[tuple[str, bool], ...]:
        named_cells = {cell for pair in self.duplicates for cell in pair}.union(
            self.missing_codes,
            self.scribbled_codes,
            self.missing_pictures,
            self.empty_cells,
            self.badges,
            self.pale,
            self.loose,
            self.coded_pictures,
        )
        return (
            ("rows, columns, dpi and scale must be positive", min(*self._sizes()) <= 0),
            (f"page must be one of {sorted(PAGE_SIZES_MM)}", self.page not in PAGE_SIZES_MM),
            (
                f"symbologies must be some of {SYMBOLOGIES}",
                not self.symbologies or not set(self.symbologies) <= set(SYMBOLOGIES),
            ),
            (
                "there must be a payload for each cell",
                self.payloads is not None and len(self.payloads) != self.cell_count,
            ),
            ("a cell lies outside the grid", not named_cells <= set(range(self.cell_count))),
            ("uneven must be 0 or more, and below 1", not 0 <= self.uneven < 1),
            ("turn must be 0, 90, 180 or 270", self.turn not in (0, 90, 180, 270)),
            ("exif_orientation must be 1 to 8", not 1 <= self.exif_orientation <= 8),
            (
                f"{self.file_format} cannot hold {self.mode}",
                self.mode not in MODES_OF_FORMAT[self.file_format],
            ),
        )

    def _sizes(self) -> tuple[float, ...]:
        return (self.rows, self.columns, self.dpi, self.scale)

    @property
    def cell_count(self) -> int:
        """Cells of the grid, empty ones too."""
        return self.rows * self.columns

    @property
    def file_name(self) -> str:
        """Name of the file, with its suffix."""
        return self.name + SUFFIX_OF_FORMAT[self.file_format]

    @property
    def page_size_px(self) -> tuple[int, int]:
        """(width, height) of the page as drawn, before `turn` and `scale`."""
        width_mm, height_mm = PAGE_SIZES_MM[self.page]
        return self.px(width_mm), self.px(height_mm)

    def px(self, length_mm: float) -> int:
        """Return a length on the page in whole pixels."""
        return round(length_mm * self.dpi / 25.4)

    def to_json(self) -> dict[str, Any]:
        """Return the spec as plain values, sets as sorted lists."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            name: sorted(value) if isinstance(value, frozenset) else value
            for name, value in values.items()
        }
