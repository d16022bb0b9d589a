"""The door to PDF files: bytes in, a page's pixels as displayed out, or a refusal that says why.

The only module that imports pypdfium2, and only where a PDF is met. A page that is one scan is
rendered at the scan's own resolution, pixel for pixel; any other, drawn from text and pictures, at
one that codes can be read at. PDFium runs no scripts here and fetches nothing. See
docs/decisions/0014-pdf.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from math import hypot, isfinite, prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from sheetflow.errors import ImageTooLarge, UnreadableImage
from sheetflow.vision.images import Pixels, SheetImage

if TYPE_CHECKING:
    import pypdfium2

_POINTS_AN_INCH = 72
_DRAWN_DPI = 300
_DRAWN_PIXELS_AT_MOST = 50_000_000
"""Of a page without a resolution of its own; a larger one, a poster, is rendered more coarsely."""

_COVERS = 0.8
_OBJECTS_LOOKED_AT = 2000
_INVISIBLE = 3
"""The text render mode of what a scanner's text recognition has put behind the scan."""

_LOCKED = (4, 5)
"""PDFium's errors for a password that it lacks, and for a protection that it does not know."""

_LINEARIZED = re.compile(rb"/Linearized[^>]*?/L\s+(\d+)")


def is_pdf(data: bytes) -> bool:
    """Tell whether a file's bytes are a PDF's."""
    return data[:1024].lstrip(b"\xef\xbb\xbf\x00\t\n\x0c\r ").startswith(b"%PDF-")


class PdfPages:
    """An open PDF.

    Args:
        data: The whole file.
        sheet: The sheet's printable name, for messages.

    Raises:
        UnreadableImage: It is locked, damaged or cut short, or has no page.
    """

    def __init__(self, data: bytes, *, sheet: str) -> None:
        import pypdfium2

        self._sheet = sheet
        self._errors = pypdfium2.PdfiumError
        self._refuse_cut(data)
        try:
            self._document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            # PDFium may leave its last error as an earlier file made it, so that is not enough.
            if error.err_code in _LOCKED and b"/Encrypt" in data:
                cause, cure = "the PDF is locked with a password", "Save it without one"
            else:
                cause = "the PDF is damaged or incomplete, or has no page"
                cure = "Export, scan or copy it again"
            raise UnreadableImage(cause, cure=cure, sheet=sheet) from error
        self.count: int = len(self._document)

    def page(self, number: int, *, max_pixels: int) -> SheetImage:
        """Render a page, counted from 1.

        Raises:
            UnreadableImage: The page is damaged.
            ImageTooLarge: It is a scan of more than `max_pixels`.
        """
        with self._opened(number) as page:
            turns = page.get_rotation() // 90
            page.set_rotation(0)  # turned by PDFium, pixels would be blended
            rgb = _rendered(page, self._scale(page, number, max_pixels))
            page.set_rotation(90 * turns)
        rgb = np.ascontiguousarray(np.rot90(rgb, -turns))
        return SheetImage.from_rgb(rgb, name=self._sheet, format="PDF")

    def _scale(self, page: pypdfium2.PdfPage, number: int, max_pixels: int) -> float:
        """Return how many pixels a point should have."""
        width, height = page.get_size()
        if not (isfinite(width * height) and min(width, height) > 0):
            raise self._errors("a page of no size")
        images = list(_images_on(page))
        self._refuse_large(max((image.pixels for image in images), default=0), number, max_pixels)
        scale, is_scan = _of_scan(page, images)
        if is_scan:
            self._refuse_large(width * height * scale**2, number, max_pixels)
            return scale
        scale = max(scale, _DRAWN_DPI / _POINTS_AN_INCH)
        most = min(_DRAWN_PIXELS_AT_MOST, max_pixels)
        return min(scale, sqrt(most / (width * height)))

    def _refuse_large(self, pixels: float, number: int, max_pixels: int) -> None:
        if pixels > max_pixels:
            raise ImageTooLarge(
                f"page {number} has a picture of {pixels / 1e6:.0f} million pixels, more than the "
                f"limit of {max_pixels / 1e6:g} million",
                cure="Scan at a lower resolution, or raise SHEETFLOW_MAX_PIXELS",
                sheet=self._sheet,
            )

    @contextmanager
    def _opened(self, number: int) -> Iterator[pypdfium2.PdfPage]:
        try:
            page = self._document[number - 1]
            try:
                yield page
            finally:
                page.close()
        except self._errors as error:
            raise UnreadableImage(
                f"page {number} of the PDF is damaged ({error})",
                cure="Export or scan it again",
                sheet=self._sheet,
            ) from error

    def _refuse_cut(self, data: bytes) -> None:
        # PDFium makes of a file that was cut short what it can, without the pages that are gone.
        announced = _LINEARIZED.search(data[:2048])
        if b"%%EOF" not in data[-65536:] or (announced and int(announced[1]) > len(data)):
            raise UnreadableImage(
                "the PDF has no end: the file was cut short",
                cure="Copy the sheet again, whole",
                sheet=self._sheet,
            )


