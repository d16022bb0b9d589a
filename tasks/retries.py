"""How persistently a step is tried: the world's faults are, a sheet's own are not."""

from __future__ import annotations

from typing import Any

from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import Task, exponential_backoff

from sheetflow.errors import TransientError
from sheetflow.settings import Settings

JITTER = 0.3
"""Spreads the retries of many sheets, so that a database that comes back is not overrun."""


def is_transient(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed step may work later.

    A plain function: Prefect ignores a `functools.partial` or an object here, without a word.
    """
    return isinstance(state.result(raise_on_failure=False), TransientError)


def retry_options(settings: Settings) -> dict[str, Any]:
    """Return the options that make a task as persistent as the settings say."""
    return {
        "retries": settings.retries,
        "retry_delay_seconds": exponential_backoff(settings.retry_delay_s)(settings.retries),
        "retry_jitter_factor": JITTER,
    }
