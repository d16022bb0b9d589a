from __future__ import annotations

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import record_failure
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.sheets import Sheet
from sheetflow.status import system_status


def test_everything_is_counted_where_it_is(folders, drop) -> None:
    drop("waiting.png", b"1")
    drop("waiting.part", b"not counted")
    staged = stage_sheet(folders, Sheet("staged.png", digest_bytes(b"2"), drop("staged.png", b"2")))
    adopt_staged(folders, staged)
    record_failure(folders, staged, "staged.png: the disk is full. Free some.")
    (folders.staging / "by-hand.png").write_bytes(b"3")
    (folders.archive / "old.png").write_bytes(b"4")
    (folders.quarantine / "bad.png").write_bytes(b"5")
    (folders.quarantine / "bad.png.json").write_bytes(b"{}")
    (folders.quarantine / "list.json").write_bytes(b"{}")
    now = system_status(folders)
    assert (now.waiting, now.staged, now.failed, now.archived, now.rejected) == (1, 2, 1, 1, 2)
    assert not now.ok
    sheets = {sheet.name: sheet for sheet in now.sheets}
    assert sheets["staged.png"].attempts == 1
    assert "disk is full" in sheets["staged.png"].last_error
    assert (sheets["by-hand.png"].state, sheets["by-hand.png"].sha256) == ("staged", None)
    assert now.oldest_unarchived_s >= 0


def test_a_data_root_that_was_never_used_is_empty_and_well(settings) -> None:
    now = system_status(settings.folders)
    assert now.ok
    assert now.oldest_unarchived_s is None