def _rendered(page: pypdfium2.PdfPage, scale: float) -> Pixels:
    """Return a page, uint8 (height, width, 3), on white paper.

    PDFium draws a picture over every pixel that it touches. Fitted a hair below its own size, it
    touches no more than it has, and each pixel of a scan becomes one of the page.
    """
    import pypdfium2
    import pypdfium2.raw as pdfium

    sizes = page.get_size()
    width, height = (max(1, round(size * scale)) for size in sizes)
    across, down = ((px - 0.01) / size for px, size in zip((width, height), sizes, strict=True))
    bitmap = pypdfium2.PdfBitmap.new_native(
        width, height, pdfium.FPDFBitmap_BGR, rev_byteorder=True
    )
    bitmap.fill_rect((255, 255, 255, 255), 0, 0, width, height)
    pdfium.FPDF_RenderPageBitmapWithMatrix(
        bitmap,
        page,
        pdfium.FS_MATRIX(across, 0, 0, down, 0, 0),
        pdfium.FS_RECTF(0, 0, width, height),
        pdfium.FPDF_ANNOT | pdfium.FPDF_REVERSE_BYTE_ORDER,
    )
    return np.array(bitmap.to_numpy()[..., :3])


@dataclass(frozen=True)
class _Image:
    """A picture on a page: its size in pixels and, however it is turned, in points."""

    object: Any
    size_px: tuple[int, int]
    size_pt: tuple[float, float]

    @property
    def pixels(self) -> int:
        return prod(self.size_px)


def _objects_on(page: pypdfium2.PdfPage) -> Iterator[Any]:
    return islice(page.get_objects(), _OBJECTS_LOOKED_AT)


def _images_on(page: pypdfium2.PdfPage) -> Iterator[_Image]:
    import pypdfium2.raw as pdfium

    for thing in _objects_on(page):
        if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
            matrix, form = thing.get_matrix(), thing.container
            while form is not None:
                matrix, form = matrix.multiply(form.get_matrix()), form.container
            size_pt = (hypot(matrix.a, matrix.b), hypot(matrix.c, matrix.d))
            yield _Image(thing, thing.get_px_size(), size_pt)


def _of_scan(page: pypdfium2.PdfPage, images: Sequence[_Image]) -> tuple[float, bool]:
    """Return the pixels a point of the pictures that cover a page, and whether they are all of it.

    0 if none does. A scan may lie in layers, text sharper than ground: the sharpest counts.
    """
    import pypdfium2.raw as pdfium

    left, bottom, right, top = page.get_bbox()
    least = _COVERS * (right - left) * (top - bottom)
    covering = [image for image in images if prod(image.size_pt) >= least > 0]
    for image in covering:
        _refuse_undecodable(image.object)
    others = sum(
        thing.type not in (pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_FORM)
        and not _is_hidden(thing)
        for thing in _objects_on(page)
    )
    scales = (
        px / pt for image in covering for px, pt in zip(image.size_px, image.size_pt, strict=True)
    )
    is_all = bool(covering) and len(covering) == len(images) and not others
    return max(scales, default=0.0), is_all


def _is_hidden(thing: Any) -> bool:
    """Tell whether an object is text that is not drawn."""
    import pypdfium2.raw as pdfium

    if thing.type != pdfium.FPDF_PAGEOBJ_TEXT:
        return False
    return bool(pdfium.FPDFTextObj_GetTextRenderMode(thing) == _INVISIBLE)


def _refuse_undecodable(image: Any) -> None:
    """Raise what the caller takes for damage; drawn, such a picture would be blank paper.

    A JPEG that was cut short is drawn too, as far as it goes, but has no end.
    """
    import pypdfium2

    try:
        image.get_bitmap()
    except pypdfium2.PdfiumError as error:
        raise pypdfium2.PdfiumError("its scan cannot be decoded") from error
    if image.get_filters() == ["DCTDecode"] and b"\xff\xd9" not in bytes(image.get_data()[-65536:]):
        raise pypdfium2.PdfiumError("its JPEG was cut short")
