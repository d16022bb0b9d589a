from __future__ import annotations

import os
from pathlib import Path

import pytest

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.staging import bring_in, stage_sheet, staged_files
from sheetflow.errors import (
    CustodyError,
    UsageError,
)
from sheetflow.sheets import Sheet


def sheet_at(path: Path) -> Sheet:
    return Sheet(path.name, digest_bytes(path.read_bytes()), path)


def test_a_second_drop_of_a_staged_sheet_waits_in_the_inbox(folders: Folders, drop) -> None:
    stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    again = drop("again.png", b"one")
    with pytest.raises(CustodyError, match=r"already staged as mugs\.png"):
        stage_sheet(folders, sheet_at(again))
    assert again.exists()


def test_staging_that_was_killed_between_link_and_removal_is_finished(
    folders: Folders, drop
) -> None:
    source = drop("mugs.png", b"one")
    sheet = sheet_at(source)
    stage_sheet(folders, sheet)
    os.link(folders.staging / "mugs.png", source)
    assert stage_sheet(folders, sheet).path == folders.staging / "mugs.png"
    assert not source.exists()


def test_staged_files_are_listed_without_half_copies(folders: Folders) -> None:
    (folders.staging / ".x.sheetflow.part").write_bytes(b"half")
    (folders.staging / "whole.png").write_bytes(b"whole")
    assert staged_files(folders) == [folders.staging / "whole.png"]


def test_a_file_from_elsewhere_is_copied_into_the_inbox(folders: Folders, tmp_path: Path) -> None:
    elsewhere = tmp_path / "desk.png"
    elsewhere.write_bytes(b"one")
    assert bring_in(folders, elsewhere) == folders.inbox / "desk.png"
    assert elsewhere.read_bytes() == b"one"


def test_a_bare_name_is_looked_for_in_inbox_and_staging(folders: Folders) -> None:
    raw = os.fsdecode(b"caf\xe9.png")
    (folders.staging / raw).write_bytes(b"one")
    assert bring_in(folders, Path("caf\\xe9.png")) == folders.staging / raw


@pytest.mark.parametrize("place", ["archive", "quarantine"])
def test_a_sheet_that_is_done_is_not_taken_again(folders: Folders, place: str) -> None:
    path = getattr(folders, place) / "done.png"
    path.write_bytes(b"one")
    with pytest.raises(UsageError, match="already"):
        bring_in(folders, path)


def test_a_file_that_does_not_exist_is_told_by_name(folders: Folders) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*nothing\.png"):
        bring_in(folders, Path("nothing.png"))
