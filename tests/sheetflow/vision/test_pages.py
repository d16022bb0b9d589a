from __future__ import annotations

import io

import numpy as np
import pypdfium2
import pytest
import zxingcpp
from PIL import Image

from sheetflow.errors import ImageTooLarge, TooManyPages, UnreadableImage
from sheetflow.vision.images import SheetImage
from sheetflow.vision.pages import SheetFile
from sheetflow.vision.recognition import read_sheet
from tests.documents import drawn_pdf, locked_pdf, scanned_pdf, tiff

RECTANGLE = "36 18 72 36 re f"


def opened(data: bytes, **limits: int) -> SheetFile:
    return SheetFile(data, sheet="a sheet", **limits)


def pages(data: bytes, **limits: int) -> list[SheetImage]:
    file = opened(data, **limits)
    return [file.page(number) for number in range(1, file.count + 1)]


def noise(seed: int, width: int = 61, height: int = 43) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 2, (height, width), np.uint8) * 255
    return Image.fromarray(values).convert("1")


def turned(data: bytes, degrees: int) -> bytes:
    document, buffer = pypdfium2.PdfDocument(data), io.BytesIO()
    for page in document:
        page.set_rotation(degrees)
    document.save(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("dpi", [72, 150, 300])
def test_a_scan_in_a_pdf_comes_out_pixel_for_pixel(dpi: float) -> None:
    scans = [noise(1), noise(2, 90, 60)]
    for page, scan in zip(pages(scanned_pdf(*scans, dpi=dpi)), scans, strict=True):
        np.testing.assert_array_equal(page.luminance, np.asarray(scan.convert("L")))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_page_is_as_it_is_displayed(degrees: int) -> None:
    (page,) = pages(turned(scanned_pdf(noise(1)), degrees))
    shown = np.rot90(np.asarray(noise(1).convert("L")), -degrees // 90)
    np.testing.assert_array_equal(page.luminance, shown)


def test_colours_of_a_scan_are_kept() -> None:
    colours = Image.new("RGB", (64, 48), (200, 30, 60))
    (page,) = pages(scanned_pdf(colours))
    np.testing.assert_allclose(page.rgb.astype(int), np.asarray(colours).astype(int), atol=4)


def test_a_drawn_page_is_rendered_so_that_codes_can_be_read() -> None:
    (page,) = pages(drawn_pdf(RECTANGLE))
    assert page.size_px == (600, 300)  # 300 dpi
    assert page.luminance[150, 300] == 0
    assert page.luminance[20, 20] == 255


def test_a_drawing_on_a_coarse_picture_is_rendered_finely() -> None:
    # A ground of 2 by 1 pixels, over the whole page, and bars on it.
    ground = "q 144 0 0 72 0 0 cm BI /W 2 /H 1 /BPC 8 /CS /G ID \xff\xff EI Q "
    assert pages(drawn_pdf(ground))[0].size_px == (2, 1)
    (page,) = pages(drawn_pdf(ground + RECTANGLE))
    assert page.size_px == (600, 300)


def test_a_poster_is_rendered_more_coarsely_and_a_large_scan_is_refused() -> None:
    (page,) = pages(drawn_pdf(RECTANGLE, size_pt=(14_400, 7_200)), max_pixels=20_000)
    assert page.size_px == (200, 100)
    with pytest.raises(ImageTooLarge, match="page 1 has a picture of"):
        pages(scanned_pdf(noise(1)), max_pixels=1000)


def test_a_picture_that_swells_is_refused_before_it_is_decoded() -> None:
    bomb = scanned_pdf(noise(1)).replace(b"/Width 61", b"/Width 60000")
    with pytest.raises(ImageTooLarge, match="3600 million pixels"):
        pages(bomb.replace(b"/Height 43", b"/Height 60000"))


def test_a_scan_that_is_wrapped_up_keeps_its_resolution() -> None:
    document, buffer = pypdfium2.PdfDocument(scanned_pdf(noise(1), dpi=150)), io.BytesIO()
    wrapped = document.page_as_xobject(0, document).as_pageobject()
    wrapped.set_matrix(pypdfium2.PdfMatrix().scale(2, 2))
    width, height = document[0].get_size()
    page = document.new_page(2 * width, 2 * height)
    page.insert_obj(wrapped)
    page.gen_content()
    document.save(buffer)
    once, again = pages(buffer.getvalue())
    np.testing.assert_array_equal(once.luminance, again.luminance)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (locked_pdf(), "locked with a password"),
        (drawn_pdf(), "has no page"),
        (b"%PDF-1.7\n%%EOF", "damaged or incomplete"),
        (b"%PDF-1.7\n" + bytes(9000), "cut short"),
        (drawn_pdf(*["0 0 9 9 re f"] * 10_000), "more pages than the limit of 100"),
        (tiff([(noise(i), {}) for i in range(7)]) + bytes(8), "more pages than the limit of 5"),
    ],
    ids=["locked", "no page", "empty", "zeros", "10,000 pages", "7 images"],
)
def test_what_cannot_be_is_refused_with_its_reason(data: bytes, told: str) -> None:
    with pytest.raises((UnreadableImage, TooManyPages), match=told) as refusal:
        pages(data, **({} if data.startswith(b"%PDF") else {"max_pages": 5}))
    assert refusal.value.sheet == "a sheet"
    assert refusal.value.cure


