from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RUN = "import sys; sys.argv[0] = 'sheetflow'; from cli.main import main; main()"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def sheetflow(tmp_path: Path, settings, prefect_server: str) -> Command:
    """Run the command in a process of its own, as a person would."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", RUN, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env={
                **os.environ,
                "PREFECT_API_URL": prefect_server,
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
