"""A log file that several processes write to. This is the door to concurrent-log-handler."""

from __future__ import annotations

import contextlib
import logging
import sys
from pathlib import Path

from concurrent_log_handler import ConcurrentRotatingFileHandler

from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings


def file_handler(settings: Settings, path: Path) -> logging.Handler:
    """Return the handler that writes to a file, as large and as often kept as the settings say.

    Raises:
        ConfigurationError: The file cannot be written.
    """
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
