"""Our own Prefect server: how `prefect server start` runs as a companion."""

from __future__ import annotations

import base64
import json
import logging
import os
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sheetflow.errors import ConfigurationError, SheetflowError, TransientError
from sheetflow.servers.companion_service import PortTaken, last_lines

logger = logging.getLogger(__name__)

# Source: docs/decisions/0005-local-prefect-server.md and 0011-event-broker.md, which have the
# measurements.
SERVER_SETTINGS = {
    # Prefect's own drops events while many wait, and stores the states of task runs twice.
    "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "deployments.event_broker",
    # One row at a time costs 40 ms a task run.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # A run that has news waits until its message was sent, which it learns from stored events.
    "PREFECT_SERVER_SERVICES_EVENT_PERSISTER_FLUSH_INTERVAL": "1",
    # Leases kept in memory are lost with the server, and every limited run crashes.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
    # Ended runs are forgotten after 90 days: a task run takes 20 KB.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
    "PREFECT_CLI_COLORS": "false",
}
# They would point the server at another home, profile or API, or tell it what it need not know.
_NOT_FOR_THE_SERVER = {
    "PREFECT_API_URL",
    "PREFECT_API_KEY",
    "PREFECT_PROFILE",
    "PREFECT_PROFILES_PATH",
    "MONGODB_URI",
}
# The recorder writes at least once a second, so that a quiet second means that it has caught up;
# what it holds by then it writes as it shuts down.
_QUIET_S = 1.2
_RECORDED_TIMEOUT_S = 30.0
# A proxy set for the machine must not be asked for loopback addresses.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class PrefectServer:
    """How to run `prefect server start` as a companion."""

    name = "The Prefect server"
    # The first start makes the database: 10 s on two idle cores, minutes on ones that are busy.
    start_timeout_s = 300.0
    stop_timeout_s = 20.0
    may_be_killed = True

    def first_port(self, folder: Path) -> int:  # noqa: ARG002 - of the protocol
        """Return the port that people expect Prefect at."""
        return 4200

    def address(self, port: int) -> str:
        """Return the API's address."""
        return f"http://127.0.0.1:{port}/api"

    def port(self, address: str) -> int:
        """Return the port of such an address."""
        return urlsplit(address).port or 0

    def command(self, folder: Path, port: int) -> Sequence[str]:
        """Return the command line; Prefect makes its home itself."""
        (folder / "home").mkdir(mode=0o700, exist_ok=True)
        start = ["server", "start", "--host", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-m", "deployments.server_process", *start]

    def environment(self, folder: Path, port: int) -> Mapping[str, str]:
        """Return our environment with the server's settings; what a person set stays."""
        kept = {name: v for name, v in os.environ.items() if name not in _NOT_FOR_THE_SERVER}
        # The port is given here as well, because the UI learns the API's address from settings.
        own = {
            "PREFECT_HOME": str(folder / "home"),
            "PREFECT_SERVER_API_HOST": "127.0.0.1",
            "PREFECT_SERVER_API_PORT": str(port),
        }
        return {**SERVER_SETTINGS, **kept, **own}

    def ready(self, folder: Path, address: str) -> bool:
        """Tell whether the API answers, and is ours.

        Two servers that start at once can choose the same port: the one that comes second ends,
        but until it has, the other's answers must not be taken for its own.
        """
        try:
            home = _get(f"{address}/admin/settings")["home"]
            return Path(home) == folder / "home" and _get(f"{address}/health") is True
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def explain(self, log: Path, exit_code: int | None) -> SheetflowError:
        """Turn the log of a server that does not serve into an error with a cure."""
        lines = last_lines(log, 50)
        reason = lines[-1].strip() if lines else "its log is empty"
        if any("already in use" in line for line in lines):
            return PortTaken("the Prefect server's port was taken just now", cure="Try again")
        if exit_code is None:
            return TransientError(
                f"the Prefect server was not ready in {self.start_timeout_s:.0f} s ({reason})",
                cure=f"Try again; if it stays so, see {log}, or set PREFECT_API_URL",
            )
        return ConfigurationError(
            f"the Prefect server ended with exit code {exit_code} ({reason})",
            cure=f"See {log}; or set PREFECT_API_URL to a Prefect server of your own",
        )

    def before_stop(self, address: str) -> None:
        """Wait, bounded, until the server has recorded what it was told about runs."""
        deadline = time.monotonic() + _RECORDED_TIMEOUT_S
        seen, since = None, time.monotonic()
        while time.monotonic() < min(deadline, since + _QUIET_S) or seen is None:
            try:
                now = _recorded(address)
            except (OSError, ValueError) as error:
                logger.debug("The Prefect server does not count its runs: %s", error)
                return
            if now != seen:
                seen, since = now, time.monotonic()
            time.sleep(0.1)


def _recorded(address: str) -> tuple[int, int]:
    finished = {"task_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    count = f"{address}/task_runs/count"
    return int(_post(count, {})), int(_post(count, finished))


def _get(url: str) -> Any:
    with _opener.open(_request(url), timeout=5) as answer:
        return json.load(answer)


def _post(url: str, body: Mapping[str, Any]) -> Any:
    with _opener.open(_request(url, json.dumps(body).encode()), timeout=5) as answer:
        return json.load(answer)


def _request(url: str, data: bytes | None = None) -> urllib.request.Request:
    headers = {"content-type": "application/json"}
    # Our own server asks for a password if the person who runs it set one.
    password = os.environ.get("PREFECT_SERVER_API_AUTH_STRING")
    if password:
        headers["authorization"] = f"Basic {base64.b64encode(password.encode()).decode()}"
    return urllib.request.Request(url, data, headers)  # noqa: S310 - always our own http address
