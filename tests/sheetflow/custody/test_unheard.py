"""Sheets at rest, of whose last step the ledger did not hear."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import load_entry, save_entry
from sheetflow.custody.staging import stage_sheet
from sheetflow.custody.unheard import tell_unheard
from sheetflow.errors import StoreUnavailable
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import open_store


@pytest.fixture
def held(folders, drop) -> Sheet:
    """A sheet that waits for a person since a run that had no MongoDB."""
    sheet = stage_sheet(
        folders, Sheet("mugs.png", digest_bytes(b"mugs"), drop("mugs.png", b"mugs"))
    )
    entry = replace(load_entry(folders, sheet.sha256), doubts=("no code",))
    save_entry(folders, entry.moved_on(State.NEEDS_REVIEW))
    return sheet


def test_the_ledger_hears_of_a_held_sheet_and_of_its_later_steps(
    folders, held, settings, database
) -> None:
    def away():
        raise StoreUnavailable("it does not answer", cure="Start it")

    tell_unheard(folders, away)
    assert database.sheets.count_documents({}) == 0
    with open_store(settings) as store:
        with claimed_sheet(folders, held.path):
            tell_unheard(folders, lambda: store)  # whoever works on it tells it
        assert database.sheets.count_documents({}) == 0
        for state in (State.NEEDS_REVIEW, State.REJECTED):
            entry = load_entry(folders, held.sha256).moved_on(state, note="looked at again")
            save_entry(folders, entry)
            tell_unheard(folders, lambda: store)
            document = database.sheets.find_one()
            assert document["state"] == state
            assert len(document["history"]) == len(entry.history)
            before = document["updated_at"]
            tell_unheard(folders, lambda: store)
            assert database.sheets.find_one()["updated_at"] == before
