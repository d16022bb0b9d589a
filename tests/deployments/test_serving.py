from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelling

from deployments.server import prefect_server as companion
from sheetflow.custody.folders import prepare_folders
from sheetflow.settings import Settings
from tests.deployments.serving import Api, Shop, command, engine_of, wait_for


@pytest.fixture(scope="module")
def shop(
    prefect_server: str,
    mongod_uri: str,
    several: list[Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """`sheetflow serve` beside the session's servers."""
    home = tmp_path_factory.mktemp("served")
    settings = Settings(
        root=home / "root", mongodb_uri=mongod_uri, database_name=f"test_{uuid4().hex[:12]}"
    )
    prepare_folders(settings.folders)
    api = Api(prefect_server)
    with command("serve", settings=settings, cwd=home, PREFECT_API_URL=prefect_server):
        wait_for(lambda: "Ctrl-C" in (home / "command.log").read_text(), "serving")
        yield Shop(settings, api, several)


def test_new_sheets_are_ingested_soon_after_they_have_settled(shop: Shop):
    names = shop.drop(2)
    wait_for(lambda: shop.archived(names), "both archived")
    run = wait_for(lambda: shop.api.runs("ingest-sheets", StateType.COMPLETED), "a green run")[0]
    assert "new sheets" in run.tags
    assert run.name == "ingest sheets: 2 archived"


def test_a_run_is_started_from_the_values_of_a_form(shop: Shop, tmp_path: Path, several: list[Any]):
    elsewhere = tmp_path / "from-elsewhere.png"
    elsewhere.write_bytes(several[0][0] + b"elsewhere")
    asked = shop.api.ask("ingest-sheet", file=str(elsewhere), on_doubt="store-certain")
    run = wait_for(lambda: shop.api.ended(asked.id), "the run's end")
    assert run.state.type is StateType.COMPLETED, run.state.message
    assert shop.archived(["from-elsewhere.png"])


@pytest.mark.parametrize(
    ("deployment", "values"),
    [
        ("audit", {"sample_percent": 0}),
        ("audit", {"sample_percent": 250}),
        ("ingest-sheets", {"on_doubt": "shrug"}),
        ("ingest-sheets", {"sheets": {"grid": "12"}}),
        ("force-archive", {"reason": "x"}),
        ("ingest-sheet", {}),
    ],
)
def test_bad_values_are_refused_before_a_run_is_made(
    shop: Shop, deployment: str, values: dict[str, Any]
):
    with pytest.raises(PrefectHTTPStatusError) as refused:
        shop.api.ask(deployment, **values)
    assert refused.value.response.status_code in (409, 422)


def test_the_status_page_tells_where_sheets_stand(shop: Shop):
    asked = shop.api.ask("processing-status")
    run = wait_for(lambda: shop.api.ended(asked.id), "the run's end")
    assert "archived" in run.state.message
    with shop.api.client() as client:
        (page,) = client.request(
            "POST",
            "/artifacts/filter",
            json={"artifacts": {"flow_run_id": {"any_": [str(run.id)]}}},
        ).json()
    assert page["key"] == "processing-status"
    assert str(shop.folders.archive) in page["data"]


def test_a_second_ingest_beside_one_at_work_is_refused(shop: Shop):
    shop.drop_for_a_new_run(6)
    first = wait_for(lambda: shop.api.runs("ingest-sheets", StateType.RUNNING), "a run")[0]
    asked = shop.api.ask("ingest-sheets")
    second = wait_for(lambda: shop.api.ended(asked.id), "the refusal")
    assert second.state.type is StateType.CANCELLED
    assert "concurrency limit" in second.state.message
    wait_for(lambda: shop.api.ended(first.id), "the first one's end")


def test_a_cancelled_run_stops_and_its_sheets_are_taken_up_by_the_next(shop: Shop):
    names = shop.drop_for_a_new_run(8)
    run = wait_for(lambda: shop.api.runs("ingest-sheets", StateType.RUNNING), "a run")[0]
    wait_for(lambda: list(shop.folders.staging.iterdir()), "a staged sheet")
    shop.api.set_state(run.id, Cancelling())
    ended = wait_for(lambda: shop.api.ended(run.id), "the run's end")
    assert ended.state.type is StateType.CANCELLED
    places = (shop.folders.inbox, shop.folders.staging, shop.folders.archive)
    assert {item.name for place in places for item in place.iterdir()} >= set(names)
    shop.api.ask("ingest-sheets")
    wait_for(lambda: shop.archived(names), "all archived")


def test_a_killed_run_is_red_at_once_and_its_sheets_are_taken_up_by_the_next(shop: Shop):
    names = shop.drop_for_a_new_run(6)
    run = wait_for(lambda: shop.api.runs("ingest-sheets", StateType.RUNNING), "a run")[0]
    wait_for(lambda: list(shop.folders.staging.iterdir()), "a staged sheet")
    os.kill(wait_for(lambda: engine_of(run.id), "its process"), signal.SIGKILL)
    ended = wait_for(lambda: shop.api.ended(run.id), "the run's end")
    assert ended.state.type is StateType.CRASHED
    shop.api.ask("ingest-sheets")
    wait_for(lambda: shop.archived(names), "all archived")


def test_a_schedule_fires_three_times_in_a_row_while_the_folder_fills(
    settings: Settings, prefect_server: str, several: list[Any], tmp_path: Path
):
    prepare_folders(settings.folders)
    shop = Shop(settings, Api(prefect_server), several)
    before = {run.id for run in shop.api.runs("ingest-sheets")}
    times = {"SHEETFLOW_INGEST_EVERY_S": "5", "SHEETFLOW_WATCH": "false"}
    dropped: list[str] = []

    def done() -> list[Any]:
        runs = shop.api.runs("ingest-sheets", StateType.COMPLETED)
        return [run for run in runs if run.auto_scheduled and run.id not in before]

    with command("serve", settings=settings, cwd=tmp_path, PREFECT_API_URL=prefect_server, **times):
        for times_done in (1, 2, 3):
            dropped += shop.drop()
            wait_for(lambda: len(done()) >= times_done, f"run {times_done}")  # noqa: B023
        wait_for(lambda: shop.archived(dropped), "all archived")


def test_after_everything_was_killed_at_once_the_next_start_puts_it_right(
    settings: Settings, several: list[Any], tmp_path: Path
):
    prepare_folders(settings.folders)
    server = companion(settings.folders.prefect)

    def api() -> Api:
        return Api(wait_for(server.peek, "the Prefect server"))

    with command("serve", settings=settings, cwd=tmp_path) as process:
        shop = Shop(settings, api(), several)
        wait_for(lambda: shop.api.deployment("ingest-sheets"), "the deployments")
        names = shop.drop(8)
        run = wait_for(lambda: shop.api.runs("ingest-sheets", StateType.RUNNING), "a run")[0]
        wait_for(lambda: list(shop.folders.staging.iterdir()), "a staged sheet")
        engine = wait_for(lambda: engine_of(run.id), "its process")
        for pid in (process.pid, engine, server_pid(settings)):
            os.kill(pid, signal.SIGKILL)
        process.wait()
    with command("serve", settings=settings, cwd=tmp_path):
        shop.api = api()
        ended = wait_for(lambda: shop.api.ended(run.id), "the killed run's end")
        assert ended.state.type is StateType.CRASHED
        # Its slot is free, else the next run would be refused.
        wait_for(lambda: shop.archived(names), "all archived, by the watcher's next run")
        # And the server alone: serving starts it again, at the same address.
        os.kill(server_pid(settings), signal.SIGKILL)
        asked = wait_for(lambda: shop.api.ask("processing-status"), "the server's return")
        assert wait_for(lambda: shop.api.ended(asked.id), "a run").state.type is StateType.COMPLETED
    assert server.peek() is None, "the server outlived those who served with it"
    shutil.rmtree(settings.folders.prefect)


def server_pid(settings: Settings) -> int:
    import json

    return int(json.loads((settings.folders.prefect / "state.json").read_text())["pid"])
