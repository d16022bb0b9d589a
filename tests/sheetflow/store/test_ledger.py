from __future__ import annotations

from datetime import datetime

from sheetflow.custody.journal import Entry, Event, now_iso
from sheetflow.sheets import Counts, State
from sheetflow.store.ledger import archived_twin, write_duplicate, write_entry

SHA = "a" * 64


def test_an_entry_is_written_and_written_again_without_doubling_its_history(
    store, database
) -> None:
    entry = Entry(SHA, "mugs.png", State.WAITING, "mugs.png", attempts=1)
    entry = entry.moved_on(State.STAGED, flow_run_id="run").failed("disk full", flow_run_id="run")
    for _ in range(2):
        write_entry(store, entry)
    document = database.sheets.find_one({"_id": SHA})
    assert (document["name"], document["state"], document["attempts"]) == ("mugs.png", "staged", 1)
    assert document["last_error"] == "disk full"
    assert [event["state"] for event in document["history"]] == ["staged", "failed"]
    assert set(document["history"][0]) == {"state", "at", "by", "flow_run_id", "note"}
    assert isinstance(document["history"][0]["at"], datetime)


def test_a_name_that_is_not_utf8_can_be_kept(store, database) -> None:
    write_entry(store, Entry(SHA, "caf\udce9.png", State.STAGED, "caf\udce9.png", counts=Counts(1)))
    assert database.sheets.find_one()["name"] == "caf\\xe9.png"


def test_only_an_archived_sheet_has_duplicates(store, database) -> None:
    entry = Entry(SHA, "mugs.png", State.STAGED, "mugs.png")
    write_entry(store, entry)
    assert archived_twin(store, SHA) is None
    write_entry(store, entry.moved_on(State.ARCHIVED))
    assert archived_twin(store, SHA).name == "mugs.png"
    event = Event("archived", now_iso(), "me", None, "the same bytes again")
    write_duplicate(store, SHA, name="b.png", archived_name="b.png", event=event)
    document = database.sheets.find_one()
    assert document["state"] == "archived"
    assert [item["name"] for item in document["duplicates"]] == ["b.png"]
