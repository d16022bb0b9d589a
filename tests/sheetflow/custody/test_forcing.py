from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from sheetflow.custody import forced_steps, returning
from sheetflow.custody.archive import archive_sheet, half_archived, release_sheet
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.forced import Phase, forced_folder, kept_products, load_forced
from sheetflow.custody.forced_steps import settle_forced, tell_untold
from sheetflow.custody.forcing import force_archive, sheet_to_force, sheet_to_undo, undo_force
from sheetflow.custody.journal import load_entry, record_failure, save_entry, work_folder
from sheetflow.custody.lives import digests_meant, lives_of
from sheetflow.custody.releases import ForcedRelease, Standing
from sheetflow.custody.results import load_result, save_result
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.custody.transfers import move_file
from sheetflow.errors import CustodyError, SheetBusy, StoreUnavailable, UsageError
from sheetflow.reading import Pair, SheetReading
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import open_store
from sheetflow.store.ledger import archived_twin, write_entry
from sheetflow.uploading import store_pairs
from sheetflow.vision.crops import Crop

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
SHA = digest_bytes(b"mugs")


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def staged(folders, drop) -> Sheet:
    """A sheet with two pairs, processed, failed once, none of it stored."""
    sheet = stage_sheet(folders, Sheet("mugs.png", SHA, drop("mugs.png", b"mugs")))
    pairs = tuple(Pair(code, "EAN-13", 0, i, SQUARE, SQUARE, 1.0) for i, code in enumerate("AB"))
    crops = [Crop(code, "image/jpeg", digest_bytes(code), (10, 10)) for code in (b"one", b"two")]
    save_result(folders, sheet, SheetReading((100, 100), pairs), crops)
    entry = adopt_staged(folders, sheet)
    save_entry(folders, entry.moved_on(State.PROCESSED))
    record_failure(folders, sheet, "mugs.png: MongoDB is away")
    return sheet


def forced(folders, store=None, **options):
    found = sheet_to_force(folders, options.pop("name", None))
    options = {"reason": "the shop opens at nine", "confirmed": True, **options}
    return force_archive(folders, found, store=store, **options)


def test_a_sheet_is_archived_by_force_and_the_ledger_says_who_when_and_why(
    folders, staged, store, database
) -> None:
    processed = load_result(folders, staged)
    store_pairs(folders, store, processed, processed.reading.pairs[:1])
    done = forced(folders, store, by="ada", flow_run_id="run")
    assert (folders.archive / "mugs.png").read_bytes() == b"mugs"
    assert list(folders.staging.iterdir()) == []
    document = database.sheets.find_one({"_id": SHA})
    assert (document["state"], document["archived_name"]) == ("archived", "mugs.png")
    told = document["forced"]
    assert (told["by"], told["reason"]) == ("ada", "the shop opens at nine")
    assert (told["stored_pairs"], told["unstored_pairs"]) == (1, ["B"])
    last = document["history"][-1]
    assert (last["state"], last["by"], last["flow_run_id"]) == ("archived", "ada", "run")
    assert "the shop opens at nine; 1 pair stored and confirmed, 1 will not" in last["note"]
    assert done.ledger_told
    assert done.to_json()["forced"]["unstored_pairs"] == ["B"]


def test_it_works_without_mongodb_and_the_ledger_is_told_later(
    folders, staged, settings, database
) -> None:
    done = forced(folders)
    assert (folders.archive / "mugs.png").exists()
    assert not done.ledger_told
    record = json.loads((forced_folder(folders) / f"{SHA}.json").read_bytes())
    assert record["forced"]["unstored_pairs"] == ["A", "B"]
    assert record["forced"]["checked"] is False
    assert kept_products(folders, SHA).is_dir()
    assert half_archived(folders) == []
    with open_store(settings) as store:
        tell_untold(folders, lambda: store)
    assert database.sheets.find_one({"_id": SHA})["forced"]["reason"] == "the shop opens at nine"
    tell_untold(folders, lambda: pytest.fail("told already"))


def test_the_life_of_a_forced_sheet_is_told_without_mongodb(folders, staged) -> None:
    forced(folders, by="ada")
    (life,) = lives_of(folders, digests_meant(folders, "mugs.png"), [])
    assert (life.state, life.forced["by"]) == ("archived", "ada")
    assert life.places == (str(folders.archive / "mugs.png"),)
    assert "archived by force, by ada" in life.history[-1]["note"]


