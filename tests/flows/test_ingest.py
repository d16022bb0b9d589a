from __future__ import annotations

import io
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext

import flows.ingest
import tasks.process
import tasks.upload
from flows.forms import KnownSheets
from flows.ingest import ingest_sheet, ingest_sheets
from sheetflow.custody.files import digest_bytes
from sheetflow.errors import StoreUnavailable
from sheetflow.presence import present


def test_an_empty_inbox_is_no_trouble(run, folders) -> None:
    went = run(ingest_sheets)
    assert went.state.is_completed()
    assert went.states == {}
    assert "Nothing to do" in went.state.message


def test_sheets_are_stored_confirmed_and_archived(
    run, folders, database, several, inbox_with, codes_of
) -> None:
    inbox_with(a=several[0], b=several[1])
    went = run(ingest_sheets)
    assert went.state.is_completed(), went.state.message
    assert went.states == {"a.png": "archived", "b.png": "archived"}
    assert (folders.archive / "a.png").read_bytes() == several[0][0]
    assert [*folders.inbox.iterdir(), *folders.staging.iterdir(), *folders.work.iterdir()] == []
    codes = {record["code"] for record in database.codes_images.find()}
    assert codes == codes_of(several[0][1]) | codes_of(several[1][1])
    assert (
        went.steps()
        == ["archive", "archive", "process", "process"] + ["stage"] * 2 + ["upload"] * 2
    )


def test_prefect_learns_the_order_of_a_sheets_steps_and_keeps_none_of_their_results(
    run, several, inbox_with, monkeypatch
) -> None:
    kept: list[int] = []
    inbox_with(a=several[0])
    monkeypatch.setattr(
        flows.ingest, "announce", lambda _: kept.append(len(FlowRunContext.get().run_results))
    )
    went = run(ingest_sheets)
    assert kept == [0]
    steps = went.task_runs()
    names = {step.id: step.name.split()[0] for step in steps}
    before = {
        names[step.id]: {names[it.id] for its in step.task_inputs.values() for it in its}
        for step in steps
    }
    assert before["stage"] == set()
    assert "stage" in before["process"]
    assert "process" in before["upload"]
    assert "upload" in before["archive"]


def test_a_stored_picture_is_the_region_of_its_sheet(run, folders, database, drawn) -> None:
    data, truth = drawn(1)
    (folders.inbox / "a.png").write_bytes(data)
    run(ingest_sheets)
    sheet = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.float64)
    for item in truth["items"]:
        record = database.codes_images.find_one({"code": item["code"]["text"]})
        assert record["image_sha256"] == digest_bytes(record["image_bytes"])
        left, top, right, bottom = (round(value) for value in item["picture"]["box"])
        crop = Image.open(io.BytesIO(record["image_bytes"])).convert("RGB")
        assert crop.size == tuple(record["image_size_px"])
        whole = crop.resize((right - left, bottom - top))
        difference = np.abs(np.asarray(whole, dtype=np.float64) - sheet[top:bottom, left:right])
        assert difference.mean() < 12, item["code"]["text"]


def test_a_run_takes_no_more_sheets_than_it_may_and_the_next_one_the_others(
    run, folders, several, inbox_with, environment
) -> None:
    environment(sheets_a_run=1)
    inbox_with(a=several[0], b=several[1])
    assert list(run(ingest_sheets).states.values()) == ["archived"]
    assert len(list(folders.inbox.iterdir())) == 1
    assert list(run(ingest_sheets).states.values()) == ["archived"]
    assert list(folders.inbox.iterdir()) == []


def test_a_run_beside_others_begins_somewhere_else_in_the_queue(folders, settings) -> None:
    bench = SimpleNamespace(folders=folders, settings=settings, flow_run_id="mine")
    queue = [Path(str(number)) for number in range(100)]
    assert flows.ingest._share(bench, queue) == queue
    with present(folders, "mine"):
        assert flows.ingest._share(bench, queue) == queue
        with present(folders, "another"):
            mine = flows.ingest._share(bench, queue)
    assert mine != queue
    assert sorted(mine) == sorted(queue)


def test_the_ledger_tells_a_sheets_life(run, folders, database, drawn) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    document = database.sheets.find_one()
    assert document["_id"] == digest_bytes(drawn(1)[0])
    assert (document["name"], document["state"], document["attempts"]) == ("a.png", "archived", 1)
    assert document["counts"] == {"pictures": 4, "symbols": 4, "pairs": 4, "discards": 0} | {
        "discards": document["counts"]["discards"]
    }
    states = [event["state"] for event in document["history"]]
    assert states == ["waiting", "staged", "processed", "uploaded", "archived"]
    run_id = str(went.state.state_details.flow_run_id)
    assert {event["flow_run_id"] for event in document["history"]} == {run_id}
    stored = {record["code"]: record["image_sha256"] for record in database.codes_images.find()}
    assert document["receipt"]["complete"]
    lines = {line["code"]: line["image_sha256"] for line in document["receipt"]["pairs"]}
    assert lines == stored


