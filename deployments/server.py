"""The Prefect server for local runs: the one that is configured, else one of our own.

Prefect's temporary server is no choice: it is killed with what it has not yet recorded. Ours is a
real one, a companion that processes share; its database stays under the state folder.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sheetflow.companions import Companion, Membership, PortTaken, last_lines
from sheetflow.errors import ConfigurationError, SheetflowError, TransientError

logger = logging.getLogger(__name__)

# Source: docs/decisions/0005-local-prefect-server.md, which has the measurements.
SERVER_SETTINGS = {
    # One row at a time costs 40 ms a task run.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    # Leases kept in memory are lost with the server, and every limited run crashes.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": (
        "prefect.server.concurrency.lease_storage.filesystem"
    ),
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
_ASKS_PREFECT = {"PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}
_CLIENT_DRAIN_TIMEOUT_S = 20.0
# The recorder writes at least once a second, so that a quiet second means that it has caught up;
# what it holds by then it writes as it shuts down.
_QUIET_S = 1.2
_RECORDED_TIMEOUT_S = 30.0
# A proxy set for the machine must not be asked for loopback addresses.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LocalApi:
    """The API that local runs will use, perhaps still starting.

    Args:
        membership: The right to use our own server; None when one is configured.
    """

    def __init__(self, membership: Membership | None) -> None:
        self._membership = membership

    @contextmanager
    def in_use(self) -> Iterator[str]:
        """Wait until the API is ready and make this process's Prefect use it, in all threads.

        Yields:
            The API's address.

        Raises:
            SheetflowError: The server does not start; the message has its last words.
        """
        url = configured_api()
        if url is None and self._membership:
            with _applied(self._membership.address()) as own_url:
                yield own_url
            return
        if url is None:
            raise ConfigurationError(
                "no Prefect API is configured any more", cure="Leave PREFECT_API_URL as it was"
            )
        yield url


@contextmanager
def prefect_api(state_dir: Path) -> Iterator[str]:
    """Use the configured Prefect API, or start or join our own server.

    Args:
        state_dir: Folder for our server's database, log and locks, on a local disk.

    Yields:
        The API's address, such as `http://127.0.0.1:4200/api`.

    Raises:
        SheetflowError: Our server does not start; the message has its last words.
    """
    with prefect_api_starting(state_dir) as api, api.in_use() as url:
        yield url


@contextmanager
def prefect_api_starting(state_dir: Path) -> Iterator[LocalApi]:
    """Do as `prefect_api` does in two steps, so that other things can start meanwhile.

    Returns in some hundredths of a second, and does not import Prefect unless there is a sign
    that an API is configured. The last one out stops our server.

    Args:
        state_dir: Folder for our server's database, log and locks, on a local disk.

    Yields:
        The API; `with api.in_use() as url:` waits for it.
    """
    if _may_be_configured() and configured_api() is not None:
        yield LocalApi(None)
        return
    with prefect_server(state_dir).joining() as membership:
        yield LocalApi(membership)


def prefect_server(state_dir: Path) -> Companion:
    """Return our own Prefect server, to `peek` at or to `stop`.

    Args:
        state_dir: Folder for its database, log and locks, on a local disk.
    """
    return Companion(state_dir, PrefectServer())


def configured_api() -> str | None:
    """Return the API that the environment, a profile or another Prefect setting names."""
    from prefect.settings import get_current_settings

    return get_current_settings().api.url


def ui_url(api_url: str) -> str:
    """Return the address of the user interface that belongs to an API of one's own server."""
    return api_url.rstrip("/").removesuffix("/api")


class PrefectServer:
    """How to run `prefect server start` as a companion."""

    name = "The Prefect server"
    # The first start makes the database: 10 s on two idle cores, several times that on busy ones.
    start_timeout_s = 120.0
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
        start = ["-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
        return [sys.executable, *start]

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

    def ready(self, folder: Path, address: str) -> bool:  # noqa: ARG002 - of the protocol
        """Tell whether the API answers."""
        try:
            return _get(f"{address}/health") is True
        except (OSError, ValueError):
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


@contextmanager
def _applied(url: str) -> Iterator[str]:
    import prefect.context
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    # Nothing watches the heartbeats of local runs, and they make every flow end 1 s later.
    updates = {PREFECT_API_URL: url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with (
        _without_proxy(),
        temporary_settings(updates),
        _in_every_thread(prefect.context),
    ):
        try:
            yield url
        finally:
            _drain_client()


@contextmanager
def _in_every_thread(context: Any) -> Iterator[None]:
    """Make the settings of this context those of threads that have no context of their own.

    A plain thread does not inherit context variables, and there Prefect falls back on the settings
    that it read at its import, and starts a temporary server.
    """
    before = context.GLOBAL_SETTINGS_CONTEXT
    context.GLOBAL_SETTINGS_CONTEXT = context.SettingsContext.get()
    try:
        yield
    finally:
        context.GLOBAL_SETTINGS_CONTEXT = before


@contextmanager
def _without_proxy() -> Iterator[None]:
    """Keep a proxy that is set for the machine out of what goes to loopback."""
    names = ("no_proxy", "NO_PROXY")
    before = {name: os.environ.get(name) for name in names}
    for name, value in before.items():
        os.environ[name] = f"{value},127.0.0.1" if value else "127.0.0.1"
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _drain_client() -> None:
    """Send what this process still holds: events about task runs, and log lines."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    def drain() -> None:
        # At the exit of the process they would drain themselves, after the server's stop.
        for worker in (EventsWorker, APILogWorker):
            worker.drain_all(timeout=_CLIENT_DRAIN_TIMEOUT_S, at_exit=False)

    # It warns that it is still at work; whoever waits for the command to end need not know.
    noisy = logging.getLogger(EventsWorker.__name__)
    level = noisy.level
    noisy.setLevel(logging.ERROR)
    # In a thread without an event loop, where draining waits; elsewhere it would return a promise.
    thread = threading.Thread(target=drain, name="sheetflow-drain")
    thread.start()
    thread.join()
    noisy.setLevel(level)


def _may_be_configured() -> bool:
    """Look for signs of a configured API, without the second that importing Prefect takes."""
    if "prefect" in sys.modules or not _ASKS_PREFECT.isdisjoint(os.environ):
        return True
    # Source: prefect 3.8 reads its settings from these files, besides the environment.
    profiles = Path("~/.prefect/profiles.toml").expanduser()
    files = [profiles, Path("prefect.toml"), Path("pyproject.toml"), Path(".env")]
    return any(_mentions_prefect_settings(file) for file in files)


def _mentions_prefect_settings(file: Path) -> bool:
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return False
    signs = ("[api", "api.", "PREFECT_API_URL", "tool.prefect")
    return any(sign in text for sign in signs)


def _recorded(address: str) -> tuple[int, int]:
    finished = {"task_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}}}
    count = f"{address}/task_runs/count"
    return int(_post(count, {})), int(_post(count, finished))


def _get(url: str) -> Any:
    with _opener.open(url, timeout=5) as answer:
        return json.load(answer)


def _post(url: str, body: Mapping[str, Any]) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310 - http, ours
    with _opener.open(request, timeout=5) as answer:
        return json.load(answer)
