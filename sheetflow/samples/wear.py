"""Drawn products to wear and to carry."""

from __future__ import annotations

from sheetflow.samples.canvas import WHITE, Canvas, across, ball, cylinder, down, lit, mix
from sheetflow.samples.palette import Palette
from sheetflow.samples.shapes import box, ellipse, mirrored, moved, smooth, star, turned
from sheetflow.samples.tableware import ground

_SHADOW = (58, 58, 70)
_RUBBER = (226, 222, 212)


def shirt(canvas: Canvas, colours: Palette) -> None:
    """Draw a T-shirt with a print."""
    body = mirrored([(61, 8), (70, 11), (82, 17), (96, 40), (83, 47), (76, 37), (76, 94), (50, 96)])
    canvas.fill(moved(body, 0.8, 1.2), _SHADOW, opacity=0.4, soft=0.9)
    fabric = across(
        (0, lit(colours.main, -0.1)),
        (0.3, lit(colours.main, 0.12)),
        (0.62, colours.main),
        (1, lit(colours.main, -0.2)),
    )
    canvas.fill(body, fabric)
    for fold in _folds():
        canvas.fill(fold, lit(colours.main, -0.6), opacity=0.28, soft=1.6, within=body)
    for x in (24, 76):
        canvas.stroke([(x, 37), (x + (50 - x) * 0.24, 14)], 0.6, lit(colours.main, -0.45))
    neck = ellipse(50, 8, 12, 9, end_deg=180)
    canvas.fill(neck, lit(colours.main, -0.55))
    canvas.stroke(neck, 2.2, lit(colours.main, -0.22))
    canvas.stroke([(25, 91), (75, 91)], 0.5, lit(colours.main, -0.4))
    canvas.fill(ellipse(50, 45, 13, 13), colours.accent)
    canvas.fill(star(50, 45, 10.5, 4.6, points=5), lit(colours.main, 0.04))


def _folds() -> list[list[tuple[float, float]]]:
    left = smooth([(26, 40), (32, 56), (28, 80), (31, 92), (35, 78), (34, 54)])
    right = smooth([(74, 42), (66, 60), (70, 84), (66, 94), (62, 76), (64, 56)])
    hem = smooth([(44, 70), (48, 82), (46, 95), (51, 94), (52, 80)])
    return [left, right, hem]


def shoe(canvas: Canvas, colours: Palette) -> None:
    """Draw a running shoe."""
    ground(canvas, 78, 44)
    upper = smooth(
        [
            *((6, 44), (10, 31), (22, 28), (33, 33), (46, 44), (62, 52)),
            *((82, 57), (94, 64), (95, 72), (60, 74), (20, 74), (5, 70)),
        ]
    )
    canvas.fill(upper, down(lit(colours.main, 0.22), lit(colours.main, -0.26)))
    opening = smooth([(10, 32), (22, 28), (33, 33), (27, 36), (17, 36)])
    canvas.fill(opening, lit(colours.main, -0.62))
    heel = smooth([(4, 46), (10, 40), (17, 52), (18, 74), (5, 72)])
    canvas.fill(heel, lit(colours.main, -0.34), within=upper)
    toe = smooth([(80, 55), (97, 62), (97, 76), (72, 76), (74, 64)])
    canvas.fill(toe, lit(colours.accent, 0.05), within=upper)
    swoop = smooth([(20, 66), (36, 60), (54, 50), (58, 52), (44, 64), (26, 71)])
    canvas.fill(swoop, colours.accent, within=upper)
    for step in range(5):
        x, y = 36 + step * 6.4, 36 + step * 4.0
        canvas.stroke([(x, y + 1), (x - 5, y + 8)], 1.9, (248, 246, 240))
    sole = smooth([(3, 69), (30, 72), (62, 72), (96, 69), (98, 75), (92, 80), (50, 80), (6, 79)])
    canvas.fill(sole, down(lit(_RUBBER, 0.4), lit(_RUBBER, -0.28)))
    canvas.fill(box(2, 77.2, 99, 82), lit(colours.main, -0.4), within=sole)


def backpack(canvas: Canvas, colours: Palette) -> None:
    """Draw a backpack with a front pocket."""
    ground(canvas, 94, 28)
    canvas.stroke(ellipse(50, 13, 9, 8, start_deg=180), 2.8, lit(colours.main, -0.5))
    for x, outward in ((20, -1), (80, 1)):
        strap = [(x, 38), (x + outward * 6, 58), (x + outward * 2, 84)]
        canvas.stroke(smooth(strap, closed=False), 4, lit(colours.main, -0.5))
    body = mirrored(
        smooth([(50, 10), (68, 14), (78, 34), (80, 70), (74, 93), (50, 95)], closed=False)
    )
    canvas.fill(body, cylinder(colours.main, gloss=0.22))
    flap = mirrored(smooth([(50, 14), (65, 18), (72, 36), (68, 44), (50, 46)], closed=False))
    canvas.fill(moved(flap, 0, 1.4), (16, 16, 24), opacity=0.4, soft=0.9, within=body)
    canvas.fill(flap, down(lit(colours.main, 0.22), lit(colours.main, -0.08)))
    pocket = box(28, 56, 72, 90, radius=6)
    canvas.fill(moved(pocket, 0, 1), (16, 16, 24), opacity=0.4, soft=0.8)
    canvas.fill(pocket, down(lit(colours.main, 0.08), lit(colours.main, -0.22)))
    canvas.stroke([(32, 64), (68, 64)], 1.3, lit(colours.main, -0.6))
    canvas.fill(box(60, 64, 62.6, 71, radius=1), colours.accent)
    for x in (40, 60):
        canvas.fill(box(x - 2, 40, x + 2, 58, radius=0.8), lit(colours.accent, -0.16))
        canvas.fill(box(x - 3, 48, x + 3, 53, radius=1), (190, 190, 196))
    canvas.fill(box(44, 24, 56, 33, radius=1.4), colours.accent)


