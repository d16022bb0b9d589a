from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.flow_runs import resume_flow_run
from prefect.states import Cancelled

from flows.ingest import ingest_sheets
from flows.review import review_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.reviewing import settle_sheet, sheet_to_review, waiting_reviews
from sheetflow.review.answers import Answers

REPO = Path(__file__).parents[2]
SERVE = (
    "from prefect import serve; from flows.review import review_sheet; "
    "serve(review_sheet.to_deployment(name='reviews'), query_seconds=1)"
)
PATIENCE_S = 120.0


@contextmanager
def served(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the deployment of review-sheet in a process of its own."""
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            cwd=REPO,
            env={**os.environ, "PREFECT_RUNNER_POLL_FREQUENCY": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with get_client(sync_client=True) as client:
            for deployment in client.read_deployments():
                client.delete_deployment(deployment.id)


@pytest.fixture
def serving(environment, prefect_server, monkeypatch, tmp_path) -> Iterator[None]:
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    with served(tmp_path / "serve.log"):
        eventually(lambda: deployments() == ["reviews"], tmp_path / "serve.log")
        yield


def deployments() -> list[str]:
    with get_client(sync_client=True) as client:
        return [deployment.name for deployment in client.read_deployments()]


def eventually(condition: Any, log: Path | None = None) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    raise AssertionError(log.read_text() if log else "it did not come about")


def review_runs() -> list[Any]:
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(limit=200)
    return [run for run in runs if run.name.startswith("review ")]


def run_of(name: str, *states: str) -> Any:
    """The review run of a sheet, once it is in one of the states."""

    def found() -> Any:
        matching = [run for run in review_runs() if run.name == f"review {name}"]
        return next((run for run in matching if run.state.name in states), None)

    return eventually(found)


def form_of(run: Any) -> dict[str, str]:
    """What the run's form says: `schema` and `description`, as the UI gets them."""
    key = f"suspended-{run.state.state_details.pause_key}"
    with get_client(sync_client=True) as client:
        return {
            part: client.read_flow_run_input(run.id, f"{key}-{part}")
            for part in ("schema", "description")
        }


def test_a_review_is_answered_in_the_ui_and_the_sheet_is_archived(
    run, serving, folders, database, drawn
) -> None:
    data, _ = drawn(5, scribbled_codes=frozenset({1}))
    (folders.inbox / "mugs.png").write_bytes(data)
    code = drawn(5)[1]["items"][1]["code"]["text"]  # what the scribble covers
    assert run(ingest_sheets).states == {"mugs.png": "needs_review"}

    waiting = run_of("mugs.png", "Suspended")
    assert waiting.state.state_details.pause_timeout is None
    form = form_of(waiting)
    assert "picture 4" in form["schema"]
    assert "no readable code" in form["description"]
    with get_client(sync_client=True) as client:
        (page,) = [item for item in client.read_artifacts() if item.key.startswith("review-")]
    assert "data:image/jpeg;base64," in page.data
    assert run(ingest_sheets).states == {"mugs.png": "needs_review"}
    assert len([r for r in review_runs() if r.name == "review mugs.png"]) == 1

    wrong = {"region": "picture 4", "what": "its code is the one that I type below", "code": "12"}
    resume_flow_run(waiting.id, run_input={"by": "Ada", "decisions": [wrong], "note": "smudged"})
    again = eventually(
        lambda: (
            (now := run_of("mugs.png", "Suspended")).state.state_details.pause_key == "2" and now
        )
    )
    form = form_of(again)
    assert "does not tell its kind" in form["description"]
    assert '"default":"smudged"' in form["schema"].replace(" ", "")
    assert '"code":"12"' in form["schema"].replace(" ", "")
    assert database.sheets.find_one()["state"] == "needs_review"

    right = {**wrong, "code": code}
    resume_flow_run(again.id, run_input={"by": "Ada", "decisions": [right], "note": "smudged"})
    done = run_of("mugs.png", "Completed", "Failed", "Crashed")
    assert done.state.name == "Completed", done.state.message
    assert (folders.archive / "mugs.png").read_bytes() == data
    document = database.sheets.find_one()
    assert document["state"] == "archived"
    assert document["receipt"]["complete"]
    (review,) = document["reviews"]
    assert review["by"].startswith("Ada (through ")
    assert review["flow_run_id"] == str(done.id)
    assert review["decisions"][0]["code"] == code
    record = database.codes_images.find_one({"code": code})
    assert record["source_image"]["sha256"] == digest_bytes(data)
    assert (record["source_image"]["row"], record["source_image"]["column"]) == (0, 1)
    assert record["source_image"]["index"] == 1


def test_a_review_that_was_settled_elsewhere_or_cancelled_leaves_no_run_behind(
    run, serving, folders, database, drawn
) -> None:
    (folders.inbox / "mugs.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    run(ingest_sheets)
    first = run_of("mugs.png", "Suspended")
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(first.id, Cancelled())
    run(ingest_sheets)
    second = run_of("mugs.png", "Suspended")
    assert second.id != first.id

    found = sheet_to_review(folders, "mugs.png")
    settle_sheet(folders, found, Answers(complete=True), by="Grace")
    assert run(ingest_sheets).states == {"mugs.png": "archived"}
    assert waiting_reviews(folders) == []
    ended = run_of("mugs.png", "Completed")
    assert ended.id == second.id
    assert "settled elsewhere" in ended.state.message


def test_without_a_deployment_the_command_line_is_named(run, folders, drawn) -> None:
    (folders.inbox / "mugs.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    run(ingest_sheets)
    went = run(review_sheet, "mugs.png")
    assert went.state.is_failed()
    assert "sheetflow review" in went.state.message
    assert run(review_sheet, "cups.png").state.is_failed()
