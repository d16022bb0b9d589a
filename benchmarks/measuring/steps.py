"""Four steps a sheet that do nothing: what is left is the orchestration."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from benchmarks.measuring.world import metered

STEPS = ("stage", "process", "upload", "archive")
_FIRST = 5


def our_way(api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    """Run the steps as `flows.journey` does: called directly, two sheets at a time."""
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.results import ResultRecord

    from tasks.retries import JITTER, is_transient
    from tasks.run_log import say_it_once

    def nothing(sheet: str) -> str:
        return sheet

    steps = [
        task(
            name=name,
            task_run_name=name + " {sheet}",
            retries=4,
            retry_delay_seconds=[1, 2, 4, 8],
            retry_jitter_factor=JITTER,
            retry_condition_fn=is_transient,
            cache_policy=NO_CACHE,
        )(nothing)
        for name in STEPS
    ]

    def travel(sheet: str) -> None:
        for step in steps:
            state = step(sheet, return_state=True)
            assert isinstance(state.data, ResultRecord)

    @flow(name="our-steps")
    def our_steps(count: int) -> None:
        say_it_once()
        with ThreadPoolExecutor(2) as pool:
            names = [f"page-{number:05d}.jpg" for number in range(count)]
            for done in [pool.submit(copy_context().run, travel, name) for name in names]:
                done.result()

    return _measured(our_steps, api_url, server_pid, sheets)


def plain_way(api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    """Run the steps as Prefect's documentation writes them: each submitted, with the last one's."""
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    def nothing(sheet: str) -> str:
        return sheet

    steps = [task(name=name, retries=4, retry_delay_seconds=1)(nothing) for name in STEPS]

    @flow(name="plain-steps", task_runner=ThreadPoolTaskRunner(max_workers=2))
    def plain_steps(count: int) -> None:
        last = []
        for number in range(count):
            result: Any = f"page-{number:05d}.jpg"
            for step in steps:
                result = step.submit(result)
            last.append(result)
        for future in last:
            future.result()

    return _measured(plain_steps, api_url, server_pid, sheets)


def _measured(flow: Any, api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}):
        flow(_FIRST)
        EventsWorker.instance().wait_until_empty()
        with metered(server=server_pid) as meter:
            state = flow(sheets, return_state=True)
            EventsWorker.instance().wait_until_empty()
        with get_client(sync_client=True) as client:
            ran = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))
            body = {"flow_runs": ran.model_dump(mode="json")}
            recorded = client.request("POST", "/task_runs/count", json=body).json()
    assert recorded == sheets * len(STEPS), f"{recorded} task runs are recorded"
    return {
        "sheets": sheets,
        "cpu_ms": 1000 * meter.total_cpu_s / sheets,
        "client_ms": 1000 * meter.cpu_s["client"] / sheets,
        "server_ms": 1000 * meter.cpu_s["server"] / sheets,
        "wall_ms": 1000 * meter.wall_s / sheets,
        "slowness": meter.slowness,
    }
