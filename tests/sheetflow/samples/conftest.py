"""An independent reading of drawn sheets, by zxing-cpp."""

import numpy as np
import pytest
import zxingcpp
from PIL import Image, ImageOps


@pytest.fixture(scope="session")
def assert_codes_read():
    """Assert that (image as stored, truth) show the same codes at the same places."""
    return check_codes


def as_displayed(image):
    turned = ImageOps.exif_transpose(image)
    if turned.mode == "I;16":
        return Image.fromarray((np.asarray(turned) // 257).astype(np.uint8))
    if turned.mode == "RGBA":
        turned = Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned)
    return turned.convert("L")


def read_codes(image):
    """Return (text, centre) of every code on a stored image, as displayed."""
    found = zxingcpp.read_barcodes(np.asarray(as_displayed(image)))
    return [(code.text, centre_of(corners(code.position))) for code in found]


def corners(position):
    return [
        (point.x, point.y)
        for point in (
            position.top_left,
            position.top_right,
            position.bottom_right,
            position.bottom_left,
        )
    ]


def centre_of(quad):
    return tuple(sum(values) / len(quad) for values in zip(*quad, strict=True))


def inside(point, quad):
    """Whether a point lies in a quad that runs clockwise on an image with y down."""
    return all(
        (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0) >= 0
        for (x0, y0), (x1, y1) in zip(quad, [*quad[1:], quad[0]], strict=True)
    )


def check_codes(image, truth):
    """Hold an independent reading of a stored image against its truth."""
    expected = [item["code"] for item in truth["items"] if item["code"]] + truth["decoys"]
    found = read_codes(image)
    assert len(found) == len(expected)
    for code in expected:
        # A UPC-A is an EAN-13 that starts with 0; readers may spell it either way.
        spellings = {code["text"]} | (
            {"0" + code["text"]} if code["symbology"] == "UPCA" else set()
        )
        assert any(text in spellings and inside(at, code["quad"]) for text, at in found), code