def headphones(canvas: Canvas, colours: Palette) -> None:
    """Draw over-ear headphones."""
    arch = ellipse(50, 52, 36, 40, start_deg=180)
    canvas.stroke(moved(arch, 0.8, 1.2), 6.4, _SHADOW, opacity=0.4)
    canvas.stroke(arch, 6.4, lit(colours.main, -0.3))
    canvas.stroke(ellipse(50, 52, 37, 41, start_deg=190, end_deg=300), 2, lit(colours.main, 0.35))
    pad = ellipse(50, 52, 33.4, 37.4, start_deg=225, end_deg=315)
    canvas.stroke(pad, 3.2, colours.accent)
    for x, inward in ((14, 1), (86, -1)):
        canvas.fill(box(x - 2.6, 44, x + 2.6, 60, radius=2), cylinder((172, 176, 184)))
        cushion = ellipse(x + inward * 8, 69, 7, 17)
        canvas.fill(cushion, cylinder((52, 52, 58), gloss=0.3))
        cup = ellipse(x, 69, 9, 19)
        canvas.fill(cup, ball(colours.main))
        canvas.fill(ellipse(x - inward * 1, 69, 5, 11), lit(colours.main, -0.26))
        canvas.fill(ellipse(x - inward * 1.4, 69, 3, 6.6), ball(colours.accent))


def umbrella(canvas: Canvas, colours: Palette) -> None:
    """Draw an open umbrella."""
    canvas.stroke([(50, 30), (50, 86)], 1.8, (150, 154, 162))
    canvas.stroke(ellipse(55.2, 86, 5.2, 7, start_deg=180, end_deg=10), 2.6, (140, 94, 56))
    canvas.stroke([(50, 4), (50, 14)], 1.8, (150, 154, 162))
    edges = (4, 19, 38, 62, 81, 96)
    hues = (colours.main, colours.accent, colours.main, colours.accent, colours.main)
    for left, right, hue in zip(edges, edges[1:], hues, strict=False):
        middle = (left + right) / 2
        panel = [*smooth([(50, 9), _rib(left), (left, 50)], closed=False)]
        panel += smooth([(left, 50), (middle, 45.4), (right, 50)], closed=False)
        panel += smooth([(right, 50), _rib(right), (50, 9)], closed=False)
        tone = -0.26 * (middle / 100) + 0.06
        canvas.fill(panel, down(lit(hue, max(tone, 0)), lit(hue, tone - 0.22)))
    for edge in edges[1:-1]:
        rib = smooth([(50, 9), _rib(edge), (edge, 50)], closed=False)
        canvas.stroke(rib, 0.5, (24, 24, 32), opacity=0.5)
    canvas.glint(smooth([(18, 36), (28, 22), (38, 16), (27, 34)]), opacity=0.28, soft=2)


def _rib(edge: float) -> tuple[float, float]:
    return (50 + (edge - 50) * 0.78, 22 - abs(edge - 50) * 0.04)


def watch(canvas: Canvas, colours: Palette) -> None:
    """Draw a wristwatch with a leather strap."""
    strap = mirrored([(58, 2), (61, 28), (61, 72), (57, 98), (50, 98)])
    strap.insert(0, (50, 2))
    canvas.fill(moved(strap, 1, 0.8), _SHADOW, opacity=0.4, soft=0.8)
    canvas.fill(strap, cylinder(colours.main, gloss=0.22))
    for x in (42.4, 57.6):
        stitches = [(x, y) for y in range(5, 97, 4)]
        for top in stitches:
            canvas.stroke([top, (x, top[1] + 1.8)], 0.6, lit(colours.accent, 0.2))
    canvas.fill(box(73, 46, 78, 54, radius=1), cylinder((186, 188, 194)))
    canvas.fill(ellipse(50, 50, 25, 25), ball((188, 190, 198)))
    canvas.fill(ellipse(50, 50, 21.5, 21.5), (40, 42, 50))
    canvas.fill(
        ellipse(50, 50, 20.5, 20.5), down(lit(colours.accent, 0.55), lit(colours.accent, 0.3))
    )
    for hour in range(12):
        tick = box(49.3, 31, 50.7, 35.4)
        canvas.fill(turned(tick, hour * 30, x=50, y=50), mix(colours.main, (20, 20, 30), 0.5))
    for angle, reach, width in ((-58, 12, 2.2), (62, 16.5, 1.6)):
        hand = turned([(50, 50), (50, 50 - reach)], angle, x=50, y=50)
        canvas.stroke(hand, width, (40, 42, 50))
    canvas.fill(ellipse(50, 50, 1.8, 1.8), colours.main)
    canvas.fill(smooth([(36, 42), (46, 33), (54, 33), (40, 46)]), WHITE, opacity=0.4, soft=1)
