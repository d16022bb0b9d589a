"""Runs whose machine is gone, so that nobody there can tell: the server ends them."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.client.schemas.sorting import FlowRunSort

from deployments.automations import bring_about, zombie_automation
from sheetflow.custody.folders import prepare_folders
from sheetflow.settings import Settings
from tests.deployments.serving import Api, Shop, command, wait_for

SILENCE = timedelta(seconds=35)  # a little longer than from heartbeat to heartbeat


def test_a_run_that_falls_silent_is_ended_by_the_server(
    settings: Settings, prefect_server: str, several: list[Any], tmp_path: Path
):
    prepare_folders(settings.folders)
    shop = Shop(settings, Api(prefect_server), several)
    shop.drop(8)
    with shop.api.client() as client:
        bring_about(client, [zombie_automation(silence=SILENCE)])
        before = running(client)  # what other tests have killed, perhaps
        with command(
            "ingest", settings=settings, cwd=tmp_path, PREFECT_API_URL=prefect_server
        ) as process:
            (run,) = wait_for(lambda: running(client) - before, "a run")
            wait_for(lambda: str(run) in heartbeats(client), "a heartbeat")
            os.killpg(process.pid, signal.SIGKILL)
            ended = wait_for(lambda: shop.api.ended(run), "its end")
        bring_about(client, [], only=True)
    assert ended.state.type is StateType.CRASHED
    assert "no sign of life for 35 seconds" in ended.state.message


def running(client: Any) -> set[UUID]:
    of_type = FlowRunFilterStateType(any_=[StateType.RUNNING])
    wanted = FlowRunFilter(state=FlowRunFilterState(type=of_type))
    newest = FlowRunSort.START_TIME_DESC
    return {run.id for run in client.read_flow_runs(flow_run_filter=wanted, sort=newest)}


def heartbeats(client: Any) -> str:
    wanted = {"filter": {"event": {"name": ["prefect.flow-run.heartbeat"]}}}
    return str(client.request("POST", "/events/filter", json=wanted).text)
