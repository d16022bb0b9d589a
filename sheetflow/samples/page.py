"""The page around the cells: paper, header, footer, frames, badges and placeholders."""

from __future__ import annotations

from PIL import Image, ImageDraw

from sheetflow.samples.canvas import Colour, lit
from sheetflow.samples.codes import encode
from sheetflow.samples.house import House
from sheetflow.samples.layout import Cell, PxBox, footer_box, header_box
from sheetflow.samples.lettering import GREY, INK, Line
from sheetflow.samples.spec import SheetSpec

HEADER_CODE_TEXT = "https://shop.example/catalogue"
_RULE: Colour = (196, 200, 206)
_PLACEHOLDER: Colour = (226, 227, 230)
_BADGE: Colour = (206, 44, 52)


def blank_page(spec: SheetSpec) -> Image.Image:
    """Return the empty paper, mode RGB."""
    return Image.new("RGB", spec.page_size_px, (spec.paper,) * 3)


def print_header(page: Image.Image, spec: SheetSpec, style: House) -> list[PxBox]:
    """Print the shop's name, the title and a rule; return where the texts stand."""
    left, _, right, bottom = header_box(spec)
    half = (right - left) // 2 - spec.px(12 if spec.header_code else 2)
    brand = Line(style.brand, spec.px(6.2), style.accent, width_px=half, bold=True)
    title = Line(spec.title or style.title, spec.px(4.2), GREY, width_px=half)
    base = bottom - spec.px(8.5)
    ink_right = right - spec.px(26 if spec.header_code else 0)
    boxes = [
        brand.print_at(page, left, base - brand.height),
        title.print_at(page, ink_right - title.width, base - title.height),
    ]
    rule = bottom - spec.px(6)
    ImageDraw.Draw(page).rectangle(
        (left, rule, ink_right, rule + max(1, spec.px(0.35))), fill=style.accent
    )
    return boxes


def print_header_code(page: Image.Image, spec: SheetSpec) -> PxBox:
    """Print a readable code that names no product at the header's right; return its box."""
    _, top, right, bottom = header_box(spec)
    code = encode(HEADER_CODE_TEXT, "QR")
    room = bottom - top - spec.px(1)
    module_px = max(1, room // (code.dark.shape[0] + code.quiet))
    image = code.image(module_px)
    left = right - image.width
    page.paste(image, (left, top))
    return left, top, right, top + image.height


def print_footer(page: Image.Image, spec: SheetSpec, style: House, number: int) -> list[PxBox]:
    """Print the small print, the page's number and a rule; return where the texts stand."""
    left, _, right, bottom = footer_box(spec)
    small = Line(style.small_print, spec.px(2.9), GREY, width_px=(right - left) * 2 // 3)
    folio = Line(f"{number}", spec.px(3.2), INK, width_px=(right - left) // 5)
    rule = bottom - max(small.height, folio.height) - spec.px(1.8)
    ImageDraw.Draw(page).rectangle((left, rule, right, rule + max(0, spec.px(0.15))), fill=_RULE)
    return [
        small.print_at(page, left, bottom - small.height),
        folio.print_at(page, right - folio.width, bottom - folio.height),
    ]


def print_frames(page: Image.Image, spec: SheetSpec, grid: list[Cell]) -> None:
    """Print the lines around the cells, if the spec has any."""
    draw = ImageDraw.Draw(page)
    width = max(1, spec.px(0.25))
    for cell in grid:
        if spec.frame == "cell":
            left, top, right, bottom = cell.frame
            draw.rectangle((left, top, right + width - 1, bottom + width - 1), None, _RULE, width)
        elif spec.frame == "card":
            draw.rounded_rectangle(cell.frame, spec.px(2.5), None, _RULE, width)
        elif spec.frame == "shade":
            draw.rectangle(cell.frame, lit((spec.paper,) * 3, -0.06), _RULE, width)
        elif spec.frame == "label":
            left, top, right, bottom = cell.label
            reach = spec.px(0.8)
            draw.rectangle(
                (left - reach, top - reach, right + reach, bottom + reach), None, GREY, width
            )


def print_badge(page: Image.Image, spec: SheetSpec, picture: PxBox) -> PxBox:
    """Print a "NEW" badge over the picture's top left corner; return its box."""
    side = min(spec.px(11), (picture[2] - picture[0]) // 3, (picture[3] - picture[1]) // 3)
    left, top = picture[:2]
    box = (left, top, left + side, top + side)
    ImageDraw.Draw(page).ellipse(box, fill=_BADGE)
    word = Line("NEW", side // 3, (255, 255, 255), width_px=side * 3 // 4)
    word.print_at(page, left + (side - word.width) // 2, top + (side - word.height) // 2)
    return box


def print_picture_code(
    page: Image.Image, spec: SheetSpec, picture: PxBox
) -> tuple[str, str, PxBox]:
    """Print a code in the middle of a picture; return its text, its symbology and its box."""
    text = f"LOT{spec.seed % 1000:03d}"
    code = encode(text, "CODE128")
    left, top, right, bottom = picture
    module_px = max(1, round((right - left) * 0.5 / code.full_width))
    image = code.image(module_px, max(4, (bottom - top) // 5))
    x = left + (right - left - image.width) // 2
    y = top + (bottom - top - image.height) // 2
    plate = code.quiet * module_px
    ImageDraw.Draw(page).rectangle(
        (x - plate, y - plate // 2, x + image.width + plate, y + image.height + plate // 2),
        fill=(255, 255, 255),
    )
    page.paste(image, (x, y))
    return text, "CODE128", (x, y, x + image.width, y + image.height)


def print_placeholder(page: Image.Image, room: PxBox) -> PxBox:
    """Print a grey "no image" box; return where it stands."""
    left, top, right, bottom = room
    ImageDraw.Draw(page).rectangle((left, top, right - 1, bottom - 1), fill=_PLACEHOLDER)
    word = Line("no image", (right - left) // 9, GREY, width_px=(right - left) // 2)
    word.print_at(
        page, left + (right - left - word.width) // 2, top + (bottom - top - word.height) // 2
    )
    return room
