"""Photo-like pictures that fill a rectangle: landscapes, materials and still lifes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sheetflow.samples.canvas import Colour, lit, mix
from sheetflow.samples.noise import clouds, ridge
from sheetflow.samples.palette import Palette

Pixels = NDArray[np.float32]
Share = NDArray[np.floating]


@dataclass(frozen=True)
class Photo:
    """A subject to photograph.

    Attributes:
        name: What the caption calls it.
        draw: Given (width, height), a palette and a random source, returns float RGB, 0 to 255.
    """

    name: str
    draw: Callable[[tuple[int, int], Palette, np.random.Generator], Pixels]


def draw_photo(
    photo: Photo, palette: Palette, size: tuple[int, int], random: np.random.Generator
) -> Image.Image:
    """Return a photo as an RGB image of a size, darker toward its corners."""
    pixels = photo.draw(size, palette, random)
    across, down = np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1])
    falloff = 1 - 0.16 * (across[np.newaxis] ** 2 + down[:, np.newaxis] ** 2)
    # Never as light as paper, so that the picture's edge is an edge.
    shaded = np.clip(pixels * falloff[..., np.newaxis], 0, 226)
    return Image.fromarray(shaded.astype(np.uint8))


def _sky(size: tuple[int, int], top: Colour, bottom: Colour) -> Pixels:
    share = np.linspace(0, 1, size[1], dtype=np.float32)[:, np.newaxis, np.newaxis]
    rows = np.array(top, np.float32) * (1 - share) + np.array(bottom, np.float32) * share
    return np.repeat(rows, size[0], axis=1)


def _blend(pixels: Pixels, colour: Colour, share: Share) -> None:
    pixels += (np.array(colour, np.float32) - pixels) * share[..., np.newaxis].astype(np.float32)


def _glow(size: tuple[int, int], x: float, y: float, radius: float) -> Share:
    """Return 1 inside a disc at shares (x, y) of the size, 0 outside, with a soft edge."""
    disc: Share = np.clip((radius * min(size) - _distance(size, x, y)) / 1.5 + 0.5, 0, 1)
    return disc


def _distance(size: tuple[int, int], x: float, y: float) -> Share:
    """Return how far each pixel is from shares (x, y) of the size, in pixels."""
    columns, rows = np.arange(size[0])[np.newaxis], np.arange(size[1])[:, np.newaxis]
    away: Share = np.hypot(columns - x * size[0], rows - y * size[1])
    return away


def _below(size: tuple[int, int], edge: Share) -> Share:
    """Return 1 below a line given as a height in pixels for each column, 0 above."""
    mask: Share = np.clip(np.arange(size[1])[:, np.newaxis] - edge[np.newaxis] + 0.5, 0, 1)
    return mask


def _mountains(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, mix(palette.main, (60, 90, 150), 0.6), (244, 206, 168))
    _blend(pixels, (255, 240, 210), _glow(size, random.uniform(0.25, 0.75), 0.34, 0.08))
    for layer in range(5):
        share = layer / 4
        edge = size[1] * (0.36 + 0.13 * layer - (0.2 - 0.03 * layer) * ridge(size[0], random))
        stone = mix((176, 160, 176), lit(palette.main, -0.62), share)
        mask = _below(size, edge)
        haze = np.clip((np.arange(size[1])[:, np.newaxis] - edge) / (0.3 * size[1]), 0, 1)
        _blend(pixels, stone, mask)
        _blend(pixels, lit(stone, 0.28), mask * haze * (0.8 - 0.6 * share))
    return pixels


def _sea(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, lit(mix(palette.main, (70, 60, 130), 0.5), -0.1), (250, 178, 110))
    sun_x, horizon = random.uniform(0.3, 0.7), 0.58
    halo = 1 - _distance(size, sun_x, horizon - 0.1) / (0.7 * min(size))
    _blend(pixels, (255, 206, 150), 0.75 * np.clip(halo, 0, 1) ** 2)
    _blend(pixels, (255, 236, 190), _glow(size, sun_x, horizon - 0.1, 0.11))
    haze = clouds(size, random, octaves=4, stretch=4.0)
    _blend(pixels, (255, 214, 176), np.clip(haze * 1.8 - 0.9, 0, 1) * 0.7)
    water = _below(size, np.full(size[0], horizon * size[1]))
    _blend(pixels, lit(mix(palette.main, (24, 62, 104), 0.65), -0.25), water)
    ripples = clouds(size, random, octaves=5, stretch=9.0)
    away = np.abs(np.linspace(0, 1, size[0]) - sun_x)[np.newaxis]
    path = np.clip(1.1 - away * 6, 0.12, 1) * np.clip(ripples * 3 - 1.35, 0, 1)
    _blend(pixels, (255, 214, 150), water * path)
    return pixels


def _dunes(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, mix(palette.main, (84, 150, 200), 0.7), (206, 220, 222))
    for layer in range(4):
        swell = ridge(size[0], random, octaves=2)
        edge = size[1] * (0.42 + 0.15 * layer - 0.2 * swell)
        sand = mix((224, 178, 120), (150, 92, 56), layer / 4)
        mask = _below(size, edge)
        _blend(pixels, sand, mask)
        slope = np.gradient(edge)[np.newaxis]
        _blend(pixels, lit(sand, -0.4), mask * np.clip(slope * 1.6, 0, 0.75))
        wind = clouds(size, random, octaves=5, stretch=7.0)
        _blend(pixels, lit(sand, 0.3), mask * np.clip(wind * 2 - 1, 0, 1) * 0.5)
    return pixels


def _forest(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, (206, 214, 204), mix(palette.main, (190, 204, 190), 0.75))
    for layer in range(5):
        base = size[1] * (0.42 + 0.13 * layer)
        edge = base - size[1] * (0.16 * ridge(size[0], random) + _firs(size, layer, random))
        green = mix((150, 172, 164), (18, 46, 40), layer / 4)
        mask = _below(size, edge)
        _blend(pixels, green, mask)
        mist = clouds(size, random, octaves=3, stretch=3.0)
        _blend(pixels, (214, 220, 212), mask * np.clip(mist * 1.6 - 0.7, 0, 1) * 0.5)
    return pixels


def _firs(size: tuple[int, int], layer: int, random: np.random.Generator) -> Share:
    """Return a row of pointed tree tops as heights, shares of the picture's height."""
    columns = np.arange(size[0])[:, np.newaxis]
    width = size[0] * (0.018 + 0.012 * layer)
    middles = random.uniform(0, size[0], max(4, int(1.3 * size[0] / width)))[np.newaxis]
    tall = random.uniform(0.5, 1.0, middles.shape) * (0.06 + 0.035 * layer)
    cones: Share = tall * np.clip(1 - np.abs(columns - middles) / width, 0, 1)
    tops: Share = cones.max(axis=1)
    return tops


