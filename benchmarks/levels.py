"""Sheets of five levels of difficulty, drawn at random, and captured as they come to a shop.

A clean export, a flatbed scan, an office copier's scan, a phone's photograph, and a hard one of
either kind: skewed or in perspective, lit unevenly, blurred, noisy, dusty, on a desk.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sheetflow.samples.capture import stored_image
from sheetflow.samples.codes import encode
from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.layout import cells
from sheetflow.samples.noise import clouds
from sheetflow.samples.payloads import new_payload
from sheetflow.samples.spec import Frame, LabelSide, PictureStyle, SheetSpec
from sheetflow.vision.geometry import (
    Homography,
    Point,
    Quad,
    box_around,
    homography_between,
    inverse,
    move_points,
    quad_area,
)

LEVELS = ("clean", "scan", "office", "phone", "hard")

_FRAMES: tuple[Frame, ...] = get_args(Frame)
_SIDES: tuple[LabelSide, ...] = get_args(LabelSide)
_PICTURES: tuple[PictureStyle, ...] = get_args(PictureStyle)
_MIXES = (
    ("EAN13",),
    ("EAN13", "CODE128"),
    ("QR",),
    ("EAN13", "QR", "CODE128"),
    ("EAN8", "UPCA", "CODE39", "EAN13"),
)
_SMALLEST_MODULE_PX = 2.0
_SMALLEST_PICTURE_MM = 12.0
_DESKS = ((58, 96, 60), (150, 146, 140), (104, 78, 58), (176, 112, 92), (44, 44, 48))

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class _Capture:
    """How a page became an image; lengths in pixels unless their names say otherwise."""

    size: tuple[int, int]
    page: Quad
    ground: str
    contrast: float
    lighting: float
    shadow: float
    blur_modules: float
    noise: float
    dust: float


def sheets_at(level: str, seed: int) -> Iterator[tuple[bytes, dict[str, Any], bool]]:
    """Yield sheets without end: a file, its truth, whether the sheet lacks or repeats something."""
    # A string seeds alike on every machine, and each level otherwise.
    chance = random.Random(f"{level} {seed}")  # noqa: S311 - a series that can be repeated
    while True:
        spec = _spec(level, chance)
        if not _has_room(spec):
            continue
        try:
            drawn = draw_sheet(replace(spec, mode="RGB", exif_orientation=1))
        except ValueError:  # no room for such codes in such cells
            continue
        truth: dict[str, Any] = {**drawn.truth, "level": level}
        # Of its own, so that a sheet that is passed over changes none of the others.
        capture = _capture(level, spec, random.Random(f"{level} {spec.seed}"))  # noqa: S311
        if _smallest_module(truth) * _scale(drawn.image, capture) < _SMALLEST_MODULE_PX:
            continue
        is_clean = level == "clean"
        displayed = drawn.image if is_clean else _captured(drawn.image, truth, capture, spec.seed)
        truth["file"] = f"{level}-{spec.seed:06d}"
        lacking = (spec.missing_codes, spec.missing_pictures, spec.empty_cells, spec.duplicates)
        yield _file(displayed, spec), truth, any(lacking)


def _spec(level: str, chance: random.Random) -> SheetSpec:
    is_hard, is_photo = level == "hard", level == "phone"
    rows, columns = chance.randint(1, 8), chance.randint(1, 6)
    count = rows * columns

    def some(share: float) -> frozenset[int]:
        return frozenset(cell for cell in range(count) if chance.random() < share)

    def sometimes(share: float, of: float) -> frozenset[int]:
        return some(share) if chance.random() < of else frozenset()

    frame, side = chance.choice(_FRAMES), chance.choice(_SIDES)
    missing_pictures = sometimes(0.1 if is_hard else 0.04, 0.5)
    missing_codes = sometimes(0.1 if is_hard else 0.04, 0.5) - missing_pictures
    cut = chance.randrange(columns) if rows > 1 and chance.random() < 0.3 else 0
    empty = frozenset(range(count - cut, count)) | (some(0.06) if is_hard else frozenset())
    empty -= {0}
    shown = sorted(set(range(count)) - missing_codes - empty)
    twice = len(shown) > 1 and chance.random() < (0.3 if is_hard else 0.12)
    duplicates = (tuple(chance.sample(shown, 2)),) if twice else ()
    modes = {"office": ("RGB", "L", "I;16", "CMYK"), "hard": ("RGB", "RGB", "L")}
    mode = chance.choice(modes.get(level, ("RGB",)))
    is_png = mode == "I;16" or (level in ("clean", "scan") and chance.random() < 0.5)
    return SheetSpec(
        seed=chance.randrange(10**6),
        page=chance.choice(["A4", "A4", "A4L", "Letter"]),
        dpi=300 if is_photo or is_hard else chance.choice([150, 200, 300, 300]),
        rows=rows,
        columns=columns,
        margin_mm=chance.uniform(7, 17),
        label_side=side,
        frame=frame,
        align=chance.choice(["centre", "left"]),
        pictures=chance.choice(_PICTURES),
        symbologies=chance.choice(_MIXES),
        theme=chance.randrange(5),
        header=chance.random() < 0.6,
        footer=chance.random() < 0.6,
        captions=chance.random() < 0.6,
        prices=chance.random() < 0.6,
        digits=chance.random() < 0.7,
        missing_codes=missing_codes - empty,
        missing_pictures=missing_pictures - empty,
        placeholders=chance.random() < 0.5,
        empty_cells=empty,
        badges=sometimes(0.2, 0.3) - empty - missing_pictures,
        pale=some(0.25 if is_hard else 0.1),
        loose=some(0.2 if is_hard else 0.08),
        coded_pictures=sometimes(0.05, 0.5 if is_hard else 0.1) - empty - missing_pictures,
        uneven=chance.choice([0, 0.3, 0.5]),
        duplicates=duplicates,
        header_code=chance.random() < 0.2,
        paper=255 if level == "clean" else chance.randint(225 if is_hard else 240, 255),
        mode=mode,
        exif_orientation=chance.choice([1, 3, 6, 8]) if is_photo or is_hard else 1,
        file_format="PNG" if is_png else "JPEG",
        quality={"clean": 94, "scan": 88, "office": 74, "phone": 88, "hard": 66}[level],
    )


def _has_room(spec: SheetSpec) -> bool:
    """Tell whether pictures can be seen, and modules are wide enough to survive a capture."""
    try:
        cell = cells(spec)[0]
    except ValueError:
        return False
    left, top, right, bottom = cell.picture
    if min(right - left, bottom - top) < spec.px(_SMALLEST_PICTURE_MM):
        return False
    wide, taken = cell.label[2] - cell.label[0], set[str]()
    payloads = {
        kind: new_payload(kind, np.random.default_rng(1), taken) for kind in spec.symbologies
    }
    return all(
        wide >= _SMALLEST_MODULE_PX * encode(text, kind).full_width
        for kind, text in payloads.items()
    )


def _capture(level: str, spec: SheetSpec, chance: random.Random) -> _Capture:
    is_photo = level == "phone" or (level == "hard" and chance.random() < 0.6)
    is_hard = level == "hard"
    page = spec.page_size_px
    if is_photo:
        megapixels = chance.choice([12, 12, 12, 12, 24])
        short = round(math.sqrt(megapixels * 1e6 * 3 / 4))
        size = (short, short * 4 // 3)
        if page[0] > page[1] or (is_hard and chance.random() < 0.3):
            size = (size[1], size[0])
        turn = chance.choice([0, 90, 180, 270]) if is_hard else 0
        skew = chance.uniform(-7, 7)
        fill = chance.uniform(0.75, 0.92)
        quad = _page_on(size, page, skew + turn, fill)
        reach = chance.uniform(0.01, 0.08 if is_hard else 0.045) * min(size)
        moved = [
            (x + chance.uniform(-reach, reach), y + chance.uniform(-reach, reach)) for x, y in quad
        ]
        quad = (moved[0], moved[1], moved[2], moved[3])
        ground = chance.choice(["plain", "grass", "bricks", "wood"])
    else:
        widest = {"clean": 0.0, "scan": 1.0, "office": 4.0, "hard": 6.0}[level]
        skew = chance.uniform(-widest, widest)
        turn = chance.choice([0, 0, 90, 180, 270]) if level not in ("clean", "scan") else 0
        zoom = 2 if level == "scan" and spec.dpi == 300 and chance.random() < 0.12 else 1
        wide = (page[0] * zoom, page[1] * zoom)
        around = box_around(_page_on((0, 0), wide, skew + turn, 0))
        size = (math.ceil(around.width), math.ceil(around.height))
        quad = _page_on(size, wide, skew + turn, 0)
        ground = "white" if level == "scan" else chance.choice(["white", "grey", "black"])
    ranges = {
        # contrast, lighting, blur, noise, dust
        "clean": ((1.0, 1.0), (0.0, 0.0), (0.0, 0.0), (0, 0), (0, 0)),
        "scan": ((0.92, 1.0), (0.0, 0.0), (0.1, 0.2), (1, 2.5), (0, 0.015)),
        "office": ((0.77, 0.93), (0.03, 0.15), (0.15, 0.28), (4, 6.5), (0, 0.085)),
        "phone": ((0.83, 0.95), (0.12, 0.29), (0.2, 0.31), (4, 6), (0, 0)),
        "hard": ((0.62, 0.85), (0.15, 0.42), (0.3, 0.45), (4.5, 8.5), (0.08, 0.2)),
    }[level]
    contrast, lighting, blur, noise, dust = (chance.uniform(low, high) for low, high in ranges)
    has_shadow = is_photo and chance.random() < 0.3
    return _Capture(
        size=size,
        page=quad,
        ground=ground,
        contrast=contrast,
        lighting=lighting,
        shadow=chance.uniform(0.2, 0.32) if has_shadow else 0.0,
        blur_modules=blur,
        noise=noise,
        dust=dust,
    )


def _page_on(size: tuple[int, int], page: tuple[int, int], angle_deg: float, fill: float) -> Quad:
    """Return where the page's corners come to lie in the middle of an image.

    Args:
        size: (width, height) of the image.
        page: (width, height) of the page.
        angle_deg: How far it is turned clockwise.
        fill: Which share of the image's width or height it takes; 0 keeps its size.
    """
    radians = math.radians(angle_deg)
    cos, sin = math.cos(radians), math.sin(radians)
    corners = [(x * page[0] / 2, y * page[1] / 2) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in corners]
    around = box_around(turned)
    scale = fill * min(size[0] / around.width, size[1] / around.height) if fill else 1.0
    a, b, c, d = ((size[0] / 2 + x * scale, size[1] / 2 + y * scale) for x, y in turned)
    return a, b, c, d


def _captured(
    page: Image.Image, truth: dict[str, Any], capture: _Capture, seed: int
) -> Image.Image:
    """Return the image that a capture makes of a page, and move the page's truth onto it."""
    noise = np.random.default_rng((seed, 11))
    rgb = np.asarray(page.convert("RGB"))
    matrix = _onto_image(page, capture)
    dusty = _dusty(rgb, capture.dust, noise)
    image = _on_ground(dusty, matrix, capture, noise)
    scale = _scale(page, capture)
    sigma = capture.blur_modules * min(_smallest_module(truth) * scale, 6.0)
    image = cv2.GaussianBlur(image, (0, 0), sigma).astype(np.float32)
    image *= _light(capture, noise)[..., None]
    grain = noise.standard_normal((*image.shape[:2], 1), dtype=np.float32)
    image += capture.noise * grain
    _move_truth(truth, matrix, capture.size, scale)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


