"""Drawn products for the home and the desk."""

from __future__ import annotations

import math

from sheetflow.samples.canvas import Canvas, across, ball, cylinder, down, lit, mix
from sheetflow.samples.palette import Palette
from sheetflow.samples.shapes import box, ellipse, lathe, mirrored, moved, smooth, turned
from sheetflow.samples.tableware import ground

_BRASS = (196, 158, 84)
_WOOD = (168, 116, 68)
_SHADOW = (58, 58, 70)


def lamp(canvas: Canvas, colours: Palette) -> None:
    """Draw a table lamp with a lit shade."""
    ground(canvas, 95, 20)
    canvas.fill(lathe([(17, 91), (18, 94)], sag=0.16), cylinder(_BRASS))
    canvas.fill(ellipse(50, 91, 17, 2.8), lit(_BRASS, 0.3))
    canvas.fill(box(48.6, 44, 51.4, 91), cylinder(_BRASS, gloss=0.7))
    canvas.fill(lathe([(4, 58), (8.5, 66), (7.5, 76), (3, 86)], sag=0.2), ball(colours.accent))
    shade = [(36, 9), (64, 9), (79, 50), *ellipse(50, 50, 29, 4, end_deg=180), (21, 50)]
    glow = mix(colours.main, (255, 236, 170), 0.45)
    canvas.fill(shade, cylinder(colours.main, gloss=0.35))
    canvas.fill(ellipse(50, 42, 22, 14), glow, opacity=0.55, soft=6, within=shade)
    canvas.fill(ellipse(50, 9, 14, 2), lit(colours.main, 0.3))
    canvas.stroke(ellipse(50, 50, 28.6, 4, end_deg=180), 1.2, lit(colours.main, -0.45))


def clock(canvas: Canvas, colours: Palette) -> None:
    """Draw a wall clock at ten past ten."""
    canvas.fill(ellipse(51, 52, 43, 43), _SHADOW, opacity=0.45, soft=1.0)
    canvas.fill(ellipse(50, 50, 43, 43), ball(colours.main))
    canvas.fill(ellipse(50, 50, 37, 37), lit(colours.main, -0.5))
    canvas.fill(ellipse(50, 50.6, 36, 36), down((236, 232, 222), (252, 250, 244)))
    for hour in range(12):
        length = 7 if hour % 3 == 0 else 4
        tick = box(49 - (hour % 3 == 0) * 0.5, 17, 51 + (hour % 3 == 0) * 0.5, 17 + length)
        canvas.fill(turned(tick, hour * 30, x=50, y=50), (52, 54, 62))
    _hand(canvas, length=19, width=3.2, angle_deg=-55)
    _hand(canvas, length=28, width=2.2, angle_deg=60)
    second = turned([(49.6, 18), (50.4, 18), (50.6, 60), (49.4, 60)], 190, x=50, y=50)
    canvas.fill(second, colours.accent)
    canvas.fill(ellipse(50, 50, 2.6, 2.6), colours.accent)
    canvas.glint(smooth([(24, 34), (40, 20), (56, 19), (34, 38)]), opacity=0.4, soft=2)


def _hand(canvas: Canvas, *, length: float, width: float, angle_deg: float) -> None:
    blade = [(50 - width / 2, 53), (50 - width / 3, 50 - length), (50 + width / 3, 50 - length)]
    blade.append((50 + width / 2, 53))
    blade = turned(blade, angle_deg, x=50, y=50)
    canvas.fill(moved(blade, 0.8, 1), _SHADOW, opacity=0.35, soft=0.5)
    canvas.fill(blade, (44, 46, 54))