def _city(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, (20, 24, 52), mix(palette.main, (196, 110, 120), 0.6))
    for layer in range(3):
        blocks = max(6, 9 + 4 * layer)
        tops = random.uniform(0.3, 0.72, blocks) + 0.12 * layer
        edge = np.repeat(tops, -(-size[0] // blocks))[: size[0]] * size[1]
        wall = mix((92, 78, 120), (18, 20, 38), layer / 2)
        mask = _below(size, edge)
        _blend(pixels, wall, mask)
        lights = _windows(size, random, cell_px=max(4, size[0] // (70 - 12 * layer)))
        _blend(pixels, (255, 212, 130), mask * lights * (0.4 + 0.2 * layer))
    return pixels


def _windows(size: tuple[int, int], random: np.random.Generator, *, cell_px: int) -> Share:
    columns, rows = -(-size[0] // cell_px), -(-size[1] // cell_px)
    lit_rooms = (random.random((rows, columns)) < 0.3).astype(np.float32)
    pane = np.zeros((cell_px, cell_px), np.float32)
    pane[cell_px // 4 : -(cell_px // 4) or None, cell_px // 4 : -(cell_px // 4) or None] = 1
    facade: Share = np.kron(lit_rooms, pane)[: size[1], : size[0]]
    return facade


def _wood(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, (178, 124, 74), (160, 106, 62))
    planks = 4
    for plank in range(planks):
        top, bottom = plank * size[1] // planks, (plank + 1) * size[1] // planks
        part = (size[0], bottom - top)
        warp = clouds(part, random, octaves=4, stretch=6.0)
        grain = 0.5 + 0.5 * np.sin(warp * random.uniform(50, 80))
        area = pixels[top:bottom]
        _blend(area, mix((92, 54, 30), palette.main, 0.15), grain * 0.5)
        _blend(area, (30, 18, 10), np.full(part[::-1], random.uniform(0, 0.22)))
        area[: max(1, size[1] // 120)] *= 0.4
    return pixels


def _weave(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, palette.main, lit(palette.main, -0.1))
    x, y = np.arange(size[0])[np.newaxis], np.arange(size[1])[:, np.newaxis]
    stripe = max(12, size[0] // 9)
    for offset, share in ((0, 0.5), (stripe // 2, 0.28)):
        _blend(pixels, palette.accent, ((x + offset) % stripe < stripe / 4) * share + 0.0 * y)
        _blend(pixels, palette.accent, ((y + offset) % stripe < stripe / 4) * share + 0.0 * x)
    thread = max(3.0, size[0] / 110)
    twill = 0.5 + 0.5 * np.sin((x + y) * 2 * np.pi / thread)
    _blend(pixels, lit(palette.main, -0.7), twill * 0.3)
    _blend(pixels, (20, 20, 28), np.clip(clouds(size, random, octaves=3) - 0.4, 0, 1) * 0.7)
    return pixels


def _terrazzo(size: tuple[int, int], palette: Palette, random: np.random.Generator) -> Pixels:
    pixels = _sky(size, (196, 188, 176), (186, 178, 166))
    for chip in (palette.main, palette.accent, (92, 84, 80), (232, 226, 216)) * 2:
        field = clouds(size, random, octaves=3, cells=14)
        _blend(pixels, chip, np.clip((field - 0.66) * size[0] / 12, 0, 1))
    return pixels


PHOTOS = (
    Photo("Alpine dawn print", _mountains),
    Photo("Sunset sea print", _sea),
    Photo("Oak floor plank", _wood),
    Photo("Misty forest print", _forest),
    Photo("Checked throw", _weave),
    Photo("City night print", _city),
    Photo("Desert dunes print", _dunes),
    Photo("Terrazzo tile", _terrazzo),
)