@pytest.mark.parametrize("kept", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_a_file_that_was_cut_short_is_refused(kind: str, kept: float) -> None:
    scans = [noise(seed, 300, 200) for seed in range(4)]
    data = scanned_pdf(*scans) if kind == "PDF" else tiff([(scan, {}) for scan in scans])
    with pytest.raises(UnreadableImage):
        pages(data[: int(kept * len(data))])


@pytest.mark.parametrize("spoilt", ["header", "end"])
def test_a_scan_that_cannot_be_decoded_is_refused_and_not_taken_for_paper(spoilt: str) -> None:
    data = scanned_pdf(noise(1, 300, 200).convert("RGB"))
    start, end = data.index(b"\xff\xd8"), data.index(b"\xff\xd9")
    broken = {
        "header": data[:start] + bytes(300) + data[start + 300 :],
        "end": data[: end - 2000] + b" " * 2002 + data[end + 2 :],
    }
    with pytest.raises(UnreadableImage, match="page 1 of the PDF is damaged"):
        pages(broken[spoilt])


def test_a_pdf_that_announces_more_than_there_is_was_cut_short() -> None:
    whole = drawn_pdf(RECTANGLE)
    data = whole.replace(b"%PDF-1.4\n", b"%PDF-1.4\n9 0 obj<</Linearized 1/L 99999>>endobj\n")
    with pytest.raises(UnreadableImage, match="cut short"):
        pages(data)


def test_the_pages_of_a_tiff_are_its_images_but_for_thumbnails_and_masks() -> None:
    first, second, small = noise(1), noise(2, 80, 50), noise(3, 16, 12)
    data = tiff([(first, {}), (small, {254: 1}), (second, {274: 3}), (small, {254: 4})])
    one, other = pages(data)
    np.testing.assert_array_equal(one.luminance, np.asarray(first.convert("L")))
    # The second page was scanned upside down, and says so.
    np.testing.assert_array_equal(other.luminance, np.asarray(second.convert("L"))[::-1, ::-1])


def test_a_tiff_whose_images_lead_back_to_the_first_ends() -> None:
    data = bytearray(tiff([(noise(1), {}), (noise(2), {})]))
    first = int.from_bytes(data[4:8], "little")
    entries = int.from_bytes(data[first : first + 2], "little")
    place = first + 2 + 12 * entries
    second = int.from_bytes(data[place : place + 4], "little")
    entries = int.from_bytes(data[second : second + 2], "little")
    data[second + 2 + 12 * entries :][:4] = b""
    data[second + 2 + 12 * entries : second + 6 + 12 * entries] = first.to_bytes(4, "little")
    assert opened(bytes(data)).count == 2


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_what_moves_has_one_page(file_format: str) -> None:
    buffer = io.BytesIO()
    frames = [noise(seed).convert("RGB") for seed in (1, 2, 3)]
    frames[0].save(buffer, file_format, save_all=True, append_images=frames[1:])
    assert opened(buffer.getvalue()).count == 1


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", ["PDF", "TIFF"])
def test_damaged_bytes_open_or_are_refused_and_nothing_else(kind: str) -> None:
    scans = [noise(seed, 24, 16) for seed in range(2)]
    whole = scanned_pdf(*scans) if kind == "PDF" else tiff([(scan, {}) for scan in scans])
    random = np.random.default_rng(7)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(5, len(data), 6):
            data[place] = random.integers(0, 256)
        try:
            pages(bytes(data), max_pixels=1_000_000)
        except (UnreadableImage, ImageTooLarge, TooManyPages):
            continue


def test_an_exported_page_is_read_from_its_drawing() -> None:
    # Codes at the smallest size that retail allows, .264 mm a module, and pictures of plain colour.
    texts, content = ["4006381333931", "73513537", "TX-48836", "CAFE-1"], ""
    for index, text in enumerate(texts):
        left, top = 40 + 180 * (index % 2), 20 + 190 * (index // 2)
        kind = {13: "EAN13", 8: "EAN8"}.get(len(text)) if text.isdigit() else "Code128"
        bars = np.asarray(zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat[kind]).to_image())
        row = bars[bars.shape[0] // 4] < 128
        content += "".join(
            f"0 g {left + 0.748 * place:.3f} {top} 0.748 36 re f\n" for place in np.flatnonzero(row)
        )
        content += f"0.{index + 2} 0.4 0.7 rg {left} {top + 50} 100 90 re f\n"
    (page,) = pages(drawn_pdf(content, size_pt=(400, 400)))
    reading = read_sheet(page)
    assert [pair.code for pair in reading.pairs] == [texts[2], texts[3], texts[0], texts[1]]
    assert not reading.needs_review
