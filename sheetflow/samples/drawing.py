"""Draw one sheet, and say what is on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from sheetflow.samples import page as printing
from sheetflow.samples.capture import capture_page, projection, stored_image
from sheetflow.samples.codes import Modules, encode
from sheetflow.samples.house import house
from sheetflow.samples.label import LabelText, PrintedLabel, print_label, scribble
from sheetflow.samples.layout import Cell, PxBox, cells
from sheetflow.samples.payloads import new_payload
from sheetflow.samples.pictures import PictureDealer
from sheetflow.samples.spec import SheetSpec
from sheetflow.samples.truth import ItemTruth, JunkTruth, Project, SheetTruth, place, union


class DrawnSheet(NamedTuple):
    """A sheet and its truth.

    Attributes:
        image: As stored: in the spec's colour mode, its EXIF orientation in `getexif()`.
        truth: In pixels of the image as displayed, after that orientation.
    """

    image: Image.Image
    truth: SheetTruth


def draw_sheet(spec: SheetSpec) -> DrawnSheet:
    """Draw a sheet; the same spec gives the same pixels on the same machine.

    Raises:
        ValueError: The page is too small for what should be on it.
    """
    drawing = _Drawing(spec)
    drawing.print_surroundings()
    for cell in drawing.grid:
        drawing.print_cell(cell)
    displayed = capture_page(drawing.page, spec)
    stored = stored_image(displayed, spec)
    drawing.truth["size"] = list(displayed.size)
    drawing.truth["stored_size"] = list(stored.size)
    return DrawnSheet(stored, drawing.truth)


def _empty_truth(spec: SheetSpec) -> SheetTruth:
    captured = spec.skew_deg or spec.noise or spec.blur_px
    return {
        "file": spec.file_name,
        "level": "scan" if captured else "clean",
        "size": [],
        "stored_size": [],
        "exif_orientation": spec.exif_orientation,
        "mode": spec.mode,
        "spec": spec.to_json(),
        "items": [],
        "junk": [],
        "decoys": [],
    }


@dataclass
class _Drawing:
    """A page in work, and what is known of it so far."""

    spec: SheetSpec
    page: Image.Image = field(init=False)
    truth: SheetTruth = field(init=False)
    grid: list[Cell] = field(init=False)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.spec.seed)
        self.page = printing.blank_page(self.spec)
        self.truth = _empty_truth(self.spec)
        self.grid = cells(self.spec)
        self._house = house(self.spec.theme)
        self._project: Project = projection(self.spec)
        self._codes = _deal_codes(self.spec, random)
        self._dealer = PictureDealer(self.spec.pictures, random)
        self._random = random

    def print_surroundings(self) -> None:
        """Print everything that belongs to no cell."""
        if self.spec.header:
            self._junk("header", *printing.print_header(self.page, self.spec, self._house))
        if self.spec.header_code:
            code = printing.print_header_code(self.page, self.spec)
            self._decoy("header", printing.HEADER_CODE_TEXT, "QR", code)
        if self.spec.footer:
            number = 8 + self.spec.seed % 90
            boxes = printing.print_footer(self.page, self.spec, self._house, number)
            self._junk("footer", *boxes)
        printing.print_frames(self.page, self.spec, self.grid)

    def print_cell(self, cell: Cell) -> None:
        """Print a cell's picture and label, unless it is an empty one."""
        if cell.index in self.spec.empty_cells:
            return
        item: ItemTruth = {
            "index": len(self.truth["items"]),
            "row": cell.row,
            "col": cell.column,
            "code": None,
            "label": None,
            "picture": None,
        }
        name = self._print_picture(cell, item)
        self._print_label(cell, item, name)
        self.truth["items"].append(item)

    def _print_picture(self, cell: Cell, item: ItemTruth) -> str:
        left, top, right, bottom = cell.picture
        share = 1 - self.spec.uneven * self._random.random() if self.spec.uneven else 1
        picture = self._dealer.deal(
            (round((right - left) * share), round((bottom - top) * share)),
            is_pale=cell.index in self.spec.pale,
            is_loose=cell.index in self.spec.loose,
        )
        if cell.index in self.spec.missing_pictures:
            if self.spec.placeholders:
                self._junk("placeholder", printing.print_placeholder(self.page, cell.picture))
            return picture.name
        is_left = self.spec.align == "left"
        x = left + (0 if is_left else (right - left - picture.image.width) // 2)
        y = top + (bottom - top - picture.image.height) // 2
        self.page.paste(picture.image, (x, y), picture.image)
        box = (x, y, x + picture.image.width, y + picture.image.height)
        item["picture"] = {
            "kind": picture.kind,
            "parts": picture.parts,
            **place(box, self._project),
        }
        if cell.index in self.spec.coded_pictures:
            self._decoy("picture", *printing.print_picture_code(self.page, self.spec, box))
        if cell.index in self.spec.badges:
            self._junk("badge", printing.print_badge(self.page, self.spec, box))
        return picture.name

    def _print_label(self, cell: Cell, item: ItemTruth, name: str) -> None:
        price = f"${self._random.integers(4, 120)}.{self._random.choice(('00', '50', '90', '95'))}"
        text = LabelText(name if self.spec.captions else "", price if self.spec.prices else "")
        code = None if cell.index in self.spec.missing_codes else self._codes[cell.index]
        printed = print_label(
            self.page, cell.label, text, code, spec=self.spec, accent=self._house.accent
        )
        if printed.everything:
            item["label"] = place(union(list(printed.everything)), self._project)
        self._junk("caption", printed.caption)
        self._junk("price", printed.price)
        if code is not None:
            self._note_code(cell, item, code, printed)

    def _note_code(self, cell: Cell, item: ItemTruth, code: Modules, printed: PrintedLabel) -> None:
        if printed.code is None:
            return
        if cell.index in self.spec.scribbled_codes:
            scribble(self.page, printed.code)
            return
        item["code"] = {
            "text": code.text,
            "symbology": code.symbology,
            **place(printed.code, self._project),
            "module_px": round(printed.module_px * self.spec.scale, 2),
        }

    def _junk(self, kind: str, *boxes: PxBox | None) -> None:
        for box in boxes:
            if box is not None:
                noted: JunkTruth = {"kind": kind, **place(box, self._project)}
                self.truth["junk"].append(noted)

    def _decoy(self, kind: str, text: str, symbology: str, box: PxBox) -> None:
        self.truth["decoys"].append(
            {"kind": kind, "text": text, "symbology": symbology, **place(box, self._project)}
        )


def _deal_codes(spec: SheetSpec, random: np.random.Generator) -> list[Modules]:
    """Return each cell's code, in cell order."""
    taken: set[str] = set()
    codes = []
    for index in range(spec.cell_count):
        symbology = spec.symbologies[index % len(spec.symbologies)]
        text = spec.payloads[index] if spec.payloads else new_payload(symbology, random, taken)
        codes.append(encode(text, symbology))
    for first, second in spec.duplicates:
        codes[second] = codes[first]
    return codes
