from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId

from flows.audit import audit
from flows.ingest import ingest_sheets


def artifacts(went) -> dict[str, str]:
    of_run = ArtifactFilterFlowRunId(any_=[went.state.state_details.flow_run_id])
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id=of_run))
    return {item.key: str(item.data) for item in found}


def test_a_lost_picture_turns_the_audit_red_and_repair_has_the_sheet_uploaded_again(
    run, folders, database, several, inbox_with
) -> None:
    inbox_with(a=several[0], b=several[1])
    assert set(run(ingest_sheets).states.values()) == {"archived"}
    sound = run(audit)
    assert sound.state.is_completed(), sound.state.message
    assert "| receipt lines | 8 |" in artifacts(sound)["audit-summary"]
    lost = database.codes_images.find_one_and_delete({})
    red = run(audit, sample_percent=100)
    assert red.state.is_failed()
    assert f"missing_pairs: {lost['source_image']['name']}" in red.state.message
    assert lost["code"] in artifacts(red)["audit-problems"]
    mended = run(audit, repair=True)
    assert mended.state.is_completed(), mended.state.message
    assert "1 mended" in mended.state.message
    assert list(run(ingest_sheets).states.values()) == ["archived"]
    again = database.codes_images.find_one({"code": lost["code"]})
    assert again["image_bytes"] == lost["image_bytes"]
    assert run(audit).state.is_completed()


def test_an_earlier_tools_archive_is_stored_only_if_that_was_said(
    run, folders, database, several
) -> None:
    (folders.archive / "old.png").write_bytes(several[0][0])
    left = run(audit, repair=True)
    assert "foreign_file: old.png" in left.state.message
    assert (folders.archive / "old.png").exists()
    assert run(audit, repair=True, unknown="restage").state.is_completed()
    assert run(ingest_sheets).states == {"old.png": "archived"}
    assert database.sheets.count_documents({"state": "archived", "name": "old.png"}) == 1
