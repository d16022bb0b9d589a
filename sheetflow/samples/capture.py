"""From the printed page to the stored image: skew, turn, scale, noise, colour mode, EXIF."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageFilter

from sheetflow.samples.spec import SheetSpec
from sheetflow.samples.truth import Project
from sheetflow.vision.geometry import Point

_EXIF_ORIENTATION = 0x0112
_TURNS = {
    90: Image.Transpose.ROTATE_270,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}
# What undoes the turn that a reader makes for each orientation.
_STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def capture_page(page: Image.Image, spec: SheetSpec) -> Image.Image:
    """Return the page as displayed, mode RGB, after skew, turn, scale, blur and noise."""
    if spec.skew_deg:
        paper = (spec.paper,) * 3
        page = page.rotate(-spec.skew_deg, Image.Resampling.BICUBIC, fillcolor=paper)
    if spec.turn:
        page = page.transpose(_TURNS[spec.turn])
    if spec.scale != 1:
        size = (round(page.width * spec.scale), round(page.height * spec.scale))
        page = page.resize(size, Image.Resampling.LANCZOS)
    if spec.blur_px:
        page = page.filter(ImageFilter.GaussianBlur(spec.blur_px))
    return _noisy(page, spec) if spec.noise else page


def projection(spec: SheetSpec) -> Project:
    """Return what tells where a point of the page stands in the displayed image."""
    width, height = spec.page_size_px
    angle = math.radians(spec.skew_deg)
    cos, sin = math.cos(angle), math.sin(angle)

    def project(point: Point) -> Point:
        x, y = point[0] - width / 2, point[1] - height / 2
        x, y = x * cos - y * sin + width / 2, x * sin + y * cos + height / 2
        turned = {
            0: (x, y),
            90: (height - y, x),
            180: (width - x, height - y),
            270: (y, width - x),
        }[spec.turn]
        return turned[0] * spec.scale, turned[1] * spec.scale

    return project


def stored_image(displayed: Image.Image, spec: SheetSpec) -> Image.Image:
    """Return the pixels as a file keeps them: turned for its EXIF tag, in its colour mode."""
    if spec.exif_orientation != 1:
        displayed = displayed.transpose(_STORED[spec.exif_orientation])
    stored = _in_mode(displayed, spec)
    if spec.exif_orientation != 1:
        stored.getexif()[_EXIF_ORIENTATION] = spec.exif_orientation
    return stored


def _noisy(image: Image.Image, spec: SheetSpec) -> Image.Image:
    random = np.random.default_rng((spec.seed, 7))
    grain = random.standard_normal((image.height, image.width, 1), dtype=np.float32) * spec.noise
    return Image.fromarray(np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8))


def _in_mode(image: Image.Image, spec: SheetSpec) -> Image.Image:
    if spec.mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if spec.mode == "P":
        return image.quantize(256)
    if spec.mode == "RGBA" and spec.transparent_paper:
        alpha = image.convert("L").point([255] * 250 + [0] * 6)
        image = image.convert("RGBA")
        image.putalpha(alpha)
        return image
    return image.convert(spec.mode)
