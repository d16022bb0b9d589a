"""Drawn products for kitchen and table."""

from __future__ import annotations

from sheetflow.samples.canvas import WHITE, Canvas, across, cylinder, down, lit, mix
from sheetflow.samples.palette import Palette
from sheetflow.samples.shapes import box, ellipse, lathe, mirrored, smooth

_STEEL = (176, 182, 190)
_WOOD = (176, 122, 72)
_SHADOW = (58, 58, 70)


def ground(canvas: Canvas, y: float, half_width: float, *, x: float = 50) -> None:
    """Lay the soft shadow of something that stands on the paper."""
    canvas.fill(ellipse(x, y, half_width, 2.6), _SHADOW, opacity=0.34, soft=1.0)


def mug(canvas: Canvas, colours: Palette) -> None:
    """Draw a mug with a handle and a banded body."""
    ground(canvas, 87, 27, x=45)
    handle = smooth([(69, 38), (84, 36), (89, 52), (83, 68), (68, 70)], closed=False)
    canvas.stroke(handle, 7.5, lit(colours.main, -0.34))
    canvas.stroke([(x - 0.6, y - 0.8) for x, y in handle], 4.4, lit(colours.main, -0.02))
    body = lathe([(27, 22), (27.4, 50), (26, 72), (21, 85)], axis=45, sag=0.1)
    canvas.fill(body, cylinder(colours.main))
    band = [(10, 50), *ellipse(45, 50, 36, 3.2, start_deg=180, end_deg=0), (80, 62)]
    band += ellipse(45, 62, 36, 3.2, start_deg=0, end_deg=180)
    canvas.fill(band, cylinder(colours.accent), within=body)
    canvas.fill(ellipse(45, 22, 27, 5.4), lit(colours.main, 0.32))
    canvas.fill(ellipse(45, 22.5, 24.6, 4.2), down((62, 38, 26), (120, 74, 44)))
    canvas.glint(smooth([(25, 32), (29, 31), (30, 74), (27, 74)]), opacity=0.32)


def bottle(canvas: Canvas, colours: Palette) -> None:
    """Draw a glass bottle with a paper label."""
    glass = lit(colours.main, -0.22)
    ground(canvas, 94, 16)
    body = lathe([(5, 10), (5.2, 28), (8, 36), (15.5, 46), (16, 60), (16, 92)], sag=0.1)
    canvas.fill(body, cylinder(glass, gloss=0.5))
    canvas.fill(box(44, 3, 56, 13, radius=1.4), cylinder(lit(colours.accent, -0.25)))
    canvas.fill(box(44.2, 12, 55.8, 14, radius=0.8), cylinder(lit(colours.accent, -0.45)))
    label = (246, 238, 218)
    canvas.fill(box(34, 54, 66, 83), cylinder(label, gloss=0.3), within=body)
    canvas.fill(box(34, 56, 66, 57), cylinder(colours.accent), within=body)
    canvas.fill(box(34, 80, 66, 81), cylinder(colours.accent), within=body)
    canvas.fill(ellipse(50, 64, 5, 5), cylinder(colours.main))
    for y, half in ((72, 8.5), (75.4, 6)):
        canvas.fill(box(50 - half, y, 50 + half, y + 1.4), mix(colours.main, (40, 30, 20), 0.5))
    canvas.glint(smooth([(38, 48), (40, 47), (40.5, 88), (38, 88)]), opacity=0.4, soft=0.8)


def flask(canvas: Canvas, colours: Palette) -> None:
    """Draw a steel drinking flask with a coloured coat."""
    ground(canvas, 95, 13)
    canvas.fill(lathe([(13, 28), (13.4, 60), (13, 93)], sag=0.12), cylinder(colours.main))
    shoulder = lathe([(7.4, 19), (9, 22), (13, 28), (13, 30)], sag=0.1)
    canvas.fill(shoulder, cylinder(_STEEL, gloss=0.75))
    canvas.fill(box(42, 7, 58, 20, radius=2), cylinder(lit(colours.main, -0.35)))
    for y in (10, 13, 16):
        canvas.fill(box(42, y, 58, y + 0.9), (20, 20, 24), opacity=0.35)
    canvas.stroke([(46, 7), (46, 3.4), (54, 3.4), (54, 7)], 2.2, lit(colours.main, -0.45))
    canvas.fill(lathe([(13, 88), (12.6, 93)], sag=0.12), cylinder(_STEEL, gloss=0.75))
    mark = smooth([(50, 50), (55, 58), (50, 66), (45, 58)])
    canvas.fill(mark, colours.accent, opacity=0.95)