def _onto_image(page: Image.Image, capture: _Capture) -> Homography:
    width, height = page.size
    corners: Quad = ((0, 0), (width, 0), (width, height), (0, height))
    return homography_between(corners, capture.page)


def _scale(page: Image.Image, capture: _Capture) -> float:
    """Return how many pixels of the image a pixel of the page becomes, in the mean."""
    return math.sqrt(quad_area(capture.page) / (page.width * page.height))


def _smallest_module(truth: dict[str, Any]) -> float:
    modules = [item["code"]["module_px"] for item in truth["items"] if item["code"]]
    return float(min(modules, default=3.0))


def _dusty(rgb: NDArray[np.uint8], dust: float, noise: np.random.Generator) -> NDArray[np.uint8]:
    """Return a page with specks and hairs, `dust` a square centimetre or so."""
    dusty = rgb.copy()
    height, width = rgb.shape[:2]
    unit = max(height, width) / 3500
    for _ in range(round(dust * 600)):
        x, y = int(noise.integers(width)), int(noise.integers(height))
        shade = int(noise.integers(60, 190))
        if noise.random() < 0.85:
            radius = max(1, round(unit * noise.uniform(1, 3.5)))
            cv2.circle(dusty, (x, y), radius, (shade,) * 3, -1, cv2.LINE_AA)
        else:
            ends = noise.integers(-round(40 * unit) - 1, round(40 * unit) + 2, 2)
            cv2.line(
                dusty, (x, y), (x + int(ends[0]), y + int(ends[1])), (shade,) * 3, 1, cv2.LINE_AA
            )
    return dusty


