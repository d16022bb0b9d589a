"""A cell's label: caption, code, digits and price, stacked in the room that there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw

from sheetflow.samples.canvas import Colour
from sheetflow.samples.codes import Modules
from sheetflow.samples.layout import PxBox
from sheetflow.samples.lettering import INK, Line
from sheetflow.samples.payloads import printed_digits
from sheetflow.samples.spec import SheetSpec

# Nominal widths of a module; print shops go down to 0.25 mm for EAN.
_MODULE_MM = {"QR": 0.75}
_LINEAR_MODULE_MM = 0.38
_BAR_HEIGHTS_MM = (2.5, 13.0)
_SMALLEST_MODULE_PX = 1
# With the gap to the picture, more than the widest quiet zone.
_INDENT_MM = 2.0
_PEN: Colour = (24, 26, 60)


@dataclass(frozen=True)
class PrintedLabel:
    """Where a label's parts were printed, in pixels of the page.

    Attributes:
        code: The bars or modules, without quiet zones; None where there is no code.
        module_px: Width of a module.
        caption: The caption's ink.
        price: The price's ink.
        everything: All boxes, those of the digits too.
    """

    code: PxBox | None
    module_px: int
    caption: PxBox | None
    price: PxBox | None
    everything: tuple[PxBox, ...]


@dataclass(frozen=True)
class LabelText:
    """What a label says beside its code; an empty text is not printed."""

    caption: str
    price: str


def print_label(
    page: Image.Image,
    room: PxBox,
    text: LabelText,
    code: Modules | None,
    *,
    spec: SheetSpec,
    accent: Colour,
) -> PrintedLabel:
    """Print a label into its room, close to its picture, and say where its parts stand.

    Raises:
        ValueError: The code does not fit, even with modules of a single pixel.
    """
    beside = spec.label_side in ("right", "left")
    indent = spec.px(_INDENT_MM) if beside else 0
    width, height = room[2] - room[0] - indent, room[3] - room[1]
    unit = spec.px(1.0) if beside else min(spec.px(1.0), height / 26)
    gap = max(2, round(1.3 * unit))
    caption = _line(text.caption, 3.3 * unit, INK, width)
    price = _line(text.price, 4.0 * unit, accent, width, bold=True)
    digits = None
    if code is not None and spec.digits and code.is_linear:
        printed = printed_digits(code.text, code.symbology)
        digits = _line(printed, 2.8 * unit, INK, width)
    lines = [line for line in (caption, price, digits) if line is not None]
    left_over = height - sum(line.height + gap for line in lines)
    code_image, module_px = _sized(code, (room[2] - room[0], left_over), spec)
    if code is not None and not code.is_linear:
        gap = max(gap, code.quiet * module_px)
    parts = (caption, code_image, digits, price)
    boxes = _stack(parts, room, spec, gap=gap, indent=indent)
    if spec.frame == "shade" and code is not None and boxes[1] is not None:
        _print_plate(page, boxes[1], round(code.quiet * module_px * 0.9))
    for part, box in zip(parts, boxes, strict=True):
        if part is not None and box is not None:
            _print_part(page, part, box)
    everything = tuple(box for box in boxes if box is not None)
    return PrintedLabel(boxes[1], module_px, boxes[0], boxes[3], everything)


def scribble(page: Image.Image, code: PxBox) -> None:
    """Strike a printed code out with a thick pen, so that nobody can read it."""
    left, top, right, bottom = code
    passes = 9
    steps = [
        (left + (right - left) * step / passes, bottom if step % 2 else top)
        for step in range(passes + 1)
    ]
    width = max(3, round((right - left) / passes * 0.62))
    draw = ImageDraw.Draw(page)
    draw.line(steps, fill=_PEN, width=width, joint="curve")
    draw.line([(left, (top + bottom) / 2), (right, (top + bottom) / 2)], fill=_PEN, width=width)


def _line(text: str, size: float, colour: Colour, width: int, *, bold: bool = False) -> Line | None:
    return Line(text, round(size), colour, width_px=width, bold=bold) if text else None


def _sized(
    code: Modules | None, room: tuple[int, int], spec: SheetSpec
) -> tuple[Image.Image | None, int]:
    """Return a code as large as is usual, or as fits, in whole modules."""
    if code is None:
        return None, 0
    wanted = max(2, round(spec.dpi / 25.4 * _MODULE_MM.get(code.symbology, _LINEAR_MODULE_MM)))
    fits = room[0] // code.full_width
    if not code.is_linear:
        fits = min(fits, room[1] // (code.dark.shape[0] + 2 * code.quiet))
    module_px = min(wanted, fits)
    low, high = (spec.px(height) for height in _BAR_HEIGHTS_MM)
    if module_px < _SMALLEST_MODULE_PX or (code.is_linear and room[1] < low):
        raise ValueError(f"sheet spec {spec.name!r}: no room for {code.symbology} {code.text!r}")
    bar_height = min(high, room[1], max(low, code.dark.shape[1] * module_px // 2))
    return code.image(module_px, bar_height), module_px


def _stack(
    parts: Sequence[Line | Image.Image | None],
    room: PxBox,
    spec: SheetSpec,
    *,
    gap: int,
    indent: int,
) -> list[PxBox | None]:
    """Return the parts' boxes, one below the other, at the room's edge that faces the picture."""
    heights = [part.height + gap for part in parts if part is not None]
    slack = room[3] - room[1] - sum(heights) + gap
    side = spec.label_side
    top = room[1] + {"below": 0, "above": slack}.get(side, slack // 2)
    is_left = spec.align == "left"
    boxes: list[PxBox | None] = []
    for part in parts:
        if part is None:
            boxes.append(None)
            continue
        free = room[2] - room[0] - part.width
        left = room[0] + {"right": indent, "left": free - indent}.get(
            side, 0 if is_left and isinstance(part, Line) else free // 2
        )
        boxes.append((left, top, left + part.width, top + part.height))
        top += part.height + gap
    return boxes


def _print_plate(page: Image.Image, code: PxBox, reach: int) -> None:
    """Print the white ground of a code on a shaded card, quiet zones included."""
    left, top, right, bottom = code
    ImageDraw.Draw(page).rectangle(
        (left - reach, top - reach // 3, right + reach, bottom + reach // 3), fill=(255, 255, 255)
    )


def _print_part(page: Image.Image, part: Line | Image.Image, box: PxBox) -> None:
    if isinstance(part, Line):
        part.print_at(page, box[0], box[1])
    else:
        page.paste(part, box[:2])
