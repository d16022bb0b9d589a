from __future__ import annotations

import pytest

from sheetflow import receipts
from sheetflow.custody.archive import archive_sheet, half_archived
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, now_iso
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import (
    CustodyError,
    FolderUnavailable,
)
from sheetflow.sheets import Sheet
from tests.sheetflow.custody.test_staging import sheet_at


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


def test_two_sheets_of_one_name_are_both_kept(folders: Folders, drop) -> None:
    first = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    second = stage_sheet(folders, sheet_at(drop("mugs.png", b"two")))
    assert second.name == f"mugs~{second.sha256[:8]}.png"
    for sheet in (first, second):
        adopt_staged(folders, sheet)
        archive_sheet(folders, sheet, receipt_for(sheet))
    kept = {path.name: path.read_bytes() for path in folders.archive.iterdir()}
    assert kept == {"mugs.png": b"one", f"mugs~{second.sha256[:8]}.png": b"two"}
