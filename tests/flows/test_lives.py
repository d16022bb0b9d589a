"""A sheet's whole life, through every turn that it can take, as `status NAME` tells it."""

from __future__ import annotations

from benchmarks.torturing.doors import Harm
from benchmarks.torturing.victims import Victims
from flows.ingest import ingest_sheets
from sheetflow.custody.forcing import force_archive, sheet_to_force, sheet_to_undo, undo_force
from sheetflow.custody.lives import digests_meant, lives_of
from sheetflow.custody.retrying import retry_sheet, select_for_retry
from sheetflow.store.connection import open_store
from sheetflow.store.ledger_search import find_sheets


def test_failed_forced_undone_retried_killed_taken_over_stored_and_dropped_again(
    run, environment, folders, settings, drawn, tmp_path, mongod_uri, prefect_server
) -> None:
    (folders.inbox / "mugs.png").write_bytes(drawn(1)[0])
    environment(mongodb_uri="mongodb://127.0.0.1:1/", mongodb_connect_timeout_s=0.3, retries=0)
    failed = run(ingest_sheets).state.state_details.flow_run_id
    environment()
    with open_store(settings) as store:
        found = sheet_to_force(folders, "mugs.png")
        force_archive(folders, found, reason="the shop opens", confirmed=True, store=store)
        undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="it did not", store=store)
        (found,) = select_for_retry(folders, ["mugs.png"])
        retry_sheet(folders, found)
        with Victims(tmp_path / "scratch", prefect_server) as victims:
            values = {
                "SHEETFLOW_ROOT": str(settings.root),
                "MONGODB_URI": mongod_uri,
                "DATABASE_NAME": settings.database_name,
            }
            harm = Harm(door=1, when="before", only="mongo update codes_images")
            killed = victims.run(values, [str(settings.root)], harm=harm)
            assert killed.killed, killed.errors
        stored = run(ingest_sheets).state.state_details.flow_run_id
        (folders.inbox / "again.png").write_bytes(drawn(1)[0])
        run(ingest_sheets)
        digests = digests_meant(folders, "again.png")
        (life,) = lives_of(folders, digests, find_sheets(store, name="again.png", digests=digests))
    told = [(event["state"], event["note"] or "") for event in life.history]
    assert [state for state, _ in told] == [
        "waiting",
        "staged",
        "processed",
        "failed",
        "archived",
        "processed",
        "staged",
        "processed",
        "taken over",
        "uploaded",
        "archived",
        "archived",
    ]
    notes = dict(enumerate(note for _, note in told))
    assert "did not answer" in notes[3]
    assert "the shop opens" in notes[4]
    assert "it did not" in notes[5]
    assert "retried by" in notes[6]
    assert "duplicate of mugs.png" in notes[11]
    assert all(event["at"] and event["by"] for event in life.history)
    assert life.history[3]["flow_run_id"] == str(failed)
    assert life.history[9]["flow_run_id"] == str(stored)
    assert (life.ok, life.state, life.forced) == (True, "archived", None)
    assert {folder.rpartition("/")[2] for folder in life.places} == {"mugs.png", "again.png"}
    assert [twin["name"] for twin in life.duplicates] == ["again.png"]
    assert life.receipt["complete"] is True