def test_runs_and_tasks_bear_the_sheets_name(run, folders, drawn) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    digest = digest_bytes(drawn(1)[0])[:8]
    names = {task_run.name for task_run in went.task_runs()}
    assert names == {
        f"{step} a.png [{digest}]" for step in ("stage", "process", "upload", "archive")
    }
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(went.state.state_details.flow_run_id)
    assert flow_run.name == "ingest sheets: 1 archived"


def test_an_outage_leaves_sheets_staged_and_the_next_run_only_uploads(
    run, environment, folders, database, several, inbox_with
) -> None:
    inbox_with(a=several[0], b=several[1], c=several[2])
    environment(mongodb_uri="mongodb://127.0.0.1:1/?directConnection=true")
    failed = run(ingest_sheets)
    assert failed.state.is_failed()
    assert failed.state.name == "Failed"
    for name in ("a.png", "b.png", "c.png"):
        assert name in failed.state.message
        assert "did not answer" in failed.outcomes[name].error
    assert {path.name: path.read_bytes() for path in folders.staging.iterdir()} == {
        f"{stem}.png": several[index][0] for index, stem in enumerate("abc")
    }
    environment()
    again = run(ingest_sheets)
    assert again.state.is_completed(), again.state.message
    assert set(again.states.values()) == {"archived"}
    assert again.steps() == ["archive"] * 3 + ["upload"] * 3
    assert database.codes_images.count_documents({}) == 12


def test_the_worlds_fault_is_tried_again(run, folders, drawn, monkeypatch) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    real, calls = tasks.upload.store_pairs, []

    def unsteady(*arguments, **options):
        calls.append(1)
        if len(calls) == 1:
            raise StoreUnavailable("the cable was pulled", cure="Plug it in")
        return real(*arguments, **options)

    monkeypatch.setattr(tasks.upload, "store_pairs", unsteady)
    went = run(ingest_sheets)
    assert went.states == {"a.png": "archived"}
    assert {r.name.split()[0]: r.run_count for r in went.task_runs()}["upload"] == 2


def test_a_sheets_own_fault_is_not_tried_again(run, folders) -> None:
    (folders.inbox / "a.png").write_bytes(b"no image at all")
    went = run(ingest_sheets)
    assert went.states == {"a.png": "rejected"}
    assert {r.name.split()[0]: r.run_count for r in went.task_runs()}["process"] == 1


def test_one_bad_sheet_does_not_stop_the_others_and_the_run_is_red(
    run, folders, several, inbox_with, monkeypatch
) -> None:
    inbox_with(a=several[0], b=several[1], c=several[2])
    real = tasks.process.process_sheet

    def stumbling(folders, sheet, **options):
        if sheet.name == "b.png":
            raise ZeroDivisionError("a bug of ours")
        return real(folders, sheet, **options)

    monkeypatch.setattr(tasks.process, "process_sheet", stumbling)
    went = run(ingest_sheets)
    assert went.states == {"a.png": "archived", "b.png": "failed", "c.png": "archived"}
    assert went.state.is_failed()
    assert "1 failed" in went.state.message
    assert "b.png" in went.state.message
    assert (folders.staging / "b.png").read_bytes() == several[1][0]


def test_sheets_are_worked_on_side_by_side(
    run, environment, folders, several, inbox_with, monkeypatch
) -> None:
    environment(sheets_in_flight=2)
    inbox_with(a=several[0], b=several[1])
    real, both = tasks.process.process_sheet, threading.Barrier(2, timeout=60)

    def together(*arguments, **options):
        both.wait()  # passes only if two sheets are being processed at the same time
        return real(*arguments, **options)

    monkeypatch.setattr(tasks.process, "process_sheet", together)
    assert set(run(ingest_sheets).states.values()) == {"archived"}


def test_a_sheet_with_an_unreadable_code_is_held_and_shifts_nothing(
    run, folders, database, drawn
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    went = run(ingest_sheets)
    assert went.states == {"a.png": "needs_review"}
    assert went.state.is_failed()
    assert "no readable code" in went.outcomes["a.png"].error
    assert database.codes_images.count_documents({}) == 0
    again = run(ingest_sheets)
    assert again.states == {"a.png": "needs_review"}
    assert again.state.is_completed()
    assert again.task_runs() == []


def test_a_held_sheet_is_read_again_if_an_earlier_version_read_it(run, folders, drawn) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    run(ingest_sheets)
    (kept,) = folders.state.glob("work/*/result/reading.json")
    kept.write_text(kept.read_text().replace('"pairs"', '"of an earlier version"'))
    assert run(ingest_sheets).states == {"a.png": "needs_review"}
    assert '"pairs"' in kept.read_text()


def test_certain_pairs_are_stored_where_that_was_chosen(run, folders, database, drawn) -> None:
    data, truth = drawn(5, scribbled_codes=frozenset({1}))
    (folders.inbox / "a.png").write_bytes(data)
    went = run(ingest_sheets, on_doubt="store-certain")
    assert went.states == {"a.png": "needs_review"}
    assert (folders.staging / "a.png").exists()
    stored = {
        record["code"]: record["source_image"]["picture_box"]
        for record in database.codes_images.find()
    }
    expected = {
        item["code"]["text"]: item["picture"]["box"]
        for index, item in enumerate(truth["items"])
        if index != 1
    }
    assert set(stored) == set(expected)
    for code, (left, top, width, height) in stored.items():
        x0, y0, x1, y1 = expected[code]
        assert (
            np.abs(np.array([left, top, left + width, top + height]) - [x0, y0, x1, y1]).max() < 12
        )
    assert database.sheets.find_one()["state"] == "needs_review"


def test_what_is_known_of_the_sheets_is_held_against_them(run, folders, drawn) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheets, sheets={"grid": "3x3"})
    assert went.states == {"a.png": "needs_review"}
    assert "3 x 3 are expected" in went.outcomes["a.png"].error
    with pytest.raises(ValueError, match="there is no kind of code 'EAN-14'"):
        KnownSheets(symbologies="EAN-14")


