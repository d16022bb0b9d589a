from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

RUN = "import sys; sys.argv[0] = 'sheetflow'; from cli.main import main; main()"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path, settings) -> Command:
    """Run the command in a process of its own, as a person would; what is `typed`, on a terminal.

    Only for commands that do without Prefect.
    """

    def run(
        *arguments: str, typed: str | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        with terminal_with(typed) as stdin:
            return subprocess.run(
                [sys.executable, "-c", RUN, *map(str, arguments)],
                cwd=tmp_path,
                stdin=stdin,
                capture_output=True,
                text=True,
                timeout=180,
                check=False,
                env={
                    **os.environ,
                    "MONGODB_URI": settings.mongodb_uri.get_secret_value(),
                    "DATABASE_NAME": settings.database_name,
                    "SHEETFLOW_SETTLE_S": "0.05",
                    "SHEETFLOW_RETRIES": "0",
                    "SHEETFLOW_MONGODB_CONNECT_TIMEOUT_S": "1",
                    "SHEETFLOW_ROOT": str(settings.root),
                    **environment,
                },
            )

    return run


@pytest.fixture
def sheetflow(command: Command, prefect_server: str) -> Command:
    """Run the command against a real Prefect server."""
    return partial(command, PREFECT_API_URL=prefect_server)


@contextlib.contextmanager
def terminal_with(typed: str | None) -> Iterator[int | None]:
    """Yield a terminal on which something was typed, or nothing."""
    if typed is None:
        yield None
        return
    keyboard, screen = pty.openpty()
    try:
        os.write(keyboard, typed.encode())
        yield screen
    finally:
        os.close(keyboard)
        os.close(screen)