def test_undo_brings_the_sheet_back_in_its_earlier_state(folders, staged, store, database) -> None:
    before = load_entry(folders, SHA)
    forced(folders, store)
    back = undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="too early", store=store)
    assert staged.path.read_bytes() == b"mugs"
    assert list(folders.archive.iterdir()) == []
    entry = load_entry(folders, SHA)
    assert replace(entry, history=()) == replace(before, history=())
    assert load_result(folders, staged) is not None
    notes = [event.note for event in entry.history[-2:]]
    assert "archived by force" in notes[0]
    assert "undone by" in notes[1]
    assert "too early" in notes[1]
    document = database.sheets.find_one({"_id": SHA})
    assert document["state"] == "processed"
    assert "forced" not in document
    assert document["forced_undone"][0]["undone"]["reason"] == "too early"
    assert back.to_json()["undone"]
    assert list(forced_folder(folders).iterdir()) == []


def test_an_undo_without_mongodb_is_told_later(folders, staged, store, database) -> None:
    forced(folders, store)
    undo_force(folders, sheet_to_undo(folders, SHA[:8]), reason="", store=None)
    assert database.sheets.find_one({"_id": SHA})["state"] == "archived"
    tell_untold(folders, lambda: store)
    assert database.sheets.find_one({"_id": SHA})["state"] == "processed"
    assert list(forced_folder(folders).iterdir()) == []


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_it_wants_a_reason(folders, staged, reason) -> None:
    with pytest.raises(UsageError, match="only for a reason"):
        forced(folders, reason=reason)
    assert staged.path.exists()


@pytest.mark.parametrize("confirmed", [False, None, "yes"])
def test_it_wants_a_confirmation(folders, staged, confirmed) -> None:
    with pytest.raises(UsageError, match="once that is confirmed"):
        forced(folders, confirmed=confirmed)
    assert staged.path.exists()


def test_of_several_sheets_the_current_one_has_to_be_named(folders, staged, drop) -> None:
    stage_sheet(folders, Sheet("cups.png", digest_bytes(b"cups"), drop("cups.png", b"cups")))
    with pytest.raises(UsageError, match=r"2 sheets are staged: .*mugs\.png .*cups\.png"):
        forced(folders)
    forced(folders, name="mugs.png")
    assert [path.name for path in folders.staging.iterdir()] == ["cups.png"]


def test_nothing_staged_is_told(folders) -> None:
    with pytest.raises(UsageError, match="no sheet is staged"):
        sheet_to_force(folders, None)


def test_a_receipt_is_no_order_and_an_order_no_receipt(folders, staged) -> None:
    order = ForcedRelease(SHA, "now", "me", "why", Standing(), confirmed=True)
    with pytest.raises(AttributeError):
        archive_sheet(folders, staged, order)
    other = replace(order, sheet_sha256="0" * 64, confirmed=True)
    with pytest.raises(CustodyError, match="for another sheet"):
        release_sheet(folders, staged, other, archived_name="mugs.png")
    assert staged.path.exists()


def test_a_sheet_that_a_run_works_on_is_not_forced(folders, staged) -> None:
    with claimed_sheet(folders, staged.path), pytest.raises(SheetBusy):
        forced(folders)
    assert staged.path.exists()


def test_a_sheet_that_was_never_read_is_forced_as_such(folders, drop, store, database) -> None:
    sheet = stage_sheet(folders, Sheet("mugs.png", SHA, drop("mugs.png", b"mugs")))
    done = forced(folders, store)
    assert done.record.release.standing.pairs_known is False
    assert "never read" in database.sheets.find_one({"_id": sheet.sha256})["history"][-1]["note"]


def test_another_archived_file_of_its_name_is_not_replaced(folders, staged) -> None:
    (folders.archive / "mugs.png").write_bytes(b"others")
    assert forced(folders).record.archived_name == f"mugs~{SHA[:8]}.png"
    assert (folders.archive / "mugs.png").read_bytes() == b"others"


def test_the_same_bytes_again_are_processed_and_not_taken_for_a_duplicate(
    folders, staged, store
) -> None:
    forced(folders, store)
    assert archived_twin(store, SHA) is None