def test_one_file_is_taken_alone(run, folders, database, several, inbox_with) -> None:
    inbox_with(a=several[0], b=several[1])
    went = run(ingest_sheet, folders.inbox / "a.png")
    assert went.states == {"a.png": "archived"}
    assert [path.name for path in folders.inbox.iterdir()] == ["b.png"]


def test_one_file_from_elsewhere_is_copied_and_kept(run, folders, tmp_path: Path, drawn) -> None:
    (tmp_path / "desk.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheet, tmp_path / "desk.png")
    assert went.states == {"desk.png": "archived"}
    assert (tmp_path / "desk.png").exists()


def test_spoiled_work_products_are_made_again(run, environment, folders, database, drawn) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    environment(mongodb_uri="mongodb://127.0.0.1:1/?directConnection=true")
    run(ingest_sheets)
    for crop in folders.work.glob("*/result/0*"):
        crop.write_bytes(b"rotten")
    environment()
    assert run(ingest_sheets).states == {"a.png": "failed"}
    assert run(ingest_sheets).states == {"a.png": "archived"}
    assert database.codes_images.count_documents({}) == 4


@pytest.mark.parametrize("results_are_spoiled", [False, True])
def test_an_archived_sheet_that_the_ledger_missed_is_finished_and_archived_once(
    run, folders, database, drawn, monkeypatch, results_are_spoiled
) -> None:
    import sheetflow.archiving

    (folders.inbox / "a.png").write_bytes(drawn(1)[0])

    def cut_off(*_arguments, **_options):
        raise StoreUnavailable("cut off between the move and the ledger", cure="None")

    with monkeypatch.context() as cut:
        cut.setattr(sheetflow.archiving, "write_entry", cut_off)
        assert run(ingest_sheets).states == {"a.png": "failed"}
    assert (folders.archive / "a.png").exists()
    if results_are_spoiled:
        for crop in folders.work.glob("*/result/*.*"):
            crop.unlink()
    went = run(ingest_sheets)
    assert went.states == {"a.png": "archived"}
    document = database.sheets.find_one()
    assert document["state"] == "archived"
    assert document["last_error"] is None
    assert document["receipt"]["complete"]
    steps = [event["state"] for event in document["history"]]
    assert steps == ["waiting", "staged", "processed", "uploaded", "archived", "failed"]
    assert list(folders.work.iterdir()) == []
    assert (folders.archive / "a.png").read_bytes() == drawn(1)[0]


def test_a_sheet_whose_own_run_was_about_to_tell_the_ledger_is_let_alone(
    run, folders, database, drawn, monkeypatch
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    run(ingest_sheets)
    (document,) = database.sheets.find()
    # What a run sees that begins between another one's move and its word to the ledger.
    monkeypatch.setattr("flows.ingest.half_archived", lambda _: [folders.archive / "a.png"])
    went = run(ingest_sheets)
    assert went.state.is_completed()
    assert went.states == {}
    assert list(database.sheets.find()) == [document]


@pytest.mark.parametrize("secret", ["hunter2"])
def test_a_password_reaches_neither_state_nor_outcome(
    run, environment, folders, drawn, secret
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    environment(mongodb_uri=f"mongodb://shop:{secret}@127.0.0.1:1/?directConnection=true")
    went = run(ingest_sheets)
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(went.state.state_details.flow_run_id)
        logs = client.read_logs()
    told = went.state.message + went.outcomes["a.png"].error + flow_run.model_dump_json()
    assert secret not in told + "".join(log.message for log in logs)


def test_a_done_file_goes_when_its_sheet_is_staged(run, environment, folders, drawn) -> None:
    environment(done_suffix=".done")
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    assert run(ingest_sheets).states == {"a.png": "waiting"}
    (folders.inbox / "a.png.done").touch()
    assert run(ingest_sheets).states == {"a.png": "archived"}
    assert list(folders.inbox.iterdir()) == []
