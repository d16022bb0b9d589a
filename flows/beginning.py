"""How every flow begins: settings, folders, and where its log lines go.

This works wherever a flow runs: from the command line, under `sheetflow serve` and under a worker.
"""

from __future__ import annotations

import logging
from typing import Any

from prefect.context import FlowRunContext, TaskRunContext
from prefect.logging.handlers import APILogHandler

from sheetflow.custody.folders import prepare_folders
from sheetflow.settings import Settings, load_settings
from sheetflow.telling.logs import OURS, own_handler

_NAME = "sheetflow"
"""What our handler is called among those of the logger."""


def begin(root: str, **overrides: Any) -> Settings:
    """Read the settings, begin to log, and make the folders that are missing.

    Args:
        root: The data root, empty for the one that is set.
        overrides: Other settings that the run brings along; None for those that are set.

    Raises:
        ConfigurationError: A setting is wrong, or a folder cannot be made.
    """
    settings = load_settings(root=root or None, **overrides)
    begin_logs(settings)
    prepare_folders(settings.folders)
    return settings


def begin_logs(settings: Settings) -> None:
    """Send the lines of our loggers where the settings say, and to the pages of their runs."""
    ours = logging.getLogger(OURS)
    for handler in list(ours.handlers):
        # Those of an earlier run in this process; or Prefect's, which would send each line twice.
        if handler.name == _NAME or isinstance(handler, APILogHandler):
            ours.removeHandler(handler)
        if handler.name == _NAME:
            handler.close()
    ours.setLevel(logging.INFO)
    ours.addHandler(_RunPages(settings.log_ui_level.upper()))
    own = own_handler(settings, run_ids)
    if own is not None:
        own.name = _NAME
        ours.addHandler(own)
    # Handed on to the root's, a line would be written to standard error once more.
    ours.propagate = own is None


def run_ids() -> dict[str, str]:
    """Return the flow run and the task run that this thread is in, as far as it is in one."""
    task, flow = TaskRunContext.get(), FlowRunContext.get()
    flow_run_id = flow.flow_run.id if flow is not None and flow.flow_run is not None else None
    if task is not None:
        flow_run_id = task.task_run.flow_run_id or flow_run_id
    ids = {"flow_run_id": flow_run_id, "task_run_id": task.task_run.id if task else None}
    return {name: str(value) for name, value in ids.items() if value is not None}


class _RunPages(APILogHandler):
    """Sends lines to the pages of their runs; those of no run are no page's business."""

    def emit(self, record: logging.LogRecord) -> None:
        """Send a line, if it belongs to a run."""
        if run_ids():
            super().emit(record)
