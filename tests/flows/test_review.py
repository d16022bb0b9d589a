from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowFilter, FlowFilterName
from prefect.flow_runs import resume_flow_run
from prefect.states import Cancelled, Running, Suspended

import flows.review_runs
from flows.ingest import ingest_sheets
from flows.review import review_sheet
from flows.review_runs import sheet_tag, tend_reviews
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import prepare_folders
from sheetflow.custody.journal import load_entry, now_iso, save_entry, work_folder
from sheetflow.custody.results import save_result
from sheetflow.custody.reviewing import reread_sheet, sheet_to_review
from sheetflow.custody.staging import stage_sheet
from sheetflow.custody.waiting import waiting_reviews
from sheetflow.processing import note_processed
from sheetflow.reading import SheetReading
from sheetflow.review.decisions import Review, Verdict
from sheetflow.settings import load_settings
from sheetflow.sheets import Sheet, State

REPO = Path(__file__).parents[2]
SERVE = (
    "from prefect import serve; from flows.review import review_sheet; "
    "serve(review_sheet.to_deployment(name='reviews'), query_seconds=1)"
)
PATIENCE_S = 150.0


@pytest.fixture
def serving(environment, prefect_server, monkeypatch, tmp_path) -> Iterator[None]:
    """The deployment of review-sheet, served by a process of its own."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    log = tmp_path / "serve.log"
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
        eventually(lambda: "reviews" in deployments(), log)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        remove_deployments()


@pytest.fixture
def deployed() -> Iterator[None]:
    """The deployment, known to the server, and nobody there to run it."""
    review_sheet.to_deployment(name="reviews").apply()
    yield
    remove_deployments()


def remove_deployments() -> None:
    with get_client(sync_client=True) as client:
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)


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
        flows = FlowFilter(name=FlowFilterName(any_=["review-sheet"]))
        return client.read_flow_runs(flow_filter=flows, limit=200)


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
        pages = [item for item in client.read_artifacts() if item.key]
        (page,) = [item for item in pages if item.key.startswith("review-")]
    assert "data:image/jpeg;base64," in page.data

    wrong = {"region": "picture 4", "what": "its code is the one that I type below", "code": "12"}
    resume_flow_run(waiting.id, run_input={"by": "Ada", "decisions": [wrong], "note": "smudged"})
    again = eventually(
        lambda: (
            (now := run_of("mugs.png", "Suspended")).state.state_details.pause_key == "2" and now
        )
    )
    form = form_of(again)
    assert "YOUR ANSWER WAS NOT TAKEN: picture 4: 12 does not tell its kind" in form["schema"]
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


@pytest.fixture
def held(run, environment, folders, several) -> list[str]:
    """Sheets that wait for a person, as an ingest leaves them: by their names, the oldest first."""
    names = [f"{letter}.png" for letter in "abc"]
    for name, (data, _) in zip(names, several, strict=False):
        path = folders.inbox / name
        path.write_bytes(data)
        staged = stage_sheet(folders, Sheet(name, digest_bytes(data), path))
        reading = SheetReading((9, 9), doubts=("no pair",), sheet_doubts=("no pair",))
        note_processed(folders, save_result(folders, staged, reading, []))
    return names


def test_one_run_is_asked_for_each_sheet_that_waits_and_no_more_than_the_setting_allows(
    run, environment, held, folders, deployed
) -> None:
    environment(reviews_at_once=2)
    before = set(all_ids())
    for _ in range(2):
        tend_reviews(load_settings())
    runs = [r for r in review_runs() if r.id not in before]
    tags = {tag for r in runs for tag in r.tags if tag.startswith("sheet:")}
    assert len(runs) == 2
    assert tags == {sheet_tag(item.sha256) for item in waiting_reviews(folders)[:2]}
    assert {r.parameters["sheet"] for r in runs} == {"a.png", "b.png"}


def test_runs_that_are_gone_are_asked_for_anew_and_those_settled_elsewhere_are_ended(
    run, environment, held, folders, deployed, monkeypatch
) -> None:
    before = set(all_ids())
    tend_reviews(load_settings())
    first = {r.parameters["sheet"]: r for r in review_runs() if r.id not in before}
    assert sorted(first) == held
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(first["a.png"].id, Cancelled(), force=True)
        client.set_flow_run_state(first["b.png"].id, waits_with_form(client, first["b.png"]))
        # Killed between the state and the form: nobody could ever answer that.
        client.set_flow_run_state(first["c.png"].id, Suspended(pause_key="1"), force=True)
    monkeypatch.setattr(flows.review_runs, "_FORM_IS_LATE_S", 0.0)
    reread_sheet(folders, sheet_to_review(folders, "b.png"), by="Grace")
    tend_reviews(load_settings())
    now = {r.id: r for r in review_runs() if r.id not in before}
    ended = now[first["b.png"].id].state
    assert ended.is_completed()
    assert "settled elsewhere" in ended.message
    assert now[first["c.png"].id].state.is_cancelled()
    again = [r.parameters["sheet"] for r in now.values() if not r.state.is_final()]
    assert sorted(again) == ["a.png", "c.png"]


def test_another_data_root_on_the_same_server_keeps_its_runs(
    run, environment, held, folders, deployed, tmp_path
) -> None:
    before = set(all_ids())
    tend_reviews(load_settings())
    with get_client(sync_client=True) as client:
        first = next(r for r in review_runs() if r.id not in before)
        client.set_flow_run_state(first.id, waits_with_form(client, first))
    other = load_settings(root=tmp_path / "other")
    prepare_folders(other.folders)
    tend_reviews(other)
    assert [r.state.name for r in review_runs() if r.id == first.id] == ["Suspended"]


def waits_with_form(client: Any, run: Any) -> Any:
    """The state of a run that waits, its form saved."""
    client.create_flow_run_input(run.id, "suspended-1-schema", "{}")
    client.set_flow_run_state(run.id, Running(), force=True)
    return Suspended(pause_key="1")


def all_ids() -> list[Any]:
    return [r.id for r in review_runs()]


def test_a_run_carries_out_what_a_killed_one_left_of_reviews(run, held, folders) -> None:
    rejected, unread, untold = (item.sha256 for item in waiting_reviews(folders))
    review = Review("r", now_iso(), "Ada", Verdict.REJECTED, note="last year")
    save_entry(folders, replace(load_entry(folders, rejected), reviews=(review,)))
    shutil.rmtree(work_folder(folders, unread) / "result")
    save_entry(folders, replace(load_entry(folders, untold), state=State.STAGED))
    went = run(ingest_sheets)
    assert went.states == {"a.png": "rejected", "b.png": "archived", "c.png": "needs_review"}
    assert "rejected by Ada: last year" in went.outcomes["a.png"].error
    assert load_entry(folders, untold).state is State.NEEDS_REVIEW


def test_without_a_deployment_the_command_line_is_named(run, folders, drawn) -> None:
    (folders.inbox / "mugs.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    run(ingest_sheets)
    went = run(review_sheet, "mugs.png")
    assert went.state.is_failed()
    assert "sheetflow review" in went.state.message
    assert run(review_sheet, "cups.png").state.is_failed()
