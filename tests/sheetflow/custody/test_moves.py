from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sheetflow import receipts
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, now_iso
from sheetflow.custody.moves import (
    adopt_staged,
    archive_sheet,
    bring_in,
    claimed_sheet,
    half_archived,
    quarantine_sheet,
    reason_file,
    stage_sheet,
    staged_files,
)
from sheetflow.errors import (
    CustodyError,
    FolderUnavailable,
    SheetBusy,
    UnreadableImage,
    UsageError,
)
from sheetflow.sheets import Sheet, State


def sheet_at(path: Path) -> Sheet:
    return Sheet(path.name, digest_bytes(path.read_bytes()), path)


def receipt_for(sheet: Sheet, *, pairs: int = 1, on_sheet: int = 1) -> receipts.UploadReceipt:
    line = receipts.ReceiptLine("4006381333931", "0" * 64, 1, False)
    return receipts.UploadReceipt(
        sheet.sha256, (line,) * pairs, on_sheet, now_iso(), receipts._PROOF
    )


def test_a_sheet_goes_from_the_inbox_to_staging_to_the_archive(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    assert staged.path == folders.staging / "mugs.png"
    adopt_staged(folders, staged)
    archived = archive_sheet(folders, staged, receipt_for(staged))
    assert archived.read_bytes() == b"one"
    assert [*folders.inbox.iterdir(), *folders.staging.iterdir()] == []
    states = [event.state for event in load_entry(folders, staged.sha256).history]
    assert states == ["waiting", "staged", "archived"]


def test_two_sheets_of_one_name_are_both_kept(folders: Folders, drop) -> None:
    first = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    second = stage_sheet(folders, sheet_at(drop("mugs.png", b"two")))
    assert second.name == f"mugs~{second.sha256[:8]}.png"
    for sheet in (first, second):
        adopt_staged(folders, sheet)
        archive_sheet(folders, sheet, receipt_for(sheet))
    kept = {path.name: path.read_bytes() for path in folders.archive.iterdir()}
    assert kept == {"mugs.png": b"one", f"mugs~{second.sha256[:8]}.png": b"two"}


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


def test_archive_refuses_a_receipt_for_another_sheet(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    other = Sheet("other.png", digest_bytes(b"other"), folders.staging / "other.png")
    with pytest.raises(CustodyError, match="does not prove"):
        archive_sheet(folders, staged, receipt_for(other))
    assert staged.path.exists()
    assert list(folders.archive.iterdir()) == []


def test_archive_refuses_a_receipt_that_leaves_a_pair_out(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    for receipt in (receipt_for(staged, on_sheet=2), receipt_for(staged, pairs=0, on_sheet=0)):
        with pytest.raises(CustodyError, match="does not prove"):
            archive_sheet(folders, staged, receipt)
    assert staged.path.exists()


def test_archive_that_was_killed_after_the_move_is_found_and_finished(
    folders: Folders, drop
) -> None:
    staged = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    archived = archive_sheet(folders, staged, receipt_for(staged))
    assert half_archived(folders) == [archived]
    again = sheet_at(archived)
    assert archive_sheet(folders, again, receipt_for(again)) == archived
    assert archived.read_bytes() == b"one"


def test_a_full_archive_leaves_the_sheet_staged(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    folders.archive.rmdir()
    folders.archive.symlink_to("/proc")  # a file system that refuses every new file
    with pytest.raises(FolderUnavailable, match="takes no new files"):
        archive_sheet(folders, staged, receipt_for(staged))
    assert staged.path.read_bytes() == b"one"


def test_a_rejected_sheet_lies_beside_its_reason(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("letter.png", b"dear sir")))
    error = UnreadableImage("it is text", cure="Scan it", sheet="letter.png")
    target = quarantine_sheet(folders, staged, error, flow_run_id="run")
    assert target.read_bytes() == b"dear sir"
    reason = json.loads(reason_file(target).read_bytes())
    assert (reason["name"], reason["cause"], reason["cure"]) == (
        "letter.png",
        "it is text",
        "Scan it",
    )
    assert load_entry(folders, staged.sha256).state is State.REJECTED
    assert list(folders.staging.iterdir()) == []


def test_quarantine_never_replaces_a_file_or_a_reason(folders: Folders, drop) -> None:
    error = UnreadableImage("it is text", cure="Scan it")
    names = []
    for data in (b"one", b"two", b"one"):
        names.append(quarantine_sheet(folders, sheet_at(drop("a.png", data)), error).name)
    assert names == ["a.png", "a~2.png", "a~3.png"]
    assert sorted(path.name for path in folders.quarantine.iterdir()) == [
        "a.png",
        "a.png.json",
        "a~2.png",
        "a~2.png.json",
        "a~3.png",
        "a~3.png.json",
    ]


def test_a_very_long_name_finds_room_in_quarantine(folders: Folders, drop) -> None:
    error = UnreadableImage("it is text", cure="Scan it")
    target = quarantine_sheet(folders, sheet_at(drop("n" * 251 + ".png", b"one")), error)
    assert json.loads(reason_file(target).read_bytes())["name"] == "n" * 251 + ".png"


def test_a_claimed_sheet_is_nobody_elses(folders: Folders, drop) -> None:
    path = drop("mugs.png", b"one")
    twin = drop("twin.png", b"one")
    with claimed_sheet(folders, path):
        for other in (path, twin):
            with pytest.raises(SheetBusy), claimed_sheet(folders, other):
                pass
    with claimed_sheet(folders, path) as sheet:
        assert sheet.sha256 == digest_bytes(b"one")
    assert list(folders.claims.iterdir()) == []


def test_a_killed_owners_claim_ends_with_it(folders: Folders, drop) -> None:
    path = drop("mugs.png", b"one")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from sheetflow.custody.moves import claimed_sheet\n"
        "from sheetflow.settings import load_settings\n"
        "with claimed_sheet(load_settings(root=Path(sys.argv[1])).folders, Path(sys.argv[2])):\n"
        "    print('mine', flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, folders.state.parent, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert owner.stdout.readline() == "mine\n"
        with pytest.raises(SheetBusy), claimed_sheet(folders, path):
            pass
    finally:
        owner.kill()
        owner.communicate()
    with claimed_sheet(folders, path):
        pass


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
