from __future__ import annotations

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows.force_archive import force_archive
from flows.ingest import ingest_sheets
from sheetflow.custody.files import digest_bytes

AWAY = "mongodb://127.0.0.1:1/?directConnection=true"


@pytest.fixture
def waiting(run, environment, folders, drawn) -> bytes:
    """A sheet that waits for MongoDB."""
    data: bytes = drawn(1)[0]
    (folders.inbox / "a.png").write_bytes(data)
    environment(mongodb_uri=AWAY)
    assert run(ingest_sheets).states == {"a.png": "failed"}
    return data


def artifact(went) -> str:
    of_run = ArtifactFilterFlowRunId(any_=[went.state.state_details.flow_run_id])
    with get_client(sync_client=True) as client:
        (found,) = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=of_run))
    return str(found.data)


def test_without_a_confirmation_the_run_is_red_and_shows_what_would_not_be_stored(
    run, folders, waiting, drawn
) -> None:
    went = run(force_archive, reason="the shop opens at nine")
    assert went.state.is_failed()
    assert "nothing was moved" in went.state.message
    assert "4 will not be stored" in went.state.message
    assert (folders.staging / "a.png").exists()
    shown = artifact(went)
    for item in drawn(1)[1]["items"]:
        assert f"NOT stored: `{item['code']['text']}`" in shown


def test_a_forced_sheet_is_told_to_the_ledger_by_the_next_run(
    run, environment, folders, waiting, database
) -> None:
    went = run(force_archive, reason="the shop opens at nine", confirmed=True, by="ada")
    assert went.state.is_completed(), went.state.message
    assert (folders.archive / "a.png").read_bytes() == waiting
    assert went.steps() == ["force"]
    environment()
    assert run(ingest_sheets).states == {}
    document = database.sheets.find_one({"_id": digest_bytes(waiting)})
    assert document["state"] == "archived"
    assert document["forced"]["by"].startswith("ada (through ")
    assert len(document["forced"]["unstored_pairs"]) == 4
    assert document["history"][-1]["flow_run_id"] == str(went.state.state_details.flow_run_id)


def test_taken_back_the_sheet_is_uploaded_as_if_nothing_had_happened(
    run, environment, folders, waiting, database
) -> None:
    environment()
    assert run(force_archive, reason="in a hurry", confirmed=True).state.is_completed()
    back = run(force_archive, reason="no hurry after all", name="a.png", take_back=True)
    assert back.state.is_completed(), back.state.message
    went = run(ingest_sheets)
    assert went.states == {"a.png": "archived"}
    assert went.steps() == ["archive", "upload"]
    document = database.sheets.find_one()
    assert document["receipt"]["complete"]
    assert "forced" not in document
    assert document["forced_undone"][0]["reason"] == "in a hurry"
    assert database.codes_images.count_documents({}) == 4


def test_the_same_bytes_dropped_again_after_a_force_are_stored(
    run, environment, folders, waiting, database
) -> None:
    environment()
    assert run(force_archive, reason="in a hurry", confirmed=True).state.is_completed()
    (folders.inbox / "a.png").write_bytes(waiting)
    assert run(ingest_sheets).states == {"a.png": "archived"}
    assert database.codes_images.count_documents({}) == 4
    assert [path.name for path in folders.archive.iterdir()] == ["a.png"]
    assert database.sheets.find_one()["receipt"]["complete"]


def test_an_unknown_name_fails_with_the_candidates(run, folders, waiting) -> None:
    went = run(force_archive, reason="why not", name="b.png", confirmed=True)
    assert went.state.is_failed()
    assert "a.png (in images_sources" in went.state.message
