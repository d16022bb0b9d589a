"""The drawing door to zxing-cpp: a payload in, the modules of its code out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import zxingcpp
from numpy.typing import NDArray
from PIL import Image

_FORMATS = {
    "EAN13": zxingcpp.BarcodeFormat.EAN13,
    "EAN8": zxingcpp.BarcodeFormat.EAN8,
    "UPCA": zxingcpp.BarcodeFormat.UPCA,
    "CODE128": zxingcpp.BarcodeFormat.Code128,
    "CODE39": zxingcpp.BarcodeFormat.Code39,
    "ITF": zxingcpp.BarcodeFormat.ITF,
    "QR": zxingcpp.BarcodeFormat.QRCode,
}
# Source: GS1 General Specifications 5.2.3.4 (EAN/UPC: 11 and 7 modules), ISO/IEC 15417, 16388 and
# 16390 (10 modules) and 18004 (4 modules).
_QUIET_MODULES = {"EAN13": 11, "EAN8": 7, "UPCA": 9, "QR": 4}


@dataclass(frozen=True)
class Modules:
    """A code before it has a size: its dark and light modules.

    Attributes:
        text: Its payload.
        symbology: A key of `spec.SYMBOLOGIES`.
        dark: `(height, width)` bool, True for a dark module; one row for a linear code.
        quiet: Width of the blank border that readers need, in modules.
    """

    text: str
    symbology: str
    dark: NDArray[np.bool_]
    quiet: int

    @property
    def is_linear(self) -> bool:
        """Whether the code is bars, whose height is free."""
        return len(self.dark) == 1

    @property
    def full_width(self) -> int:
        """Width with both quiet zones, in modules."""
        return len(self.dark[0]) + 2 * self.quiet

    def image(self, module_px: int, bar_height_px: int = 0) -> Image.Image:
        """Return the code without quiet zones, mode L, black on white, whole modules.

        Args:
            module_px: Width of a module.
            bar_height_px: Height of a linear code; a matrix code is square.
        """
        small = Image.fromarray(np.where(self.dark, 0, 255).astype(np.uint8))
        height = bar_height_px if self.is_linear else small.height * module_px
        return small.resize((small.width * module_px, height), Image.Resampling.NEAREST)


def encode(text: str, symbology: str) -> Modules:
    """Return a payload's modules.

    Raises:
        ValueError: The symbology cannot hold the text, or its check digit is wrong.
    """
    code = zxingcpp.create_barcode(text, _FORMATS[symbology])
    pixels = np.asarray(code.to_image(scale=1, add_quiet_zones=False))
    dark = pixels < 128
    if symbology != "QR":
        dark = dark[:1]
    return Modules(text, symbology, dark, _QUIET_MODULES.get(symbology, 10))
