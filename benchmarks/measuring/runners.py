"""The same four empty steps by Prefect's task runners: threads, processes, Dask, Ray.

Dask and Ray each come with a package of Prefect's, in an environment of its own, with two workers
of one thread on this machine, started before the runs and there until their end. Run there as
`python -m benchmarks.measuring.runners KIND API_URL SERVER_PID SHEETS`, this prints a line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.measuring.environments import OUR_PREFECT, REPOSITORY, environment
from benchmarks.measuring.steps import plain_way

_WORKERS = 2
_PACKAGES = {
    "dask": ("prefect-dask==0.3.7", "dask==2026.8.0", "distributed==2026.8.0"),
    "ray": ("prefect-ray==0.6.0", "ray==2.60.0"),
}

_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    # Idle processes stay: the CPU of those that end is lost to the measurement.
    "RAY_idle_worker_killing_time_threshold_ms": "3600000",
}


def submitted(kind: str, api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    """Run the steps by a task runner; CPU of the client is that of its workers too."""
    if kind not in _PACKAGES:
        return _run(Path(sys.executable), kind, api_url, server_pid, sheets)
    with environment(*OUR_PREFECT, *_PACKAGES[kind]) as python:
        return _run(python, kind, api_url, server_pid, sheets)


def _run(python: Path, kind: str, api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    done = subprocess.run(
        [python, "-m", __name__, kind, api_url, str(server_pid), str(sheets)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "PREFECT_API_URL": api_url, **_RAY},
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _here(kind: str, api_url: str, server_pid: int, sheets: int) -> dict[str, Any]:
    with _RUNNERS[kind]() as (task_runner, package):
        row = plain_way(api_url, {"server": server_pid}, sheets, task_runner)
    return {**row, "version": f"{package} {version(package)}"}


@contextlib.contextmanager
def _threads() -> Iterator[tuple[Any, str]]:
    from prefect.task_runners import ThreadPoolTaskRunner

    yield ThreadPoolTaskRunner(max_workers=_WORKERS), "prefect"


@contextlib.contextmanager
def _processes() -> Iterator[tuple[Any, str]]:
    from prefect.task_runners import ProcessPoolTaskRunner

    yield ProcessPoolTaskRunner(max_workers=_WORKERS), "prefect"


@contextlib.contextmanager
def _dask() -> Iterator[tuple[Any, str]]:
    from distributed import LocalCluster
    from prefect_dask import DaskTaskRunner

    with LocalCluster(n_workers=_WORKERS, threads_per_worker=1, dashboard_address=None) as cluster:
        yield DaskTaskRunner(address=cluster.scheduler_address), "dask"


@contextlib.contextmanager
def _ray() -> Iterator[tuple[Any, str]]:
    import ray
    from prefect_ray import RayTaskRunner

    with ray.init(num_cpus=_WORKERS, include_dashboard=False, namespace="prefect"):
        yield RayTaskRunner(), "ray"


_RUNNERS = {"threads": _threads, "processes": _processes, "dask": _dask, "ray": _ray}

if __name__ == "__main__":
    print(json.dumps(_here(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
