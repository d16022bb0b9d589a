"""A served sheetflow in a process of its own, driven and watched from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.settings import PREFECT_API_URL, temporary_settings

from sheetflow.custody.folders import Folders
from sheetflow.settings import Settings

T = TypeVar("T")
DEADLINE_S = 240.0
SHEETFLOW = (
    sys.executable,
    "-c",
    "import sys; sys.argv[0] = 'sheetflow'; from cli.main import main; main()",
)
BEGUN = [kind for kind in StateType if kind is not StateType.SCHEDULED]


def wait_for(condition: Callable[[], T | None], what: str) -> T:
    """Return the first true value of a condition; a busy machine or an API away is waited for."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, httpx.TransportError):
            if value := condition():
                return value
        time.sleep(0.2)
    raise AssertionError(f"not within {DEADLINE_S:.0f} s: {what}")


@contextlib.contextmanager
def command(
    *arguments: str,
    settings: Settings,
    cwd: Path,
    program: Sequence[str] = SHEETFLOW,
    **environment: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a session of its own until the block ends, then stop it."""
    log = (cwd / "command.log").open("ab")
    assert settings.mongodb_uri is not None
    process = subprocess.Popen(
        [*program, *arguments],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        env={
            **os.environ,
            "SHEETFLOW_ROOT": str(settings.root),
            "MONGODB_URI": settings.mongodb_uri.get_secret_value(),
            "DATABASE_NAME": settings.database_name,
            "SHEETFLOW_SETTLE_S": "0.1",
            "SHEETFLOW_INGEST_EVERY_S": "0",
            "SHEETFLOW_AUDIT_CRON": "off",
            "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            **environment,
        },
    )
    try:
        yield process
    finally:
        log.close()
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


class Api:
    """The runs of a server, as its client sees them."""

    def __init__(self, url: str) -> None:
        self.url = url

    @contextlib.contextmanager
    def client(self) -> Iterator[Any]:
        with (
            temporary_settings({PREFECT_API_URL: self.url}),
            get_client(sync_client=True) as client,
        ):
            yield client

    def deployment(self, name: str) -> Any:
        with self.client() as client:
            found = [it for it in client.read_deployments() if it.name == name]
            return found[0] if found else None

    def ask(self, name: str, **parameters: Any) -> FlowRun:
        """Ask for a run, with the values of a form."""
        with self.client() as client:
            return client.create_flow_run_from_deployment(
                self.deployment(name).id, parameters=parameters
            )

    def runs(self, name: str, *kinds: StateType) -> list[FlowRun]:
        """The runs of a deployment that have begun, or those in the given states."""
        deployment = self.deployment(name)
        if deployment is None:
            return []
        chosen = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(kinds or BEGUN))),
        )
        with self.client() as client:
            return client.read_flow_runs(flow_run_filter=chosen)

    def run(self, run_id: UUID) -> FlowRun:
        with self.client() as client:
            return client.read_flow_run(run_id)

    def ended(self, run_id: UUID) -> FlowRun | None:
        run = self.run(run_id)
        return run if run.state is not None and run.state.is_final() else None

    def set_state(self, run_id: UUID, state: Any) -> None:
        with self.client() as client:
            client.set_flow_run_state(run_id, state)


class Shop:
    """A served data root: its folders, and the runs of its Prefect server."""

    def __init__(self, settings: Settings, api: Api, sheets: list[Any]) -> None:
        self.settings, self.api = settings, api
        self._sheets = sheets
        self._dropped = 0

    @property
    def folders(self) -> Folders:
        return self.settings.folders

    def drop(self, count: int = 1) -> list[str]:
        """Put sheets of new bytes into the inbox, as a scanner does: written aside, then named."""
        names = []
        for _ in range(count):
            data, _ = self._sheets[self._dropped % len(self._sheets)]
            self._dropped += 1
            name = f"sheet-{self._dropped:03d}.png"
            # Bytes behind a PNG's end change its digest and nothing else.
            aside = self.settings.root / name
            aside.write_bytes(data + str(self._dropped).encode())
            aside.rename(self.folders.inbox / name)
            names.append(name)
        return names

    def drop_for_a_new_run(self, count: int) -> list[str]:
        """Put sheets into the inbox once no earlier run is at work that could take them."""
        at_work = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
        wait_for(lambda: not self.api.runs("ingest-sheets", *at_work), "the earlier runs' end")
        return self.drop(count)

    def archived(self, names: list[str]) -> bool:
        return all((self.folders.archive / name).exists() for name in names)


def prefect(api_url: str, *arguments: str) -> None:
    """Run a `prefect` command against a server, to its end."""
    subprocess.run(
        [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
        env={**os.environ, "PREFECT_API_URL": api_url},
        check=True,
        capture_output=True,
        timeout=180,
    )


def engine_of(run_id: UUID) -> int | None:
    """The process that works on a run, found by the run's id in its environment."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            marked = f"PREFECT__FLOW_RUN_ID={run_id}".encode()
            if b"prefect.engine" in words and marked in (entry / "environ").read_bytes():
                return int(entry.name)
    return None
