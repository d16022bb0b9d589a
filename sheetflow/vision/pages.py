"""The pages of a sheet's file: one of a picture, as many as there are of a PDF or a TIFF."""

from __future__ import annotations

from sheetflow.errors import TooManyPages
from sheetflow.vision.images import DEFAULT_MAX_PIXELS, SheetImage, frames_of, load_image
from sheetflow.vision.pdf import PdfPages, is_pdf

DEFAULT_MAX_PAGES = 100


class SheetFile:
    """A sheet's file, open for its pages, which are decoded one by one.

    Args:
        data: The whole file.
        sheet: The sheet's printable name, for messages.
        max_pixels: What a page may have at most.
        max_pages: How many there may be.

    Raises:
        UnreadableImage: It is no image or PDF that can be read whole.
        TooManyPages: It has more than `max_pages`.
    """

    def __init__(
        self,
        data: bytes,
        *,
        sheet: str,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        max_pages: int = DEFAULT_MAX_PAGES,
    ) -> None:
        self._data, self._sheet, self._max_pixels = data, sheet, max_pixels
        self._pdf = PdfPages(data, sheet=sheet) if is_pdf(data) else None
        self._frames = [] if self._pdf else frames_of(data, sheet=sheet, at_most=max_pages + 1)
        self.count = self._pdf.count if self._pdf else len(self._frames)
        if self.count > max_pages:
            raise TooManyPages(
                f"the file has more pages than the limit of {max_pages}",
                cure="Split it into several files, or raise SHEETFLOW_MAX_PAGES",
                sheet=sheet,
            )

    def page(self, number: int) -> SheetImage:
        """Return a page as it is displayed, counted from 1.

        Raises:
            UnreadableImage: It is damaged.
            ImageTooLarge: It has more pixels than it may.
        """
        if self._pdf is not None:
            return self._pdf.page(number, max_pixels=self._max_pixels)
        frame = self._frames[number - 1]
        return load_image(self._data, sheet=self._sheet, max_pixels=self._max_pixels, frame=frame)
