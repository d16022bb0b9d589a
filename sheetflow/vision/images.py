"""The door to image files: bytes in, pixels as displayed out, or a refusal that says why.

The only module that imports Pillow. Sheets arrive from scanners, phones and strangers, so every
byte is suspect: only listed formats are opened, sizes are judged by the header before a pixel is
decoded, and whatever Pillow throws at hostile bytes becomes `UnreadableImage`.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from sheetflow.errors import ImageTooLarge, UnreadableImage

Pixels = NDArray[np.uint8]

FORMATS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF")
"""What is opened; a JPEG may have a second one behind it, as many phones write it. The other
formats that Pillow knows are never tried: some start programs (EPS), and none is what a scanner
or a phone delivers."""

DEFAULT_MAX_PIXELS = 200_000_000

JPEG_QUALITY = 92
"""Of the crops. Source: docs/decisions/0003-crop-format.md."""

_ORIENTATION_TAG = 274
_TIFF_BEGINNINGS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SUBFILE_TAG = 254
_NO_PAGE = 1 | 4  # a smaller version of another image, or a mask
_FRAMES_LOOKED_AT = 20_000

_COLOURS: Pixels = (
    np.stack(np.meshgrid(*3 * [np.linspace(0, 255, 9)]), -1).reshape(9, 81, 3).astype(np.uint8)
)

# Sizes are judged here, from the header and against the caller's limit. Pillow's own limit is a
# process-wide global that warns at one size and raises at another, so it is switched off once.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's parsers let through on damaged or hostile files: each was seen from a fuzzed file
# of a listed format. OSError includes UnidentifiedImageError and "image file is truncated";
# SyntaxError is what Pillow's plugins call a broken header; MemoryError is a size that lies.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    ZeroDivisionError,
    EOFError,
    MemoryError,
    RuntimeError,
    AssertionError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class SheetImage:
    """One sheet's pixels, as a viewer that respects EXIF displays them.

    Attributes:
        rgb: uint8, (height, width, 3), sRGB, red first; transparency laid on white.
        luminance: uint8, (height, width), the same pixels in grey.
        name: The sheet's printable name, for messages.
        format: The file's format, as in `FORMATS`.
    """

    rgb: Pixels
    luminance: Pixels
    name: str = "sheet"
    format: str = ""

    @property
    def size_px(self) -> tuple[int, int]:
        """(width, height)."""
        height, width = self.luminance.shape
        return (int(width), int(height))

    @cached_property
    def half(self) -> Pixels:
        """The pixels at half the size, uint8 (height // 2, width // 2, 3)."""
        return halved(self.rgb)

    @classmethod
    def from_rgb(cls, rgb: Pixels, *, name: str = "sheet", format: str = "") -> SheetImage:  # noqa: A002
        """Make a sheet from pixels that are already upright, uint8 (height, width, 3)."""
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        return cls(rgb=rgb, luminance=grey, name=name, format=format)


def halved(rgb: Pixels) -> Pixels:
    """Return the means of four pixels each; many times faster than any other factor."""
    height, width = rgb.shape[0] // 2, rgb.shape[1] // 2
    even = rgb[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def frames_of(data: bytes, *, sheet: str, at_most: int) -> list[int]:
    """Return which of a file's images are its pages: of a TIFF, those that are no thumbnails.

    All other formats have one page; what moves in a GIF, or lies behind a phone's JPEG, is none.

    Args:
        data: The whole file.
        sheet: The sheet's printable name, for messages.
        at_most: How many to look for.

    Raises:
        UnreadableImage: The file is no whole TIFF, though it begins like one.
    """
    if not data.startswith(_TIFF_BEGINNINGS):
        return [0]
    pages: list[int] = []
    with _refusing_damage(sheet), Image.open(io.BytesIO(data), formats=("TIFF",)) as image:
        for frame in range(_FRAMES_LOOKED_AT):
            try:
                image.seek(frame)
            except EOFError:
                break
            tags = getattr(image, "tag_v2", {})
            if not tags.get(_SUBFILE_TAG, 0) & _NO_PAGE:
                pages.append(frame)
            if len(pages) >= at_most:
                break
    return pages or [0]


def load_image(
    data: bytes, *, sheet: str, max_pixels: int = DEFAULT_MAX_PIXELS, frame: int = 0
) -> SheetImage:
    """Decode a file's bytes into pixels as displayed.

    Args:
        data: The whole file.
        sheet: The sheet's printable name, for messages.
        max_pixels: Width times height beyond which the image is not decoded.
        frame: Which image of a TIFF, as `frames_of` counts them.

    Raises:
        UnreadableImage: If the bytes are not a whole image in a listed format.
        ImageTooLarge: If the header announces more than `max_pixels`.
    """
    if not data:
        raise UnreadableImage("the file is empty", cure="Scan or copy the sheet again", sheet=sheet)
    with _refusing_damage(sheet), Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if frame:
            image.seek(frame)
        _refuse_large(image, max_pixels=max_pixels, sheet=sheet)
        _refuse_cut_jpeg(image, data, sheet=sheet)
        image.load()
        orientation = _orientation_of(image)  # after: Pillow turns a TIFF itself while it loads
        rgb = _turned(_rgb_of(image), orientation)
        return SheetImage.from_rgb(rgb, name=sheet, format=image.format or "")


def encode_jpeg(rgb: Pixels, *, quality: int = JPEG_QUALITY) -> bytes:
    """Encode pixels, uint8 (height, width, 3), as a JPEG: same pixels, same bytes.

    Full chroma resolution, because product edges are where 4:2:0 shows.
    """
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality, subsampling="4:4:4")
    return buffer.getvalue()


def encode_png(rgb: Pixels) -> bytes:
    """Encode pixels, uint8 (height, width, 3), as a PNG: same pixels, same bytes."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


@contextmanager
def _refusing_damage(sheet: str) -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError as error:
        raise UnreadableImage(
            "the file is not an image in a format that sheetflow reads",
            cure=f"Save it as one of {', '.join(FORMATS)} or PDF, and put it in the inbox again",
            sheet=sheet,
        ) from error
    except _DAMAGE as error:
        raise UnreadableImage(
            f"the image is damaged or incomplete ({type(error).__name__}: {error})",
            cure="Scan, export or copy the sheet again",
            sheet=sheet,
        ) from error


def _refuse_large(image: Image.Image, *, max_pixels: int, sheet: str) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise ImageTooLarge(
            f"the image has {width} x {height} pixels, more than the limit of {max_pixels}",
            cure="Scan at a lower resolution, or raise the limit",
            sheet=sheet,
        )


def _refuse_cut_jpeg(image: Image.Image, data: bytes, *, sheet: str) -> None:
    # libjpeg invents grey for what is missing when just the tail is gone, without an error that
    # Pillow would pass on; a JPEG that ends, ends with this marker (padding may follow).
    if image.format == "JPEG" and b"\xff\xd9" not in data[-65536:]:
        raise UnreadableImage(
            "the JPEG has no end: the file was cut short",
            cure="Copy the sheet again, whole",
            sheet=sheet,
        )


def _orientation_of(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGE as error:
        _log.info("EXIF data cannot be read, the sheet is taken as it is stored: %s", error)
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _turned(rgb: Pixels, orientation: int) -> Pixels:
    if orientation in (2, 4, 5, 7):
        # Mirrored ones are a flip, and then the turn of the unmirrored neighbour.
        rgb = np.asarray(cv2.flip(rgb, 1), np.uint8)
        orientation = {2: 1, 4: 3, 5: 8, 7: 6}[orientation]
    turns = {
        3: cv2.ROTATE_180,
        6: cv2.ROTATE_90_CLOCKWISE,
        8: cv2.ROTATE_90_COUNTERCLOCKWISE,
    }
    if orientation in turns:
        rgb = np.asarray(cv2.rotate(rgb, turns[orientation]), np.uint8)
    return rgb


def _rgb_of(image: Image.Image) -> Pixels:
    image = _eight_bit(image)
    if image.mode in ("P", "PA", "LA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
    profile = image.info.get("icc_profile")
    if image.mode == "RGBA":
        image = _on_white(image)
    if profile:
        image = _in_srgb(image, profile)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _eight_bit(image: Image.Image) -> Image.Image:
    """Return 16-bit greys shifted to 8 bits, and other deep modes stretched to what they hold.

    Source: Pillow's own convert() clips I;16 at 255 instead of scaling, which turns sheets white.
    """
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(image).astype(np.float64))
        top = max(float(values.max(initial=0.0)), 1e-9)
        full = 65535.0 if top > 255 else 255.0 if top > 1 else 1.0
        return Image.fromarray((values / full * 255).clip(0, 255).astype(np.uint8))
    return image


def _on_white(image: Image.Image) -> Image.Image:
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def _in_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    # A profile that lies (a CMYK one in an RGB file) or is cut is ignored: the colours are then
    # those that a viewer without colour management shows, and the sheet still reads.
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(source, target, image.mode, "RGB")
        if image.mode == "RGB" and _is_identity(transform):
            return image
        moved = ImageCms.applyTransform(image, transform)
    except (ImageCms.PyCMSError, *_DAMAGE) as error:
        _log.info("colour profile ignored: %s", error)
        return image
    return moved if moved is not None else image


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    """Tell whether a transform leaves colours as they are, but for what nobody sees.

    Most profiles are one of sRGB's many spellings, and applying one costs as much as decoding.
    """
    moved = ImageCms.applyTransform(Image.fromarray(_COLOURS), transform)
    return moved is not None and bool(np.abs(np.asarray(moved, np.int16) - _COLOURS).max() <= 2)
