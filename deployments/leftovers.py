"""Runs that Prefect still waits for, though nobody will ever begin or end them."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import TERMINAL_STATES, FlowRun, State, StateType
from prefect.exceptions import PrefectException
from prefect.states import Cancelled, Crashed

from deployments.definitions import TAG
from flows.living import end_departed
from sheetflow.custody.folders import Folders
from sheetflow.presence import is_present
from sheetflow.settings import Settings

logger = logging.getLogger("sheetflow.leftovers")

_LOOK_EVERY_S = 30.0
_BEGINS_WITHIN = timedelta(seconds=90)
_RECORDED_WITHIN = timedelta(seconds=30)
_RECENT = timedelta(days=1)
_UNRECORDED = (
    "Its process, or the Prefect server, was killed before the end of this step was recorded. "
    "Where the sheet is, `sheetflow status NAME` tells."
)


async def end_leftovers(settings: Settings) -> None:
    """End them now and then, until this is cancelled."""
    while True:
        try:
            await asyncio.to_thread(end_departed, settings.folders)
            await end_never_started(settings.folders)
            await end_orphaned_steps()
        except (httpx.HTTPError, PrefectException, OSError) as error:
            logger.info("Prefect cannot be told of killed runs now: %s", error)
        await asyncio.sleep(_LOOK_EVERY_S)


async def skip_missed() -> int:
    """Skip scheduled runs whose time passed while nobody served, but the newest of each flow.

    Returns:
        How many were skipped.
    """
    before = datetime.now(UTC)
    missed = await _runs(
        StateType.SCHEDULED,
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=before),
    )
    missed = [run for run in missed if run.auto_scheduled]
    newest: dict[object, FlowRun] = {}
    for run in sorted(missed, key=lambda run: run.expected_start_time or before):
        newest[run.deployment_id] = run
    keep = {run.id for run in newest.values()}
    late = [run for run in missed if run.id not in keep]
    async with get_client() as client:
        for run in late:
            state: State[None] = Cancelled(name="Skipped", message="Nobody served at that time.")
            await client.set_flow_run_state(run.id, state, force=True)
    if late:
        logger.info("%d scheduled runs whose time has passed were skipped", len(late))
    return len(late)


async def end_never_started(folders: Folders) -> int:
    """End runs that were handed to a process which has not begun: it was killed before it could.

    Returns:
        How many were ended.
    """
    before = datetime.now(UTC) - _BEGINS_WITHIN
    ended = 0
    for run in await _runs(StateType.PENDING):
        began = run.state.timestamp if run.state else None
        if began is None or began > before or is_present(folders, str(run.id)):
            continue
        async with get_client() as client:
            message = "Its process was killed before it began; the next run does its work."
            await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
        ended += 1
    return ended


async def end_orphaned_steps() -> int:
    """End the task runs that are shown as running in a flow run that has ended.

    Either their process was killed, or the server was, before it had recorded their end.

    Returns:
        How many were ended.
    """
    over = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=sorted(TERMINAL_STATES))),
        end_time=FlowRunFilterEndTime(
            after_=datetime.now(UTC) - _RECENT, before_=datetime.now(UTC) - _RECORDED_WITHIN
        ),
    )
    at_work = TaskRunFilter(
        state=TaskRunFilterState(
            type=TaskRunFilterStateType(
                any_=[StateType.RUNNING, StateType.PENDING, StateType.SCHEDULED]
            )
        )
    )
    async with get_client() as client:
        steps = await client.read_task_runs(flow_run_filter=over, task_run_filter=at_work)
        for step in steps:
            state: State[None] = Crashed(message=_UNRECORDED)
            await client.set_task_run_state(step.id, state, force=True)
    return len(steps)


async def _runs(kind: StateType, **more: object) -> list[FlowRun]:
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind])),
        **more,
    )
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=chosen, limit=200)
