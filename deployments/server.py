"""The Prefect server for local runs: the one that is configured, else one of our own.

Prefect's temporary server is no choice: it is killed with what it has not yet recorded. Ours is a
real one, a companion that processes share; its database stays under the state folder.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deployments.local_server import PrefectServer
from sheetflow.errors import ConfigurationError
from sheetflow.servers.companions import Companion, Membership

_ASKS_PREFECT = {"PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"}
_CLIENT_DRAIN_TIMEOUT_S = 20.0


class LocalApi:
    """The API that local runs will use, perhaps still starting.

    Args:
        membership: The right to use our own server; None when one is configured.
        heartbeats: Whether flow runs on our own server send heartbeats.
    """

    def __init__(self, membership: Membership | None, *, heartbeats: bool = False) -> None:
        self._membership = membership
        self._heartbeats = heartbeats

    def revive(self) -> None:
        """Start our own server again if it has ended, and wait until it is ready.

        Raises:
            SheetflowError: It does not start; the message has its last words.
        """
        if self._membership is not None:
            self._membership.address()

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
            with _applied(self._membership.address(), heartbeats=self._heartbeats) as own_url:
                yield own_url
            return
        if url is None:
            raise ConfigurationError(
                "no Prefect API is configured any more", cure="Leave PREFECT_API_URL as it was"
            )
        yield url


@contextmanager
def prefect_api(state_dir: Path, *, heartbeats: bool = False) -> Iterator[str]:
    """Use the configured Prefect API, or start or join our own server.

    Args:
        state_dir: Folder for our server's database, log and locks, on a local disk.
        heartbeats: Whether flow runs on our own server send heartbeats, for an automation that
            watches them; they make every flow end 1 s later.

    Yields:
        The API's address, such as `http://127.0.0.1:4200/api`.

    Raises:
        SheetflowError: Our server does not start; the message has its last words.
    """
    starting = prefect_api_starting(state_dir, heartbeats=heartbeats)
    with starting as api, api.in_use() as url:
        yield url


@contextmanager
def prefect_api_starting(state_dir: Path, *, heartbeats: bool = False) -> Iterator[LocalApi]:
    """Do as `prefect_api` does in two steps, so that other things can start meanwhile.

    Returns in some hundredths of a second, and does not import Prefect unless there is a sign
    that an API is configured. The last one out stops our server.

    Args:
        state_dir: Folder for our server's database, log and locks, on a local disk.
        heartbeats: Whether flow runs on our own server send heartbeats, for an automation that
            watches them; they make every flow end 1 s later.

    Yields:
        The API; `with api.in_use() as url:` waits for it.
    """
    if _may_be_configured() and configured_api() is not None:
        yield LocalApi(None)
        return
    with prefect_server(state_dir).joining() as membership:
        yield LocalApi(membership, heartbeats=heartbeats)


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


@contextmanager
def _applied(url: str, *, heartbeats: bool) -> Iterator[str]:
    import prefect.context
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    updates: dict[Any, Any] = {PREFECT_API_URL: url}
    if not heartbeats:
        # Nothing watches those of local runs, and they make every flow end 1 s later.
        updates[PREFECT_FLOWS_HEARTBEAT_FREQUENCY] = None
    with _without_proxy(), temporary_settings(updates), _in_every_thread(prefect.context):
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
    if "prefect" in sys.modules or not _ASKS_PREFECT.isdisjoint(map(str.upper, os.environ)):
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
    signs = ("[api", "api.", "prefect_api_url", "tool.prefect")
    return any(sign in text.lower() for sign in signs)
