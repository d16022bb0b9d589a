"""Four steps a sheet that do nothing: what is left is the orchestration."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from benchmarks.measuring.meter import Meter, metered

STEPS = ("stage", "process", "upload", "archive")
_FEW = 5
_RECORDED_TIMEOUT_S = 180.0


def our_way(api_url: str, servers: Mapping[str, int], sheets: int) -> dict[str, Any]:
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

    return _measured(our_steps, api_url, servers, sheets)


def plain_way(
    api_url: str, servers: Mapping[str, int], sheets: int, task_runner: Any = None
) -> dict[str, Any]:
    """Run the steps as Prefect's documentation writes them: each submitted, with the last one's."""
    from prefect import flow, task
    from prefect.task_runners import ThreadPoolTaskRunner

    def nothing(sheet: str) -> str:
        return sheet

    steps = [task(name=name, retries=4, retry_delay_seconds=1)(nothing) for name in STEPS]

    @flow(name="plain-steps", task_runner=task_runner or ThreadPoolTaskRunner(max_workers=2))
    def plain_steps(count: int) -> None:
        last = []
        for number in range(count):
            result: Any = f"page-{number:05d}.jpg"
            for step in steps:
                result = step.submit(result)
            last.append(result)
        for future in last:
            future.result()

    return _measured(plain_steps, api_url, servers, sheets)


def _measured(flow: Any, api_url: str, servers: Mapping[str, int], sheets: int) -> dict[str, Any]:
    """Return what each further sheet takes: a run of many, less one of few."""
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: api_url}):
        _run(flow, servers, _FEW)  # imports and the like happen once, and are not counted
        few, few_s = _run(flow, servers, _FEW)
        many, many_s = _run(flow, servers, _FEW + sheets)
    each = {name: (many.cpu_s[name] - few.cpu_s[name]) / sheets for name in ("client", *servers)}
    return {
        "sheets": sheets,
        "cpu_ms": 1000 * sum(each.values()),
        **{f"{name}_ms": 1000 * used_s for name, used_s in each.items()},
        "wall_ms": 1000 * (many_s - few_s) / sheets,
        "slowness": many.slowness,
    }


def _run(flow: Any, servers: Mapping[str, int], sheets: int) -> tuple[Meter, float]:
    """Run the flow until all is recorded, and check that it is all there, and in order."""
    from prefect.client.orchestration import get_client
    from prefect.events.worker import EventsWorker

    with get_client(sync_client=True) as client:
        with metered(**servers) as meter:
            began = time.perf_counter()
            state = flow(sheets, return_state=True)
            EventsWorker.instance().wait_until_empty()
            wall_s = time.perf_counter() - began
            run_id = str(state.state_details.flow_run_id)
            _wait_until_recorded(client, run_id, sheets * len(STEPS))
        _check_records(client, run_id, sheets)
    return meter, wall_s


def _wait_until_recorded(client: Any, run_id: str, task_runs: int) -> None:
    """Wait until as many task runs have ended: a broker may hold some back for seconds."""
    ended = {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}
    body = {"flow_runs": {"id": {"any_": [run_id]}}, "task_runs": ended}
    deadline = time.monotonic() + _RECORDED_TIMEOUT_S
    while client.request("POST", "/task_runs/count", json=body).json() < task_runs:
        assert time.monotonic() < deadline, f"not all {task_runs} task runs ended by the records"
        time.sleep(2)


def _check_records(client: Any, run_id: str, sheets: int) -> None:
    body: dict[str, Any] = {"flow_runs": {"id": {"any_": [run_id]}}, "limit": 200}
    runs: list[dict[str, Any]] = []
    while page := client.request("POST", "/task_runs/filter", json=body).json():
        runs += page
        body["offset"] = len(runs)
    assert Counter(
        run["name"].partition(" ")[0].partition("-")[0] for run in runs
    ) == dict.fromkeys(STEPS, sheets)
    for run in runs:
        params = {"task_run_id": run["id"]}
        states = client.request("GET", "/task_run_states/", params=params).json()
        states.sort(key=lambda state: state["timestamp"])
        kinds = [state["type"] for state in states]
        assert kinds == ["PENDING", "RUNNING", "COMPLETED"], f"{run['name']}: {kinds}"
        assert run["state"]["id"] == states[-1]["id"], f"{run['name']}: the last is not its state"