@pytest.mark.parametrize("doubts", [(), ("picture 3: no code",)])
def test_the_ledger_says_archived_also_of_a_sheet_whose_pairs_are_all_stored(
    folders, staged, store, database, doubts
) -> None:
    entry = replace(load_entry(folders, SHA), doubts=doubts)
    state = State.NEEDS_REVIEW if doubts else State.PROCESSED
    save_entry(folders, replace(entry, state=state))
    processed = load_result(folders, staged)
    store_pairs(folders, store, processed, processed.reading.pairs)
    forced(folders, store)
    document = database.sheets.find_one({"_id": SHA})
    assert (document["state"], document["archived_name"]) == ("archived", "mugs.png")
    # The same bytes again are a duplicate only where nothing was left to decide.
    assert (archived_twin(store, SHA) is None) == bool(doubts)


@pytest.mark.parametrize(
    "door", ["release_sheet", "put_products_away", "save_forced", "write_forced"]
)
def test_killed_anywhere_the_sheet_is_in_one_place_and_settled_by_the_next_run(
    folders, staged, store, database, monkeypatch, door
) -> None:
    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(forced_steps, door, killed)
        with pytest.raises(KeyboardInterrupt):
            forced(folders, store)
    assert half_archived(folders) == []
    settle_forced(folders)
    tell_untold(folders, lambda: store)
    if door == "release_sheet":
        assert staged.path.exists()
        assert load_entry(folders, SHA).state is State.PROCESSED
        assert list(forced_folder(folders).glob("*.json")) == []
        return
    assert (folders.archive / "mugs.png").exists()
    assert not staged.path.exists()
    assert not work_folder(folders, SHA).exists()
    assert load_forced(folders, SHA).phase is Phase.DONE
    assert database.sheets.find_one({"_id": SHA})["forced"]["reason"] == "the shop opens at nine"


def test_killed_between_link_and_removal_is_finished(folders, staged, monkeypatch) -> None:
    def linked(_folders, sheet, _release, *, archived_name):
        os.link(sheet.path, folders.archive / archived_name)
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(forced_steps, "release_sheet", linked)
        with pytest.raises(KeyboardInterrupt):
            forced(folders)
    settle_forced(folders)
    assert not staged.path.exists()
    assert (folders.archive / "mugs.png").read_bytes() == b"mugs"


@pytest.mark.parametrize("door", ["take_products_back", "return_to_staging", "drop_forced"])
def test_an_undo_that_was_killed_anywhere_is_finished_by_the_next_run(
    folders, staged, store, database, monkeypatch, door
) -> None:
    forced(folders, store)

    def killed(*_arguments, **_options):
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(forced_steps, door, killed)
        with pytest.raises(KeyboardInterrupt):
            undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="no", store=store)
    settle_forced(folders)
    tell_untold(folders, lambda: store)
    assert staged.path.read_bytes() == b"mugs"
    assert list(folders.archive.iterdir()) == []
    assert load_result(folders, staged) is not None
    assert database.sheets.find_one({"_id": SHA})["state"] == "processed"
    assert list(forced_folder(folders).iterdir()) == []


@pytest.mark.parametrize("has_moved", [False, True])
def test_an_undo_that_was_killed_at_its_move_is_told_once(
    folders, staged, store, database, monkeypatch, has_moved
) -> None:
    forced(folders, store)

    def killed(source, target, *, sha256):
        if has_moved:
            move_file(source, target, sha256=sha256)
        raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(returning, "move_file", killed)
        with pytest.raises(KeyboardInterrupt):
            undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="no", store=store)
    settle_forced(folders)
    tell_untold(folders, lambda: store)
    history = database.sheets.find_one({"_id": SHA})["history"]
    assert sum("was undone by" in (event["note"] or "") for event in history) == 1
    assert history == sorted(history, key=lambda event: event["at"])


def test_an_undo_waits_for_the_same_bytes_that_are_staged_again(folders, staged, drop) -> None:
    forced(folders)
    stage_sheet(folders, Sheet("again.png", SHA, drop("again.png", b"mugs")))
    with pytest.raises(CustodyError, match="staged again meanwhile"):
        undo_force(folders, sheet_to_undo(folders, SHA[:8]), reason="", store=None)
    assert (folders.archive / "mugs.png").exists()


def test_a_ledger_that_goes_away_in_the_middle_does_not_stop_it(
    folders, staged, store, monkeypatch
) -> None:
    def away(*_arguments):
        raise StoreUnavailable("the cable was pulled", cure="Plug it in")

    write_entry(store, load_entry(folders, SHA))
    monkeypatch.setattr(forced_steps, "write_forced", away)
    assert not forced(folders, store).ledger_told
    assert (folders.archive / "mugs.png").exists()