def book(canvas: Canvas, colours: Palette) -> None:
    """Draw a standing hardback."""
    ground(canvas, 93, 30, x=52)
    canvas.fill([(70, 12), (80, 7), (80, 86), (70, 93)], down((250, 246, 232), (206, 198, 176)))
    for share in (0.25, 0.5, 0.75):
        x = 70 + 10 * share
        canvas.stroke([(x, 12 - 5 * share), (x, 93 - 7 * share)], 0.4, (150, 142, 124))
    canvas.fill([(24, 12), (34, 7), (80, 7), (70, 12)], down((226, 218, 198), (250, 246, 232)))
    cover = box(22, 12, 70, 93, radius=1)
    canvas.fill(cover, across((0, lit(colours.main, 0.12)), (1, lit(colours.main, -0.14))))
    spine = across((0, lit(colours.main, -0.4)), (0.5, colours.main), (1, lit(colours.main, -0.4)))
    canvas.fill(box(22, 12, 28, 93, radius=1), spine)
    canvas.fill(box(34, 22, 64, 24), colours.accent)
    canvas.fill(box(34, 27, 56, 29), colours.accent)
    sun = ellipse(49, 56, 12, 12)
    canvas.fill(sun, down(lit(colours.accent, 0.25), lit(colours.accent, -0.1)))
    for step, shade in enumerate((-0.2, -0.38)):
        y = 60 + 7 * step
        hills = [*smooth([(28, y + 4), (40, y - 3), (52, y + 4), (70, y - 2)], closed=False)]
        hills += [(70, 82), (28, 82)]
        canvas.fill(hills, lit(colours.main, shade), within=box(28.4, 12, 69.6, 93))


def plant(canvas: Canvas, colours: Palette) -> None:
    """Draw a leafy plant in a pot."""
    ground(canvas, 95, 18)
    leaves = ((-62, 33), (58, 34), (-38, 42), (36, 43), (-16, 48), (14, 49), (-80, 24), (78, 25))
    for number, (angle, length) in enumerate(leaves):
        _leaf(canvas, angle_deg=angle, length=length, shade=-0.3 + number * 0.06)
    _leaf(canvas, angle_deg=0, length=52, shade=0.1)
    pot = [(33, 62), (67, 62), (62, 93), *ellipse(50, 93, 12, 2.4, end_deg=180), (38, 93)]
    canvas.fill(pot, cylinder(colours.main))
    canvas.fill(box(31, 59, 69, 67, radius=1.5), cylinder(lit(colours.main, 0.06)))
    canvas.fill(box(33, 67, 67, 69), (20, 20, 20), opacity=0.22, soft=0.5, within=pot)


def _leaf(canvas: Canvas, *, angle_deg: float, length: float, shade: float) -> None:
    green = lit((62, 138, 74), shade)
    half = mirrored([(50, 61 - length), (50 + length * 0.17, 61 - length * 0.55), (51, 61)])
    outline = turned(smooth(half), angle_deg, x=50, y=61)
    canvas.fill(outline, down(lit(green, 0.22), lit(green, -0.3)))
    rib = turned([(50, 61 - length * 0.94), (50, 61)], angle_deg, x=50, y=61)
    canvas.stroke(rib, 0.7, lit(green, 0.4), opacity=0.7)


def chair(canvas: Canvas, colours: Palette) -> None:
    """Draw an armchair on wooden legs."""
    ground(canvas, 94, 34)
    for x, lean in ((25, -3), (75, 3), (36, -1), (64, 1)):
        leg = [(x - 2, 76), (x + 2, 76), (x + lean + 1, 94), (x + lean - 1, 94)]
        canvas.fill(leg, cylinder(_WOOD))
    back = mirrored(smooth([(50, 10), (68, 13), (74, 26), (73, 60), (50, 64)], closed=False))
    canvas.fill(back, down(lit(colours.main, 0.16), lit(colours.main, -0.22)))
    for x in (38, 50, 62):
        crease = [(x, 16), (50 + (x - 50) * 0.9, 56)]
        canvas.stroke(crease, 0.8, lit(colours.main, -0.35), opacity=0.6)
    cushion = box(26, 54, 74, 72, radius=6)
    canvas.fill(moved(cushion, 0, 1.4), lit(colours.main, -0.55), soft=0.8, opacity=0.7)
    canvas.fill(cushion, down(lit(colours.main, 0.24), lit(colours.main, -0.1)))
    canvas.fill(box(22, 69, 78, 80, radius=4), down(colours.main, lit(colours.main, -0.42)))
    for left in (13, 73):
        arm = box(left, 42, left + 14, 79, radius=6)
        canvas.fill(arm, cylinder(lit(colours.main, -0.04), gloss=0.25))
    pillow = smooth([(40, 36), (60, 34), (62, 54), (42, 56)])
    canvas.fill(pillow, ball(colours.accent, gloss=0.35))


