"""Serving: the servers, the deployments and the watcher, in one command until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx
from prefect.deployments.runner import RunnerDeployment
from prefect.runner import Runner

from deployments.definitions import deployments
from deployments.leftovers import end_leftovers, skip_missed
from deployments.watcher import watch_inbox
from sheetflow.errors import SheetflowError
from sheetflow.settings import Settings

logger = logging.getLogger("sheetflow.serving")

HEARTBEAT_S = 30
_LOOK_EVERY_S = 2.0
_API_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Servers:
    """What keeps the servers that we started ourselves alive.

    Attributes:
        revive: Starts those again that are gone; called every few seconds, in a thread.
    """

    revive: Callable[[], None]


def serve(settings: Settings, servers: Servers, *, ready: Callable[[], None]) -> None:
    """Serve the deployments until SIGTERM; running sheets end their present step.

    Args:
        settings: The settings.
        servers: The servers that are ours.
        ready: Called once runs are accepted.
    """
    asyncio.run(_serve(settings, deployments(settings), servers, ready))


async def _serve(
    settings: Settings,
    offered: Sequence[RunnerDeployment],
    servers: Servers,
    ready: Callable[[], None],
) -> None:
    stopping, begun = asyncio.Event(), asyncio.Event()
    # A group, so that none of them can die unnoticed: serving would look alive, and be half dead.
    async with asyncio.TaskGroup() as group:
        beside = [
            group.create_task(work)
            for work in (_revive(servers), end_leftovers(settings), _watch(begun, settings, ready))
        ]
        while not stopping.is_set():
            await _run_until(stopping, offered, begun)
        for task in beside:
            task.cancel()


async def _run_until(
    stopping: asyncio.Event, offered: Sequence[RunnerDeployment], begun: asyncio.Event
) -> None:
    """Serve with one runner, which gives up when its API is away for long, or until the stop."""
    runner = Runner(name="sheetflow", pause_on_shutdown=False, heartbeat_seconds=HEARTBEAT_S)
    try:
        for deployment in offered:
            await runner.aadd_deployment(deployment)
        await skip_missed()
        running = asyncio.create_task(runner.start())
        while not runner.started and not running.done():
            await asyncio.sleep(0.05)
        # The runner has put a handler of its own in place, which would end this process at once.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
        begun.set()
        waiting = asyncio.create_task(stopping.wait())
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if runner.started:
            await runner.astop()
        await running
    except (httpx.HTTPError, RuntimeError, ExceptionGroup) as error:
        logger.warning("The Prefect API is away, serving goes on once it is back: %s", error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _API_PATIENCE_S)


async def _watch(begun: asyncio.Event, settings: Settings, ready: Callable[[], None]) -> None:
    await begun.wait()
    ready()
    if settings.watch:
        await watch_inbox(settings)


async def _revive(servers: Servers) -> None:
    while True:
        try:
            await asyncio.to_thread(servers.revive)
        except SheetflowError as error:
            logger.warning("A server that has ended cannot be started again now: %s", error)
        await asyncio.sleep(_LOOK_EVERY_S)
