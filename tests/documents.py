"""PDF and TIFF files for the tests, written by hand where no library would write them so."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, TiffImagePlugin


def scanned_pdf(*pages: Image.Image, dpi: float = 300) -> bytes:
    """A PDF of scans, a page each, as a scanner writes it."""
    buffer = io.BytesIO()
    first, *others = pages
    first.save(buffer, "PDF", save_all=True, append_images=others, resolution=dpi)
    return buffer.getvalue()


def drawn_pdf(*contents: str, size_pt: tuple[float, float] = (144, 72), trailer: str = "") -> bytes:
    """A PDF whose pages are drawn by PDF's own operators."""
    width, height = size_pt
    numbers = range(3, 3 + 2 * len(contents), 2)
    kids = " ".join(f"{number} 0 R" for number in numbers)
    things = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(contents)}>>",
    ]
    for number, content in zip(numbers, contents, strict=True):
        things += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents {number + 1} 0 R>>",
            f"<</Length {len(content)}>>stream\n{content}\nendstream",
        ]
    data, places = b"%PDF-1.4\n", []
    for number, thing in enumerate(things, start=1):
        places.append(len(data))
        data += f"{number} 0 obj{thing}endobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    return data + (
        f"xref\n0 {len(things) + 1}\n0000000000 65535 f \n{table}"
        f"trailer<</Size {len(things) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{len(data)}\n%%EOF\n"
    ).encode("latin-1")


def locked_pdf() -> bytes:
    """A PDF that asks for a password."""
    secret = "00" * 32
    return drawn_pdf(
        "0 0 9 9 re f",
        trailer=f"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{secret}>/U<{secret}>>>/ID[<00><00>]",
    )


def tiff(pages: Sequence[tuple[Image.Image, Mapping[int, Any]]]) -> bytes:
    """A TIFF of several images, each with tags of its own."""
    buffer = io.BytesIO()
    with TiffImagePlugin.AppendingTiffWriter(buffer, new=True) as writer:
        for image, tags in pages:
            info = TiffImagePlugin.ImageFileDirectory_v2()
            for tag, value in tags.items():
                info[tag] = value
            image.save(writer, "TIFF", tiffinfo=info)
            writer.newFrame()
    return buffer.getvalue()