def parcel(canvas: Canvas, colours: Palette) -> None:
    """Draw a gift box with a ribbon."""
    ground(canvas, 91, 33, x=48)
    front = [(14, 40), (62, 46), (62, 92), (14, 84)]
    side = [(62, 46), (86, 36), (86, 78), (62, 92)]
    canvas.fill(front, down(lit(colours.main, 0.1), lit(colours.main, -0.12)))
    canvas.fill(side, down(lit(colours.main, -0.26), lit(colours.main, -0.48)))
    ribbon = colours.accent
    canvas.fill([(33, 42), (42, 43), (42, 89), (33, 87)], down(ribbon, lit(ribbon, -0.2)))
    canvas.fill([(71, 42), (76, 40), (76, 84), (71, 87)], lit(ribbon, -0.4))
    canvas.fill([(10, 32), (38, 24), (90, 29), (62, 39)], lit(colours.main, 0.3))
    canvas.fill(
        [(10, 32), (62, 39), (62, 50), (10, 43)], down(colours.main, lit(colours.main, -0.1))
    )
    canvas.fill([(62, 39), (90, 29), (90, 39), (62, 50)], lit(colours.main, -0.36))
    canvas.fill([(32, 35), (42, 36.4), (42, 47), (32, 46)], lit(ribbon, -0.04))
    canvas.fill([(72, 35.4), (78, 33.4), (78, 43.6), (72, 46)], lit(ribbon, -0.36))
    canvas.fill([(32, 35), (60, 26.2), (68, 27), (42, 36.4)], lit(ribbon, 0.14))
    for side_x in (-1, 1):
        loop = [(49, 30), (49 + side_x * 9, 16), (49 + side_x * 20, 17), (49 + side_x * 15, 28)]
        canvas.fill(smooth(loop), down(lit(ribbon, 0.22), lit(ribbon, -0.3)))
    canvas.fill(ellipse(49, 29, 4, 3.4), ball(ribbon))


def beach_ball(canvas: Canvas, colours: Palette) -> None:
    """Draw a beach ball of coloured wedges that meet at its cap."""
    ground(canvas, 93, 24)
    disc = ellipse(50, 51, 42, 42)
    hues = (colours.main, (240, 234, 222), colours.accent, (240, 234, 222))
    for wedge in range(8):
        outline = [*_seam(wedge * 45 - 70), *reversed(_seam(wedge * 45 - 25))]
        canvas.fill(outline, hues[wedge % 4], within=disc)
    for wedge in range(8):
        canvas.stroke(_seam(wedge * 45 - 70), 0.5, (40, 40, 56), opacity=0.35, within=disc)
    crescent = [*ellipse(50, 51, 43, 43, start_deg=-40, end_deg=140)]
    crescent += ellipse(42, 42, 44, 44, start_deg=140, end_deg=-40)
    canvas.fill(crescent, (16, 16, 48), opacity=0.4, soft=4, within=disc)
    canvas.fill(ellipse(40, 34, 4.4, 4), lit(colours.main, -0.15))
    canvas.glint(ellipse(31, 27, 9, 6), opacity=0.6, soft=2.4)


def _seam(angle_deg: float) -> list[tuple[float, float]]:
    """Return a line from the cap at (40, 34) to beyond the rim, bent as on a sphere."""
    cos, sin = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    bend = 0.6 * math.sin(math.radians(angle_deg - 50))
    points = [
        (
            40 + 76 * reach * (cos - sin * bend * (1 - reach)),
            34 + 76 * reach * (sin + cos * bend * (1 - reach)),
        )
        for reach in (0.0, 0.3, 0.6, 1.0)
    ]
    return smooth(points, closed=False)
