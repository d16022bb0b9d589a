from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from sheetflow.errors import ImageTooLarge, UnreadableImage
from sheetflow.vision.images import SheetImage, encode_jpeg, encode_png, load_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, file_format: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def corners() -> Image.Image:
    """Six by four pixels in blocks of two: red, green, white / blue, white, white."""
    image = Image.new("RGB", (6, 4), WHITE)
    image.paste(RED, (0, 0, 2, 2))
    image.paste(GREEN, (2, 0, 4, 2))
    image.paste(BLUE, (0, 2, 2, 4))
    return image


def load(data: bytes, **options: Any) -> Any:
    return load_image(data, sheet="a sheet", **options)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "BMP", "GIF", "WEBP", "JPEG"])
def test_each_listed_format_opens(file_format: str) -> None:
    image = load(encoded(corners(), file_format))
    assert image.size_px == (6, 4)
    assert image.rgb.shape == (4, 6, 3)
    assert image.luminance.shape == (4, 6)
    assert image.rgb.dtype == image.luminance.dtype == np.uint8


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(orientation: int, file_format: str) -> None:
    stored = corners()
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    if orientation in undo:
        stored = stored.transpose(undo[orientation])
    exif = Image.Exif()
    exif[274] = orientation
    lossless = {"lossless": True} if file_format == "WEBP" else {}
    image = load(encoded(stored, file_format, exif=exif, **lossless))
    np.testing.assert_array_equal(image.rgb, np.asarray(corners()))


def test_broken_exif_leaves_the_sheet_as_it_is_stored() -> None:
    assert load(
        encoded(corners(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    ).size_px == (6, 4)


def test_sixteen_bits_are_shifted_not_clipped() -> None:
    values = np.array([[0, 0x8000, 0xFFFF]], np.uint16)
    image = load(encoded(Image.fromarray(values)))
    assert image.luminance.tolist() == [[0, 128, 255]]


def test_transparent_paper_is_white() -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (*RED, 255))
    assert load(encoded(image)).rgb.tolist() == [[list(WHITE), list(RED)]]


@pytest.mark.parametrize("mode", ["L", "LA", "1", "P"])
def test_grey_line_art_and_palettes_become_rgb(mode: str) -> None:
    image = load(encoded(corners().convert(mode)))
    assert image.rgb.shape == (4, 6, 3)
    assert image.rgb[3, 5].tolist() == list(WHITE)


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.putpixel((0, 0), 0)
    assert load(encoded(image, transparency=0)).rgb.tolist() == [[list(WHITE), list(RED)]]


def test_cmyk_white_stays_white_and_black_black() -> None:
    image = Image.new("CMYK", (16, 8), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (8, 0, 16, 8))
    rgb = load(encoded(image, "JPEG", quality=95)).rgb
    assert rgb[:, :6].min() > 245
    assert rgb[:, 10:].max() < 10


def test_a_colour_profile_is_converted_to_srgb() -> None:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = load(encoded(corners(), icc_profile=srgb)).rgb
    np.testing.assert_allclose(same.astype(int), np.asarray(corners()).astype(int), atol=2)
    # A profile that does not fit the pixels is ignored, the sheet still opens.
    unfit = ImageCms.ImageCmsProfile(lab).tobytes()
    np.testing.assert_array_equal(
        load(encoded(corners(), icc_profile=unfit)).rgb, np.asarray(corners())
    )


def profile(**swapped: str) -> bytes:
    """An sRGB profile, some of whose tags have changed places."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    places = {name: data.index(name.encode(), 128) for pair in swapped.items() for name in pair}
    for one, other in swapped.items():
        data[places[one] : places[one] + 4] = other.encode()
        data[places[other] : places[other] + 4] = one.encode()
    return bytes(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_colours_are_those_that_the_profile_means(file_format: str, mode: str) -> None:
    # In this profile "red" is the green of sRGB, and the other way round.
    image = load(encoded(corners().convert(mode), file_format, icc_profile=profile(rXYZ="gXYZ")))
    for (row, column), colour in {(0, 0): GREEN, (0, 2): RED, (2, 0): BLUE, (2, 4): WHITE}.items():
        np.testing.assert_allclose(image.rgb[row, column].astype(int), colour, atol=2)


def test_deep_colours_keep_their_upper_eight_bits() -> None:
    values = np.zeros((2, 3, 3), np.uint16)
    values[:, :, 0], values[:, :, 1] = 0xC0FF, 0x40FF
    done, buffer = cv2.imencode(".png", values)  # BGR
    assert done
    assert load(buffer.tobytes()).rgb[1, 1].tolist() == [0, 0x40, 0xC0]


@pytest.mark.parametrize(
    "data", [b"", b"hello, I am a text file\n" * 50, b"%PDF-1.7\n", b"\x00" * 4096]
)
def test_what_is_no_image_is_refused_with_its_name_and_a_cure(data: bytes) -> None:
    with pytest.raises(UnreadableImage) as refusal:
        load(data)
    assert refusal.value.sheet == "a sheet"
    assert refusal.value.cure


def test_a_format_that_is_not_listed_is_refused() -> None:
    with pytest.raises(UnreadableImage, match="not an image in a format"):
        load(encoded(corners(), "PPM"))


def noise(width: int = 64, height: int = 48) -> Image.Image:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_file_that_was_cut_short_is_refused(file_format: str, kept: float) -> None:
    data = encoded(noise(), file_format)
    with pytest.raises(UnreadableImage):
        load(data[: int(kept * len(data))])


@pytest.mark.parametrize("missing", [1, 2, 5, 20])
def test_a_jpeg_without_its_last_bytes_is_refused(missing: int) -> None:
    with pytest.raises(UnreadableImage):
        load(encoded(noise(), "JPEG")[:-missing])


def test_a_jpeg_with_padding_behind_its_end_opens() -> None:
    assert load(encoded(noise(), "JPEG") + b"\x00" * 512).size_px == (64, 48)


def test_a_decompression_bomb_is_refused_by_its_header_alone() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        return struct.pack(">I", len(body)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageTooLarge, match="60000 x 60000"):
        load(bomb)


def test_the_limit_of_pixels_is_the_callers() -> None:
    data = encoded(noise(10, 10))
    assert load(data, max_pixels=100).size_px == (10, 10)
    with pytest.raises(ImageTooLarge):
        load(data, max_pixels=99)


def test_one_pixel_is_an_image() -> None:
    assert load(encoded(Image.new("RGB", (1, 1), RED))).size_px == (1, 1)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"])
def test_damaged_bytes_open_or_are_refused_and_nothing_else(file_format: str) -> None:
    whole = bytearray(encoded(noise(24, 16), file_format))
    random = np.random.default_rng(7)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(0, 256)
        try:
            load(bytes(data), max_pixels=1_000_000)
        except (UnreadableImage, ImageTooLarge):
            continue


def test_encoding_gives_the_same_bytes_for_the_same_pixels() -> None:
    pixels = np.asarray(noise())
    assert encode_jpeg(pixels) == encode_jpeg(pixels.copy())
    assert encode_png(pixels) == encode_png(pixels.copy())


def test_half_the_size_is_the_mean_of_four_pixels_without_an_odd_rim() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (7, 5, 3), dtype=np.uint8)
    half = SheetImage.from_rgb(rgb).half
    means = rgb[:6, :4].reshape(3, 2, 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - means).max() <= 0.5
