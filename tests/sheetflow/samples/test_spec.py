import json
import re

import pytest

from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.spec import SheetSpec


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"rows": 0}, "must be positive"),
        ({"scale": 0.0}, "must be positive"),
        ({"page": "B7"}, "page must be one of"),
        ({"symbologies": ("EAN14",)}, "symbologies must be some of"),
        ({"symbologies": ()}, "symbologies must be some of"),
        ({"payloads": ("a", "b")}, "a payload for each cell"),
        ({"missing_codes": frozenset({6})}, "outside the grid"),
        ({"duplicates": ((0, 99),)}, "outside the grid"),
        ({"turn": 45}, "turn must be"),
        ({"exif_orientation": 9}, "exif_orientation must be"),
        ({"mode": "CMYK", "file_format": "PNG"}, "PNG cannot hold CMYK"),
    ],
)
def test_a_spec_whose_parts_do_not_fit_is_refused_with_the_reason(settings, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        SheetSpec(**settings)


def test_a_page_too_small_for_its_codes_is_refused():
    with pytest.raises(ValueError, match="no room"):
        draw_sheet(SheetSpec(page="A6", rows=2, columns=5, dpi=60))


def test_a_spec_goes_into_json():
    spec = SheetSpec(missing_codes=frozenset({3, 1}), payloads=None)
    value = json.loads(json.dumps(spec.to_json()))
    assert value["missing_codes"] == [1, 3]
    assert value["rows"] == spec.rows
    assert not any(name.startswith("_") for name in value)
