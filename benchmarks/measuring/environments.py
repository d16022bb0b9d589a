"""Throw-away Python environments, for what is no dependency of ours."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
OUR_PREFECT = ("--constraint", str(REPOSITORY / "constraints.txt"), "prefect")
"""Prefect and all that it needs, in the versions that we have."""


@contextlib.contextmanager
def environment(*packages: str) -> Iterator[Path]:
    """Install packages, given as pip takes them, and yield that environment's Python."""
    with tempfile.TemporaryDirectory(prefix="bench-python-") as name:
        venv.create(name, with_pip=True)
        python = Path(name) / "bin" / "python"
        quiet = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([python, *quiet, *packages], check=True)
        yield python
