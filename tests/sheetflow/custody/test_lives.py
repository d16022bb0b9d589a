from __future__ import annotations

from dataclasses import replace

import pytest

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import Event, forget_sheet, load_entry, record_failure
from sheetflow.custody.lives import digests_meant, lives_of
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import open_store
from sheetflow.store.ledger import write_duplicate, write_entry
from sheetflow.store.ledger_search import find_sheets

SHA = digest_bytes(b"mugs")


@pytest.fixture
def staged(folders, drop) -> Sheet:
    sheet = stage_sheet(folders, Sheet("mugs.png", SHA, drop("mugs.png", b"mugs")), flow_run_id="r")
    adopt_staged(folders, sheet)
    record_failure(folders, sheet, "mugs.png: the disk is full. Free some.", flow_run_id="r")
    return sheet


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


def lives(folders, wanted: str, store=None):
    digests = digests_meant(folders, wanted)
    start = wanted if len(wanted) >= 6 and "." not in wanted else None
    found = (
        find_sheets(store, name=wanted, digest_start=start, digests=digests)
        if store is not None
        else []
    )
    return lives_of(folders, digests, found)


@pytest.mark.parametrize("wanted", ["mugs.png", "images_sources/mugs.png", SHA[:6], SHA.upper()])
def test_a_staged_sheet_is_told_from_the_journal_alone(folders, staged, wanted) -> None:
    (life,) = lives(folders, wanted)
    assert (life.name, life.sha256, life.state, life.ok) == ("mugs.png", SHA, "staged", False)
    assert life.places == (str(folders.staging / "mugs.png"),)
    assert [event["state"] for event in life.history] == ["waiting", "staged", "failed"]
    assert life.history[-1]["flow_run_id"] == "r"
    assert "disk is full" in life.history[-1]["note"]
    assert life.known_to == ("journal",)


def test_journal_and_ledger_tell_each_step_once(folders, staged, store) -> None:
    entry = load_entry(folders, SHA)
    write_entry(store, entry)
    (life,) = lives(folders, "mugs.png", store)
    assert [event["state"] for event in life.history] == ["waiting", "staged", "failed"]
    assert life.known_to == ("journal", "ledger")


def test_an_archived_sheet_is_told_from_the_ledger_by_any_of_its_names(
    folders, staged, store
) -> None:
    (folders.staging / "mugs.png").rename(folders.archive / "mugs~2.png")
    (folders.archive / "again.png").write_bytes(b"mugs")
    entry = replace(load_entry(folders, SHA), last_error=None, archived_name="mugs~2.png")
    write_entry(store, entry.moved_on(State.ARCHIVED))
    event = Event("archived", "2026-11-22T19:00:00.000+00:00", "me", None, "again")
    write_duplicate(store, SHA, name="again.png", archived_name="again.png", event=event)
    forget_sheet(folders, SHA)
    for wanted in ("mugs.png", "mugs~2.png", "again.png", SHA[:10]):
        (life,) = lives(folders, wanted, store)
        assert (life.state, life.ok, life.known_to) == ("archived", True, ("ledger",))
        assert {path.rsplit("/", 1)[1] for path in life.places} == {"mugs~2.png", "again.png"}
        assert life.duplicates[0]["archived_name"] == "again.png"
        assert life.to_json()["history"][0]["at"].startswith("20")


def test_several_sheets_of_one_name_are_all_told(folders, staged, drop) -> None:
    drop("mugs.png", b"others")
    found = {life.sha256: life.state for life in lives(folders, "mugs.png")}
    assert found == {SHA: "staged", digest_bytes(b"others"): "waiting"}


def test_of_an_unknown_sheet_there_is_nothing_to_tell(folders, staged, store) -> None:
    assert lives(folders, "cups.png", store) == []
