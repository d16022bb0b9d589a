"""Nothing outside of the data root is read or written, whatever links and names say."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from sheetflow.custody.files import digest_bytes, write_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.forcing import sheet_to_force
from sheetflow.custody.journal import Entry
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.retrying import select_for_retry
from sheetflow.custody.returning import return_to_staging
from sheetflow.custody.staging import bring_in, stage_sheet, staged_files
from sheetflow.custody.transfers import move_file
from sheetflow.errors import CustodyError, NameTaken, UnreadableImage, UsageError
from sheetflow.sheets import State
from tests.sheetflow.custody.test_staging import sheet_at


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    path = tmp_path / "outside.png"
    path.write_bytes(b"not ours")
    return path


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_at_the_target_of_a_move_is_not_written_through(
    folders: Folders, drop, outside: Path, exists: bool
) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))
    if not exists:
        outside.unlink()
    (folders.staging / "mugs.png").symlink_to(outside)
    with pytest.raises(NameTaken):
        move_file(sheet.path, folders.staging / "mugs.png", sha256=sheet.sha256)
    assert stage_sheet(folders, sheet).path.read_bytes() == b"one"
    assert outside.exists() == exists
    assert not exists or outside.read_bytes() == b"not ours"


def test_a_link_where_a_half_written_file_goes_is_not_written_through(
    folders: Folders, outside: Path
) -> None:
    temporary = f".mark.{os.getpid()}.{threading.get_ident()}.sheetflow.part"
    (folders.quarantine / temporary).symlink_to(outside)
    write_file(folders.quarantine / "mugs.png.json", b"{}", mark="mark")
    assert outside.read_bytes() == b"not ours"
    assert (folders.quarantine / "mugs.png.json").read_bytes() == b"{}"


def test_links_in_staging_and_quarantine_are_no_sheets(folders: Folders, outside: Path) -> None:
    for place in (folders.staging, folders.quarantine):
        (place / "link.png").symlink_to(outside)
    assert staged_files(folders) == []
    with pytest.raises(UsageError):
        sheet_to_force(folders, "link.png")
    with pytest.raises(UsageError):
        select_for_retry(folders, ["link.png"])


def test_a_link_that_a_person_names_is_not_followed_into_the_inbox(
    folders: Folders, outside: Path, tmp_path: Path
) -> None:
    (tmp_path / "link.png").symlink_to(outside)
    with pytest.raises(CustodyError, match="link"):
        bring_in(folders, tmp_path / "link.png")
    assert list(folders.inbox.iterdir()) == []


@pytest.mark.parametrize("name", ["../outside.png", "/tmp/outside.png", "..", "a/b.png", ".x.png"])
def test_a_name_in_the_ledger_cannot_send_a_sheet_elsewhere(folders: Folders, name: str) -> None:
    archived = folders.archive / "mugs.png"
    archived.write_bytes(b"one")
    entry = Entry(digest_bytes(b"one"), name, State.STAGED, staged_name=name)
    return_to_staging(folders, archived, entry, note="sent back")
    assert [path.name for path in folders.staging.iterdir()] == ["mugs.png"]


def test_files_have_the_modes_that_they_came_with_and_ours_are_nobody_elses(
    folders: Folders, drop
) -> None:
    path = drop("mugs.png", b"one")
    path.chmod(0o640)
    sheet = stage_sheet(folders, sheet_at(path))
    assert sheet.path.stat().st_mode & 0o777 == 0o640
    quarantined = quarantine_sheet(folders, sheet, UnreadableImage("it is text", cure="Scan it"))
    assert quarantined.stat().st_mode & 0o777 == 0o640
    assert folders.state.stat().st_mode & 0o777 == 0o700
    umask = os.umask(0)
    os.umask(umask)
    reason = quarantined.with_name("mugs.png.json")
    assert reason.stat().st_mode & 0o777 == 0o666 & ~umask
