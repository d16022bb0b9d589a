from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from prefect import flow, task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Completed, Pending, Running

from deployments import leftovers
from deployments.definitions import TAG
from deployments.leftovers import end_never_started, end_orphaned_steps
from flows.living import end_departed
from sheetflow.custody.folders import Folders
from sheetflow.presence import present


@flow
def anything() -> None:
    """Stand for any flow of ours."""


@task
def step() -> None:
    """Stand for any step of ours."""


@pytest.fixture
def api(prefect_server: str) -> Iterator[Any]:
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as it:
        yield it


@contextmanager
def killed(folders: Folders, run_id: UUID) -> Iterator[None]:
    """Leave behind what a run leaves whose process is killed."""
    child = os.fork()
    if not child:
        with present(folders, str(run_id)):
            os._exit(0)
    os.waitpid(child, 0)
    yield


def state_of(api: Any, run_id: UUID) -> tuple[StateType, str]:
    state = api.read_flow_run(run_id).state
    return state.type, state.message or ""


def test_a_killed_run_is_crashed_and_says_that_its_sheets_are_safe(api: Any, folders: Folders):
    run = api.create_flow_run(anything, state=Running())
    with killed(folders, run.id):
        assert end_departed(folders) == 1
    kind, message = state_of(api, run.id)
    assert kind is StateType.CRASHED
    assert "sheets are safe" in message
    assert end_departed(folders) == 0


def test_a_run_killed_while_it_was_cancelled_is_cancelled(api: Any, folders: Folders):
    run = api.create_flow_run(anything, state=Cancelling())
    with killed(folders, run.id):
        end_departed(folders)
    assert state_of(api, run.id)[0] is StateType.CANCELLED


def test_the_end_of_a_run_that_came_before_its_kill_stands(api: Any, folders: Folders):
    run = api.create_flow_run(anything, state=Completed())
    with killed(folders, run.id):
        assert end_departed(folders) == 0
    assert state_of(api, run.id)[0] is StateType.COMPLETED


def test_a_killed_run_of_a_server_that_is_no_more_is_forgotten(api: Any, folders: Folders):
    with killed(folders, uuid4()):
        assert end_departed(folders) == 0
    assert not list((folders.state / "runs").iterdir())


def test_a_run_whose_process_never_began_is_ended_once_it_had_its_time(
    api: Any, folders: Folders, monkeypatch: pytest.MonkeyPatch
):
    waits = api.create_flow_run(anything, state=Pending(), tags=[TAG])
    assert asyncio.run(end_never_started(folders)) == 0
    monkeypatch.setattr(leftovers, "_BEGINS_WITHIN", timedelta(0))
    lives = api.create_flow_run(anything, state=Pending(), tags=[TAG])
    with present(folders, str(lives.id)):
        assert asyncio.run(end_never_started(folders)) == 1
    assert state_of(api, waits.id)[0] is StateType.CRASHED
    assert state_of(api, lives.id)[0] is StateType.PENDING
    api.set_flow_run_state(lives.id, Completed(), force=True)


def test_a_step_that_is_shown_as_running_in_a_run_that_has_ended_is_ended(
    api: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leftovers, "_RECORDED_WITHIN", timedelta(0))
    run = api.create_flow_run(anything, state=Running(), tags=[TAG])
    steps = [
        api.create_task_run(task=step, flow_run_id=run.id, dynamic_key=str(key), state=state)
        for key, state in enumerate((Running(), Completed()))
    ]
    assert asyncio.run(end_orphaned_steps()) == 0
    api.set_flow_run_state(run.id, Completed(), force=True)
    assert asyncio.run(end_orphaned_steps()) == 1
    ended, done = (api.read_task_run(step.id).state for step in steps)
    assert ended.type is StateType.CRASHED
    assert "sheetflow status" in (ended.message or "")
    assert done.type is StateType.COMPLETED