def saucepan(canvas: Canvas, colours: Palette) -> None:
    """Draw a lidded saucepan with a long handle."""
    ground(canvas, 81, 32, x=38)
    canvas.fill(box(66, 49, 98, 55, radius=3), down(lit(colours.accent, 0.2), (40, 34, 34)))
    canvas.fill(box(64, 50, 72, 54), down(lit(_STEEL, 0.4), lit(_STEEL, -0.4)))
    pot = [*ellipse(38, 42, 32, 5, start_deg=180, end_deg=360)]
    pot += smooth([(70, 42), (70, 66), (66, 77)], closed=False)
    pot += ellipse(38, 77, 28, 4, start_deg=0, end_deg=180)
    pot += smooth([(10, 77), (6, 66), (6, 42)], closed=False)
    canvas.fill(pot, cylinder(colours.main, gloss=0.4))
    lid = [*ellipse(38, 42, 33, 5, start_deg=0, end_deg=180)]
    lid += smooth([(5, 41), (14, 33), (38, 28), (62, 33), (71, 41)], closed=False)
    canvas.fill(lid, cylinder(lit(colours.main, 0.12), gloss=0.6))
    rim = smooth([(5, 42), (20, 46), (38, 47), (56, 46), (71, 42)], closed=False)
    canvas.stroke(rim, 1.3, across((0, _STEEL), (0.3, WHITE), (1, lit(_STEEL, -0.4))))
    canvas.fill(lathe([(5, 20), (6, 22), (3, 27), (3.4, 30)], axis=38), cylinder(colours.accent))
    canvas.glint(smooth([(13, 52), (18, 53), (19, 72), (15, 70)]), opacity=0.3)


def teapot(canvas: Canvas, colours: Palette) -> None:
    """Draw a round teapot."""
    ground(canvas, 84, 26)
    handle = smooth([(29, 42), (12, 38), (8, 54), (15, 68), (30, 70)], closed=False)
    canvas.stroke(handle, 5.6, lit(colours.main, -0.25))
    canvas.stroke([(x, y - 0.8) for x, y in handle], 2.6, lit(colours.main, 0.18))
    spout = [*smooth([(70, 70), (82, 62), (85, 48), (93, 40)], closed=False)]
    spout += smooth([(87, 37), (79, 44), (75, 52), (68, 54)], closed=False)
    canvas.fill(spout, down(lit(colours.main, 0.1), lit(colours.main, -0.35)))
    body = lathe([(14, 33), (25, 42), (29, 56), (25, 72), (18, 82)], sag=0.12)
    canvas.fill(body, cylinder(colours.main, gloss=0.5))
    for x in (31, 39, 47, 55, 63):
        canvas.fill(ellipse(x + 2, 60, 2.5, 3.4), lit(colours.accent, -0.05), within=body)
    lid = [*ellipse(50, 33, 15.5, 3, start_deg=0, end_deg=180)]
    lid += smooth([(34.5, 33), (40, 27), (50, 25), (60, 27), (65.5, 33)], closed=False)
    canvas.fill(lid, cylinder(lit(colours.main, 0.1), gloss=0.6))
    canvas.fill(ellipse(50, 22, 4, 4), cylinder(colours.accent))
    canvas.glint(smooth([(30, 48), (36, 44), (36, 66), (31, 68)]), opacity=0.35)


def board(canvas: Canvas, colours: Palette) -> None:
    """Draw a wooden cutting board with a loop."""
    plank = mirrored(
        [(54, 6), (57, 10), (57, 22), (62, 27), (76, 30), (78, 34), (78, 91), (75, 95), (50, 95)]
    )
    canvas.fill([(x + 1.2, y + 1.2) for x, y in plank], _SHADOW, opacity=0.4, soft=0.9)
    wood = mix(_WOOD, colours.main, 0.18)
    canvas.fill(plank, across((0, lit(wood, 0.16)), (0.5, wood), (1, lit(wood, -0.14))))
    for number, x in enumerate(range(25, 77, 4)):
        bend = (number * 7) % 5 - 2
        grain = smooth([(x, 0), (x + bend, 40), (x - bend, 70), (x + 1, 100)], closed=False)
        canvas.stroke(grain, 0.7 + number % 3 * 0.4, lit(wood, -0.3), opacity=0.35, within=plank)
    canvas.fill(ellipse(50, 14, 3.4, 3.4), lit(wood, -0.72))
    canvas.stroke(smooth([(50, 14), (58, 4), (66, 9), (60, 20)], closed=False), 1.2, colours.accent)
