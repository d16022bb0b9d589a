"""Where our log lines go and how they look. docs/logs.md tells of their fields.

This is the door to python-json-logger; a file's is `log_file`.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping

from pythonjsonlogger.json import JsonFormatter

from sheetflow.settings import LogFormat, Settings
from sheetflow.telling.steps import current_step

OURS = "sheetflow"
"""The logger above all of ours."""

_FORMATTERS = {
    LogFormat.JSON: JsonFormatter(
        ["levelname", "name", "message", "process"],
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
        json_ensure_ascii=False,
    ),
    LogFormat.TEXT: logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"),
}


def own_handler(
    settings: Settings, run_ids: Callable[[], Mapping[str, str]]
) -> logging.Handler | None:
    """Return the handler that writes our lines as the settings say.

    Args:
        settings: The settings.
        run_ids: Tells in which flow run and task run a line is written.

    Returns:
        The handler; None if the lines are text for standard error, where Prefect writes them.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    if settings.log_file is None and settings.log_format is LogFormat.TEXT:
        return None
    handler: logging.Handler
    if settings.log_file is None:
        handler = logging.StreamHandler(sys.stderr)
    else:
        # Only here: with a Redis client that is not used it takes long to import.
        from sheetflow.telling.log_file import file_handler

        handler = file_handler(settings, settings.log_file)
    handler.setFormatter(_FORMATTERS[settings.log_format])
    handler.addFilter(_Surroundings(run_ids))
    return handler


class _Surroundings(logging.Filter):
    """Adds to a line what is known where it is written, and lets every line pass."""

    def __init__(self, run_ids: Callable[[], Mapping[str, str]]) -> None:
        super().__init__()
        self._run_ids = run_ids

    def filter(self, record: logging.LogRecord) -> bool:
        step = current_step()
        fields = {"event": "note", **self._run_ids(), **(step.fields() if step else {})}
        for name, value in fields.items():
            record.__dict__.setdefault(name, value)
        return True
