import json
import subprocess
import sys
from dataclasses import replace

import pytest
from PIL import Image

from sheetflow.errors import NameTaken
from sheetflow.samples.catalogue import (
    TRUTH_NAME,
    draw_bound_samples,
    draw_samples,
    sample_specs,
)
from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import save_sheet
from sheetflow.vision.pages import SheetFile


@pytest.fixture(scope="module")
def default_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("samples")
    return folder, draw_samples(folder)


@pytest.fixture(scope="module")
def truths(default_set):
    return json.loads((default_set[0] / TRUTH_NAME).read_text())["sheets"]


def test_every_code_of_the_default_set_reads_at_its_place(default_set, truths, assert_codes_read):
    for truth in truths:
        with Image.open(default_set[0] / truth["file"]) as image:
            assert_codes_read(image, truth)


def test_every_default_sheet_is_complete_and_no_code_comes_twice(default_set, truths):
    items = [item for truth in truths for item in truth["items"]]
    assert all(item["code"] and item["picture"] and item["label"] for item in items)
    texts = [item["code"]["text"] for item in items]
    assert len(set(texts)) == len(texts)
    assert texts == [code for sheet in default_set[1] for code in sheet.codes]
    assert sum(sheet.pictures for sheet in default_set[1]) == len(items)
    assert not any(truth["decoys"] for truth in truths)


def test_the_default_set_shows_what_people_send():
    specs = sample_specs()
    assert {spec.label_side for spec in specs} == {"below", "above", "right", "left"}
    assert {spec.frame for spec in specs} == {"none", "cell", "card"}
    assert {spec.file_format for spec in specs} == {"JPEG", "PNG", "TIFF", "WEBP"}
    shown = {symbology for spec in specs for symbology in spec.symbologies}
    assert shown == {"EAN13", "EAN8", "UPCA", "CODE128", "CODE39", "ITF", "QR"}


def test_the_files_are_those_that_the_truth_names(default_set, truths):
    folder, written = default_set
    assert {path.name for path in folder.iterdir()} == {TRUTH_NAME} | {
        truth["file"] for truth in truths
    }
    assert [sheet.path.name for sheet in written] == [truth["file"] for truth in truths]


def test_drawing_the_same_set_again_changes_nothing(tmp_path):
    draw_samples(tmp_path, count=2)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    draw_samples(tmp_path, count=2)
    after = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in tmp_path.iterdir()}
    assert after == before


def test_a_file_with_other_content_is_never_overwritten(tmp_path):
    (tmp_path / "01-home.jpg").write_bytes(b"a colleague's own")
    with pytest.raises(NameTaken, match="Choose an empty folder"):
        draw_samples(tmp_path, count=1)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"a colleague's own"]


def test_another_set_is_refused_before_anything_is_drawn(tmp_path):
    draw_samples(tmp_path, count=1)
    with pytest.raises(NameTaken, match=TRUTH_NAME):
        draw_samples(tmp_path, count=1, seed=2)
    (tmp_path / TRUTH_NAME).write_text("not ours")
    with pytest.raises(NameTaken, match=TRUTH_NAME):
        draw_samples(tmp_path, count=1)


def test_an_inbox_is_spared_the_truth(tmp_path):
    draw_samples(tmp_path, count=1, with_truth=False)
    assert [path.name for path in tmp_path.iterdir()] == ["01-home.jpg"]


def test_progress_is_told_sheet_by_sheet(tmp_path):
    seen = []
    draw_samples(tmp_path, count=2, seed=3, on_sheet=lambda sheet: seen.append(sheet.path))
    assert [path.name for path in seen] == ["01-home.jpg", "02-goods.png"]
    assert all(path.exists() for path in seen)


def test_layouts_come_round_and_codes_stay_unique():
    specs = sample_specs(count=14)
    assert specs[6].rows == specs[0].rows
    assert len({spec.name for spec in specs}) == 14
    payloads = [text for spec in specs for text in spec.payloads]
    assert len(set(payloads)) == len(payloads)


@pytest.mark.parametrize("seed", [2, 3])
def test_other_seeds_read_as_well(seed, tmp_path, assert_codes_read):
    for spec in sample_specs(seed=seed):
        draft = replace(spec, dpi=150, noise=0.0, skew_deg=0.0)
        drawn = draw_sheet(draft)
        with Image.open(save_sheet(tmp_path, drawn, draft)) as image:
            assert_codes_read(image, drawn.truth)


def test_importing_the_catalogue_loads_no_drawing_library():
    program = (
        "import sys, sheetflow.samples.catalogue; "
        "print([name for name in ('PIL', 'numpy', 'zxingcpp') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_pages_can_be_bound_into_one_file(tmp_path):
    drawn = draw_bound_samples(tmp_path, "TIFF", count=2)
    (path,) = {sheet.path for sheet in drawn}
    file = SheetFile(path.read_bytes(), sheet=path.name)
    sheets = json.loads((tmp_path / TRUTH_NAME).read_text())["sheets"]
    assert [(sheet["file"], sheet["page"]) for sheet in sheets] == [(path.name, 1), (path.name, 2)]
    assert [list(file.page(n).size_px) for n in (1, 2)] == [sheet["size"] for sheet in sheets]
