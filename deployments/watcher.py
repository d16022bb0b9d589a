"""The watcher: an ingest soon after new sheets have settled in the inbox.

It looks when the system tells that something changed in the folder, and every half minute anyway;
on mounts, where nobody tells, it looks as often as the settings say. It only asks for a run: what
has settled, and whose a sheet is, the run finds out itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from uuid import UUID

import httpx
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException
from watchfiles import awatch

from deployments.definitions import INGEST
from sheetflow.custody.inbox import Stamp, inbox_stamp
from sheetflow.settings import Settings

logger = logging.getLogger("sheetflow.watcher")

_AT_LEAST_EVERY_S = 30.0
_BREATH_S = 1.0
_AT_WORK_PAUSE_S = 5.0
_SOON = timedelta(seconds=15)
_AT_WORK = (StateType.PENDING, StateType.RUNNING)


class Watch:
    """Decides when a run is due, from one look at the inbox to the next.

    A run is due when the inbox has stood still for `settle_s` and holds something that was not
    there when the last run was asked for: what a run has left, such as a link, starts no other one.

    Args:
        settle_s: How long the inbox must stand still.
    """

    def __init__(self, settle_s: float) -> None:
        self._settle_s = settle_s
        self._seen: Stamp = frozenset()
        self._since_s = 0.0
        self._asked_for: Stamp = frozenset()

    def due(self, stamp: Stamp, now_s: float) -> bool:
        """Take a look at the inbox into account and tell whether a run should be asked for.

        Args:
            stamp: What is in the inbox.
            now_s: When, by a clock that only goes forward.
        """
        if stamp != self._seen:
            self._seen, self._since_s = stamp, now_s
            self._asked_for &= stamp  # what has gone and comes again is new
        return self.unsettled and now_s - self._since_s >= self._settle_s

    @property
    def unsettled(self) -> bool:
        """Whether there is something new that no run was asked for yet."""
        return bool(self._seen - self._asked_for)

    def asked(self) -> None:
        """Note that a run was asked for, for what was seen last."""
        self._asked_for = self._seen


async def watch_inbox(settings: Settings) -> None:
    """Ask for an ingest whenever new sheets have settled; runs until it is cancelled."""
    inbox, watch = settings.folders.inbox, Watch(settings.settle_s)
    async for _ in _occasions(inbox, settings.watch_poll_s):
        while True:
            try:
                stamp = await asyncio.to_thread(inbox_stamp, settings.folders)
            except OSError as error:
                logger.warning("The inbox %s cannot be watched now: %s", inbox, error.strerror)
                break
            if watch.due(stamp, monotonic()) and await _asked_for_run():
                watch.asked()
            if not watch.unsettled:
                break
            await asyncio.sleep(max(_BREATH_S, settings.settle_s / 2))


async def _occasions(inbox: Path, poll_s: float) -> AsyncIterator[None]:
    """Yield whenever it is time to look."""
    while True:
        yield
        if poll_s or not inbox.is_dir():
            await asyncio.sleep(poll_s or _AT_LEAST_EVERY_S)
            continue
        try:
            changes = awatch(
                inbox,
                recursive=False,
                rust_timeout=int(_AT_LEAST_EVERY_S * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
            )
            async for _ in changes:
                yield
        except OSError as error:
            logger.warning("%s sends no events (%s); it is polled instead", inbox, error)
            await asyncio.sleep(_AT_LEAST_EVERY_S)


async def _asked_for_run() -> bool:
    """Ask for a run unless one is at work, or about to be; tell whether it was asked for."""
    try:
        async with get_client() as client:
            deployment = await client.read_deployment_by_name(INGEST)
            if not await _is_at_work(client, deployment.id):
                await client.create_flow_run_from_deployment(deployment.id, tags=["new sheets"])
                logger.info("New sheets have settled in the inbox: an ingest was asked for")
                return True
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("No ingest could be asked for: %s", error)
    await asyncio.sleep(_AT_WORK_PAUSE_S)
    return False


async def _is_at_work(client: PrefectClient, deployment_id: UUID) -> bool:
    whose = FlowRunFilterDeploymentId(any_=[deployment_id])
    at_work = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(_AT_WORK)))
    # One that is about to begin finds the sheets as well, and two would exclude each other.
    soon = FlowRunFilterNextScheduledStartTime(before_=datetime.now(UTC) + _SOON)
    scheduled = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED]))
    for chosen in (
        FlowRunFilter(deployment_id=whose, state=at_work),
        FlowRunFilter(deployment_id=whose, state=scheduled, next_scheduled_start_time=soon),
    ):
        if await client.read_flow_runs(flow_run_filter=chosen, limit=1):
            return True
    return False
