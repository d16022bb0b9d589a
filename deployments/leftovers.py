"""Runs that Prefect still waits for, though nobody will ever begin or end them."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Cancelled, Crashed

from deployments.definitions import TAG
from sheetflow.custody.folders import Folders
from sheetflow.presence import is_present

logger = logging.getLogger("sheetflow.leftovers")

_BEGINS_WITHIN = timedelta(seconds=90)


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


async def _runs(kind: StateType, **more: object) -> list[FlowRun]:
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[kind])),
        **more,
    )
    async with get_client() as client:
        return await client.read_flow_runs(flow_run_filter=chosen, limit=200)