def _on_ground(
    rgb: NDArray[np.uint8], matrix: Homography, capture: _Capture, noise: np.random.Generator
) -> Pixels:
    """Return the page on what it lies on, its contrast lowered towards a light grey."""
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1.0]])  # from edges to pixel centres
    at_centres = shift @ matrix @ inverse(shift)
    warped = cv2.warpPerspective(rgb, at_centres, capture.size, flags=cv2.INTER_AREA)
    full = np.full(rgb.shape[:2], 255, np.uint8)
    inside = cv2.warpPerspective(full, at_centres, capture.size, flags=cv2.INTER_LINEAR)
    share = (inside.astype(np.float32) / 255)[..., None]
    faded = 118 + (warped.astype(np.float32) - 118) * capture.contrast
    return np.asarray(faded * share + _ground(capture, rgb, noise) * (1 - share), np.float32)


def _ground(capture: _Capture, rgb: NDArray[np.uint8], noise: np.random.Generator) -> Pixels:
    width, height = capture.size
    flat = {"white": (int(rgb[0, 0, 0]),) * 3, "grey": (140, 140, 142), "black": (28, 28, 30)}
    if capture.ground in flat:
        colour = np.asarray(flat[capture.ground], np.float32)
        if capture.ground == "white":
            colour = 118 + (colour - 118) * capture.contrast
        return np.broadcast_to(colour, (height, width, 3)).astype(np.float32)
    colour = np.asarray(_DESKS[int(noise.integers(len(_DESKS)))], np.float32)
    small = (max(8, width // 4), max(8, height // 4))
    rough = {"plain": 0.05, "grass": 0.7, "bricks": 0.2, "wood": 0.35}[capture.ground]
    stretch = {"wood": 14.0, "grass": 0.3}.get(capture.ground, 1.0)
    field = clouds(small, noise, octaves=5, stretch=stretch, cells=40)
    texture = 1 + rough * (field - 0.5)
    if capture.ground == "bricks":
        _lay_bricks(texture)
    large = cv2.resize(texture.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(large[..., None] * colour, np.float32)


def _lay_bricks(texture: Pixels) -> None:
    high, wide = max(6, texture.shape[0] // 14), max(12, texture.shape[1] // 6)
    for row, top in enumerate(range(0, texture.shape[0], high)):
        texture[top : top + 4] = 1.7
        for left in range((row % 2) * wide // 2, texture.shape[1], wide):
            texture[top : top + high, left : left + 4] = 1.7


def _light(capture: _Capture, noise: np.random.Generator) -> Pixels:
    """Return by how much each pixel is lit: falling off to one side, and crossed by a shadow."""
    width, height = capture.size
    xs = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :]
    ys = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None]
    angle = noise.uniform(0, 2 * math.pi)
    side = xs * math.cos(angle) + ys * math.sin(angle)
    light = 1 - capture.lighting * (0.35 + 0.7 * side + 0.5 * (xs**2 + ys**2))
    if capture.shadow:
        angle, at = noise.uniform(0, 2 * math.pi), noise.uniform(-0.15, 0.25)
        edge = (xs * math.cos(angle) + ys * math.sin(angle) - at) / noise.uniform(0.01, 0.04)
        light = light * (1 - capture.shadow / (1 + np.exp(-np.clip(edge, -30, 30))))
    return np.asarray(light, np.float32)


def _move_truth(
    truth: dict[str, Any], matrix: Homography, size: tuple[int, int], scale: float
) -> None:
    places = [
        place for item in truth["items"] for place in (item["code"], item["label"], item["picture"])
    ]
    for place in [*places, *truth["junk"], *truth["decoys"]]:
        if place is None:
            continue
        corners: list[Point] = [(x, y) for x, y in place["quad"]]
        quad = move_points(corners, matrix)
        around = box_around(quad)
        place["quad"] = [list(point) for point in quad]
        place["box"] = [around.left, around.top, around.right, around.bottom]
    for item in truth["items"]:
        if item["code"]:
            item["code"]["module_px"] *= scale
    truth["size"] = list(size)


def _file(displayed: Image.Image, spec: SheetSpec) -> bytes:
    """Return the bytes of a file; JPEGs with halved chroma, as scanners and phones write them."""
    stored = stored_image(displayed, spec)
    buffer = io.BytesIO()
    options: dict[str, Any] = {"dpi": (spec.dpi, spec.dpi)}
    if spec.exif_orientation != 1:
        options["exif"] = stored.getexif()
    if spec.file_format == "JPEG":
        options |= {"quality": spec.quality}
        if spec.mode == "RGB":
            options["subsampling"] = "4:2:0"
    else:
        options["compress_level"] = 1
    stored.save(buffer, spec.file_format, **options)
    return buffer.getvalue()
