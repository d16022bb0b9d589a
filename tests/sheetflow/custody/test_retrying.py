from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import (
    forget_sheet,
    load_entry,
    record_failure,
    save_entry,
    work_folder,
)
from sheetflow.custody.quarantine import quarantine_sheet, reason_file
from sheetflow.custody.retrying import retry_sheet, select_for_retry
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import SheetBusy, UnreadableImage, UsageError
from sheetflow.sheets import Sheet, State
from sheetflow.status import system_status

NO_IMAGE = UnreadableImage("it is text", cure="Scan it")


@pytest.fixture
def staged(folders: Folders, drop):
    def make(name: str, data: bytes) -> Sheet:
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(data), drop(name, data)))
        adopt_staged(folders, sheet)
        return sheet

    return make


@pytest.fixture
def rejected(folders: Folders, staged):
    def make(name: str, data: bytes) -> Path:
        return quarantine_sheet(folders, staged(name, data), NO_IMAGE)

    return make


def retried(folders: Folders, *names: str, **options: bool):
    return [retry_sheet(folders, found) for found in select_for_retry(folders, names, **options)]


def test_a_rejected_sheet_goes_back_to_the_inbox_and_its_reason_goes(folders, rejected) -> None:
    rejected("letter.png", b"text")
    (result,) = retried(folders, "letter.png")
    assert result.path == folders.inbox / "letter.png"
    assert result.path.read_bytes() == b"text"
    assert list(folders.quarantine.iterdir()) == []
    assert result.was is State.REJECTED
    entry = load_entry(folders, digest_bytes(b"text"))
    assert entry.state is State.WAITING
    assert entry.history[-1].note.startswith("retried by ")


def test_a_sheet_that_was_put_back_keeps_its_history_when_it_is_staged_again(
    folders, rejected
) -> None:
    rejected("letter.png", b"text")
    (result,) = retried(folders, "letter.png")
    stage_sheet(folders, Sheet("letter.png", result.sha256, result.path))
    states = [event.state for event in load_entry(folders, result.sha256).history]
    assert states == ["waiting", "staged", "rejected", "waiting", "waiting", "staged"]


def test_a_sheet_gets_its_original_name_back_and_replaces_nothing(folders, rejected, drop) -> None:
    rejected("a.png", b"one")
    quarantined = rejected("a.png", b"two")
    assert quarantined.name == "a~2.png"
    (result,) = retried(folders, "a~2.png")
    assert result.path.name == "a.png"
    drop("other.png", b"x")
    (folders.inbox / "a.png").rename(folders.inbox / "kept.png")
    drop("a.png", b"three")
    (second,) = retried(folders, digest_bytes(b"one")[:8])
    assert second.path.name == f"a~{digest_bytes(b'one')[:8]}.png"
    assert (folders.inbox / "a.png").read_bytes() == b"three"


def test_a_retry_that_was_killed_between_link_and_removal_is_finished(folders, rejected) -> None:
    quarantined = rejected("letter.png", b"text")
    os.link(quarantined, folders.inbox / "letter.png")
    retried(folders, "letter.png")
    assert [path.name for path in folders.inbox.iterdir()] == ["letter.png"]
    assert list(folders.quarantine.iterdir()) == []


def test_a_reason_file_cannot_send_a_sheet_out_of_the_inbox(folders, rejected) -> None:
    quarantined = rejected("letter.png", b"text")
    forget_sheet(folders, digest_bytes(b"text"))
    reason = json.loads(reason_file(quarantined).read_bytes())
    for name in ("../../letter.png", "/etc/letter.png", "..", ".hidden"):
        reason_file(quarantined).write_text(json.dumps({**reason, "name": name}))
        (result,) = retried(folders, digest_bytes(b"text")[:12])
        assert result.path == folders.inbox / "letter.png"
        forget_sheet(folders, result.sha256)
        quarantined = quarantine_sheet(
            folders, Sheet("letter.png", result.sha256, result.path), NO_IMAGE
        )


def test_a_failed_sheet_starts_afresh_in_staging(folders, staged) -> None:
    sheet = staged("mugs.png", b"mugs")
    result = work_folder(folders, sheet.sha256) / "result"
    result.mkdir()
    (result / "0000.jpg").write_bytes(b"crop")
    record_failure(folders, sheet, "mugs.png: the disk is full. Free some.")
    (told,) = retried(folders, all_failed=True)
    assert told.was is State.FAILED
    assert sheet.path.read_bytes() == b"mugs"
    assert not result.exists()
    entry = load_entry(folders, sheet.sha256)
    assert (entry.state, entry.last_error) == (State.STAGED, None)
    assert [event.state for event in entry.history][-2:] == ["failed", "staged"]
    assert system_status(folders).failed == 0


def test_a_sheet_that_needs_a_review_starts_afresh_by_name_only(folders, staged) -> None:
    sheet = staged("mugs.png", b"mugs")
    entry = load_entry(folders, sheet.sha256).moved_on(State.NEEDS_REVIEW, doubts=("a smudge",))
    save_entry(folders, entry)
    assert retried(folders, all_failed=True, all_rejected=True) == []
    (told,) = retried(folders, "mugs.png")
    assert told.was is State.NEEDS_REVIEW
    assert load_entry(folders, sheet.sha256).doubts == ()


def test_an_unknown_name_is_told_with_those_that_could_be_meant(folders, rejected) -> None:
    rejected("letter.png", b"text")
    with pytest.raises(UsageError, match=r"nothing\.png: .*Choose one of these: letter\.png \(in"):
        select_for_retry(folders, ["letter.png", "nothing.png"])
    assert (folders.quarantine / "letter.png").exists()


def test_an_ambiguous_name_lists_its_candidates_with_their_digests(folders, rejected) -> None:
    rejected("a.png", b"one")
    rejected("a.png", b"two")
    with pytest.raises(UsageError, match="several sheets go by this name") as caught:
        select_for_retry(folders, ["a.png"])
    for data in (b"one", b"two"):
        assert digest_bytes(data)[:12] in str(caught.value)
    assert len(retried(folders, all_rejected=True)) == 2


def test_a_sheet_that_nothing_is_wrong_with_is_left_alone(folders, staged) -> None:
    staged("mugs.png", b"mugs")
    with pytest.raises(UsageError, match="nothing is wrong with it"):
        select_for_retry(folders, ["mugs.png"])


def test_a_sheet_that_a_run_works_on_is_not_retried(folders, staged) -> None:
    sheet = staged("mugs.png", b"mugs")
    record_failure(folders, sheet, "it failed")
    (found,) = select_for_retry(folders, ["mugs.png"])
    with claimed_sheet(folders, sheet.path), pytest.raises(SheetBusy):
        retry_sheet(folders, found)


def test_a_sheet_called_json_can_be_retried_too(folders, rejected) -> None:
    rejected("list.json", b'{"sha256": "mine"}')
    (result,) = retried(folders, all_rejected=True)
    assert (result.path.name, list(folders.quarantine.iterdir())) == ("list.json", [])


def test_a_rejected_sheets_entry_does_not_hide_a_staged_one_of_its_name(
    folders, rejected, staged
) -> None:
    for data in (b"one", b"two", b"three"):
        rejected("a.png", data)
    sheet = staged("a.png", b"four")
    assert [item.sha256 for item in system_status(folders).sheets] == [sheet.sha256]
