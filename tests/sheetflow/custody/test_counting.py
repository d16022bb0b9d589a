from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from sheetflow.custody.counting import count_sheets


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A folder of 1,200 sheets that nobody has touched for a minute."""
    folder = tmp_path / "images_old"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number}.png").touch()
    (folder / ".hidden").touch()
    _settle(folder)
    return folder


def _settle(folder: Path) -> None:
    old = time.time() - 60
    os.utime(folder, (old, old))


def test_a_count_is_remembered_while_the_folder_stands_still(archive, tmp_path) -> None:
    memory = tmp_path / "count.json"
    assert count_sheets(archive, memory=memory) == 1200
    memory.write_text(json.dumps({**json.loads(memory.read_text()), "count": 7}))
    assert count_sheets(archive, memory=memory) == 7  # asked, not listed


@pytest.mark.parametrize("change", ["comes", "goes", "is renamed"])
def test_whoever_touches_the_folder_is_noticed(archive, tmp_path, change) -> None:
    memory = tmp_path / "count.json"
    count_sheets(archive, memory=memory)
    if change == "comes":
        (archive / "new.png").touch()
    elif change == "goes":
        (archive / "1.png").unlink()
    else:
        (archive / "1.png").rename(archive / "1.png.part")
    expected = {"comes": 1201, "goes": 1199, "is renamed": 1199}
    assert count_sheets(archive, memory=memory) == expected[change]


def test_a_count_of_a_folder_that_changed_just_now_is_not_remembered(archive, tmp_path) -> None:
    (archive / "new.png").touch()  # a second change in the same tick would leave the same time
    assert count_sheets(archive, memory=tmp_path / "count.json") == 1201
    assert not (tmp_path / "count.json").exists()


def test_a_memory_that_is_spoiled_or_cannot_be_written_does_no_harm(archive, tmp_path) -> None:
    memory = tmp_path / "count.json"
    memory.write_text("{")
    assert count_sheets(archive, memory=memory) == 1200
    assert count_sheets(archive, memory=tmp_path / "gone" / "count.json") == 1200
    assert count_sheets(tmp_path / "gone", memory=memory) == 0
