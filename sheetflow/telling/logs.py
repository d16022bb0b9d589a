"""Where our log lines go and how they look. docs/logs.md tells of their fields.

This is the door to python-json-logger and concurrent-log-handler.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler
from pythonjsonlogger.json import JsonFormatter

from sheetflow.errors import ConfigurationError
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
        handler = _file_handler(settings, settings.log_file)
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


class _RotatingFile(ConcurrentRotatingFileHandler):
    """A file that several processes write to, and that one of them puts aside once it is full."""

    complained = False

    def close(self) -> None:
        """Close the file; what a full disk does not take is lost, and nothing else."""
        with contextlib.suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's own
        """Say once that lines are lost; a full disk must not fill the terminal too."""
        if not self.complained:
            self.complained = True
            reason = sys.exc_info()[1]
            sys.stderr.write(f"sheetflow: log lines are lost, {self.baseFilename}: {reason}\n")


def _file_handler(settings: Settings, path: Path) -> logging.Handler:
    path = settings.root.expanduser().absolute() / path.expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass  # the handler would open it with the first line, and tell nobody
        return _RotatingFile(
            str(path),
            maxBytes=settings.log_max_bytes,
            backupCount=settings.log_files_kept,
            encoding="utf-8",
        )
    except OSError as error:
        raise ConfigurationError(
            f"the log file {path} cannot be written: {error.strerror}",
            cure="Mend SHEETFLOW_LOG_FILE or the rights of its folder, or unset it",
        ) from error
