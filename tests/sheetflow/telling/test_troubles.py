from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sheetflow.audit.report import Problem
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import load_entry, record_failure, save_entry
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import Failure, StoreUnavailable, WorkerFailed
from sheetflow.sheets import Sheet, State
from sheetflow.telling.notices import Told
from sheetflow.telling.told import remembering
from sheetflow.telling.troubles import Missed, audit_troubles, run_trouble, troubles_in

HOUR_S = 3600.0


def staged(folders, drop, name: str) -> Sheet:
    data = name.encode()
    sheet = stage_sheet(folders, Sheet(name, digest_bytes(data), drop(name, data)))
    adopt_staged(folders, sheet)
    return sheet


def fails(folders, sheet: Sheet, error: Exception) -> None:
    failure = Failure.of(error)
    record_failure(folders, sheet, failure.told(sheet.name), failure=failure)


def forgetting(folders) -> None:
    with remembering(folders) as memory:
        memory.told.clear()
        raise ConnectionError


def look(folders, **options):
    found = troubles_in(folders, **{"alert_age_s": HOUR_S, **options})
    return {trouble.key: trouble for trouble in found}


def arrived(folders, sheet: Sheet, *, hours_ago: float) -> None:
    entry = load_entry(folders, sheet.sha256)
    at = (datetime.now(UTC) - timedelta(hours=hours_ago)).isoformat()
    history = tuple(replace(event, at=at) for event in entry.history)
    save_entry(folders, replace(entry, history=history))


def test_sheets_with_the_same_failure_are_one_trouble(folders, drop) -> None:
    away = StoreUnavailable("MongoDB did not answer", cure="Check it")
    for name in ("a.png", "b.png"):
        fails(folders, staged(folders, drop, name), away)
    fails(folders, staged(folders, drop, "c.png"), WorkerFailed("it hung", cure="Look"))
    found = look(folders)
    assert set(found) == {"failed/StoreUnavailable", "failed/WorkerFailed"}
    outage = found["failed/StoreUnavailable"]
    assert (set(outage.sheets), outage.shared) == ({"a.png", "b.png"}, True)
    assert (outage.cause, outage.cure) == ("MongoDB did not answer", "Check it")
    assert found["failed/WorkerFailed"].sheets == {"c.png": "it hung"}


def test_a_sheet_that_waits_for_a_person_is_told_with_its_doubts(folders, drop) -> None:
    sheet = staged(folders, drop, "a.png")
    entry = load_entry(folders, sheet.sha256)
    save_entry(folders, replace(entry, doubts=("a code twice",)).moved_on(State.NEEDS_REVIEW))
    assert look(folders)["review/"].sheets == {"a.png": "a code twice"}


def test_rejected_files_are_told_with_the_reason_beside_them(folders) -> None:
    for name in ("a.pdf", "b.pdf"):
        (folders.quarantine / name).write_bytes(b"?")
        reason = {"cause": f"{name} is no image", "cure": "Scan it", "sha256": "0"}
        (folders.quarantine / f"{name}.json").write_text(json.dumps(reason))
    assert look(folders)["rejected/"].sheets == {
        "a.pdf": "a.pdf is no image",
        "b.pdf": "b.pdf is no image",
    }
    known = look(folders, known_rejected=("a.pdf", "b.pdf"))["rejected/"]
    assert known.sheets == {"a.pdf": "", "b.pdf": ""}


def test_a_sheet_that_is_here_for_too_long_is_told_unless_something_explains_it(
    folders, drop
) -> None:
    late = staged(folders, drop, "late.png")
    arrived(folders, late, hours_ago=5)
    staged(folders, drop, "new.png")
    assert look(folders)["late/"].sheets == {"late.png": "for 5.0 hours"}
    assert look(folders, alert_age_s=6 * HOUR_S) == {}
    fails(folders, staged(folders, drop, "a.png"), StoreUnavailable("away", cure="Check it"))
    assert set(look(folders)) == {"failed/StoreUnavailable"}


def test_a_failure_that_the_journal_tells_of_is_not_told_twice(folders, drop) -> None:
    sheet = staged(folders, drop, "a.png")
    hung = WorkerFailed("it hung", cure="Look")
    fails(folders, sheet, hung)
    link = Missed("link.png", None, Failure("inbox", "it is a link", "Put a copy there"))
    found = look(folders, missed=[Missed("a.png", sheet.sha256, Failure.of(hung)), link])
    assert set(found) == {"failed/WorkerFailed", "missed/"}
    assert found["missed/"].sheets == {"link.png": "it is a link"}


def test_an_error_that_nobody_expected_is_told_with_its_kind() -> None:
    trouble = run_trouble(ZeroDivisionError("division by zero"))
    assert trouble.key == "run/ZeroDivisionError"
    assert "ZeroDivisionError" in trouble.cause


def test_what_the_audit_found_is_grouped_by_its_kind() -> None:
    problems = [Problem("lost_sheet", name, "it is gone", "Restore it") for name in ("a", "b")]
    [trouble] = audit_troubles(problems)
    assert (trouble.key, trouble.cause) == ("audit/lost_sheet", "lost sheet")
    assert trouble.sheets == {"a": "it is gone", "b": "it is gone"}


def test_what_was_told_is_remembered_unless_the_telling_failed(folders) -> None:
    now = datetime.now(UTC)
    told = Told("MongoDB did not answer", now, now, ("a.png",))
    with remembering(folders) as memory:
        memory.told["failed/x"], memory.at = told, now
    with pytest.raises(ConnectionError):
        forgetting(folders)
    with remembering(folders) as memory:
        assert memory.told == {"failed/x": told}


def test_a_spoiled_memory_tells_everything_afresh(folders) -> None:
    (folders.state / "told.json").write_text('{"told": {"failed/x": {"cause"')
    with remembering(folders) as memory:
        assert (memory.told, memory.kept) == ({}, True)


def test_without_a_state_folder_nothing_is_remembered_and_nothing_raised(settings) -> None:
    with remembering(settings.folders) as memory:
        assert not memory.kept
