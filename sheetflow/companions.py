"""Companions: servers in the background that several sheetflow processes on one machine share.

The first process that needs a companion starts it, later ones join it, the last one out stops it.
A killed user leaves the companion running; the next one joins it and, as last one out, stops it.
How they find each other, and why nothing is guessed, is in `companion_folder`.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from sheetflow.companion_folder import POLL_S, CompanionFolder, CompanionState, lock, unlock
from sheetflow.errors import ConfigurationError, FolderUnavailable, SheetflowError, TransientError

logger = logging.getLogger(__name__)

_LAUNCHER = Path(__file__).with_name("companion_launcher.py")
_LAUNCH_TIMEOUT_S = 10.0
_LAUNCH_ATTEMPTS = 5
_PORTS_TO_TRY = 100
_KILL_TIMEOUT_S = 10.0
# Kept so that a companion that ended is reaped, and its exit code known.
_children: dict[int, subprocess.Popen[bytes]] = {}


class PortTaken(TransientError):
    """Somebody else took the port between the choice of it and its use: another will do."""


class Service(Protocol):
    """What a companion runs.

    Attributes:
        name: What people call it, as in "MongoDB".
        start_timeout_s: How long it may take until it is ready.
        stop_timeout_s: How long a clean stop may take.
        may_be_killed: Whether it may be killed when it does not stop in that time.
    """

    name: str
    start_timeout_s: float
    stop_timeout_s: float
    may_be_killed: bool

    def first_port(self, folder: Path) -> int:
        """Return the port to try first when none was used before; the next ones follow."""

    def address(self, port: int) -> str:
        """Return the address that its users need."""

    def port(self, address: str) -> int:
        """Return the port of an address that `address` made."""

    def command(self, folder: Path, port: int) -> Sequence[str]:
        """Prepare the folder, and return the command that serves on 127.0.0.1 at this port."""

    def environment(self, folder: Path, port: int) -> Mapping[str, str]:
        """Return its whole environment."""

    def ready(self, folder: Path, address: str) -> bool:
        """Tell whether it can be used, doing what its set-up still lacks; safe to repeat."""

    def explain(self, log: Path, exit_code: int | None) -> SheetflowError:
        """Return the error to raise: it ended, or was not ready in time (no exit code)."""

    def before_stop(self, address: str) -> None:
        """Wait, bounded, until nothing would be lost by a stop."""


class Companion:
    """A server in the background, shared by every process that uses the same folder.

    Args:
        folder: Where its locks, state, log and data are; made, with mode 0700, when needed.
        service: What to run.

    Raises:
        ConfigurationError: This platform has no `flock`.
    """

    def __init__(self, folder: Path, service: Service) -> None:
        if sys.platform == "win32":
            raise ConfigurationError(
                f"{service.name} cannot be started by sheetflow on this platform",
                cure="Run it yourself and set its address (MONGODB_URI, PREFECT_API_URL)",
            )
        self.service = service
        self._folder = CompanionFolder(folder)

    @property
    def log(self) -> Path:
        """The server's log since its last start; the one before has the suffix `.log.1`."""
        return self._folder.log

    @contextmanager
    def joined(self) -> Iterator[str]:
        """Start or join the companion, wait until it is ready, and leave it at the end.

        May be nested and used by several threads at once; every use counts for itself.

        Yields:
            The companion's address.

        Raises:
            SheetflowError: It does not start; the message has the last line of its log.
        """
        with self.joining() as membership:
            yield membership.address()

    @contextmanager
    def joining(self) -> Iterator[Membership]:
        """Do as `joined` does, but without waiting: the companion starts while you go on.

        Yields:
            A membership, whose `address` waits until the companion is ready.
        """
        users = self._enter()
        owner = os.getpid()
        try:
            yield Membership(self)
        finally:
            if os.getpid() == owner:
                self._leave(users)
            else:
                # A forked child shares its parent's lock: to unlock here would unlock it there.
                os.close(users)

    def peek(self) -> str | None:
        """Return the address if the companion runs and has been seen ready; start nothing."""
        state = self._folder.living_state()
        return state.address if state and state.ready else None

    def stop(self, *, force: bool = False) -> bool:
        """Stop the companion, if it runs and nobody uses it.

        Args:
            force: Stop it also when it is in use.

        Returns:
            Whether it is stopped now.
        """
        if not self._folder.is_alive():
            return True
        with self._folder.start_locked(), self._folder.opened("users.lock") as users:
            if lock(users, exclusive=True) or force:
                self._stop()
            return not self._folder.is_alive()

    def wait_until_ready(self) -> str:
        """Return the address once the companion is ready, starting it again if it is gone.

        Raises:
            SheetflowError: It does not start; the message has the last line of its log.
        """
        for _ in range(_LAUNCH_ATTEMPTS - 1):
            try:
                return self._ready_address()
            except PortTaken as error:
                logger.info("%s: %s", self.service.name, error.cause)
        return self._ready_address()

    def _ready_address(self) -> str:
        with self._folder.start_locked():
            state = self._running()
        if not state.ready:
            self._wait_for(state)
        return state.address

    def _enter(self) -> int:
        self._folder.prepare()
        with self._folder.start_locked():
            users = self._folder.open_users_lock()
            try:
                # Nobody holds it alone without start.lock, so this is never refused.
                lock(users, exclusive=False)
                self._running()
            except BaseException:
                os.close(users)
                raise
        return users

    def _leave(self, users: int) -> None:
        try:
            # Under start.lock, or two that leave at once would each take the other for a user.
            with self._folder.start_locked():
                if lock(users, exclusive=True):
                    self._stop()
                unlock(users)
        finally:
            os.close(users)

    def _running(self) -> CompanionState:
        """Return the state of the companion, launched if it does not live; needs start.lock."""
        return self._folder.living_state() or self._launch()

    def _launch(self) -> CompanionState:
        self._folder.clear()
        port = self._choose_port()
        address = self.service.address(port)
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
        files = [str(self._folder.alive_lock), str(self._folder.state_file)]
        try:
            command = self.service.command(self._folder.path, port)
            with self._folder.opened(self.log.name) as log:
                process = subprocess.Popen(
                    [*launcher, *files, address, *command],
                    cwd=self._folder.path,
                    env=dict(self.service.environment(self._folder.path, port)),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in the terminal is for us, not for a server that others use too.
                    start_new_session=True,
                )
        except OSError as error:
            raise FolderUnavailable(
                f"{self.service.name} cannot be started in {self._folder.path} ({error.strerror})",
                cure="Make room on its disk, and let the user who runs sheetflow write to it",
            ) from error
        _children[process.pid] = process
        logger.info("%s: starting at %s, process %d", self.service.name, address, process.pid)
        return self._launched_state(process)

    def _launched_state(self, process: subprocess.Popen[bytes]) -> CompanionState:
        deadline = time.monotonic() + _LAUNCH_TIMEOUT_S
        while time.monotonic() < deadline:
            state = self._folder.written_state()
            if state:
                return state
            if process.poll() is not None:
                break
            time.sleep(POLL_S / 4)
        raise self.service.explain(self.log, process.poll())

    def _choose_port(self) -> int:
        """Prefer the last port, so that an address someone noted keeps working."""
        last = self._folder.last_address()
        if last and _is_free(self.service.port(last)):
            return self.service.port(last)
        first = self.service.first_port(self._folder.path)
        ports = (port for port in range(first, first + _PORTS_TO_TRY) if _is_free(port))
        return next(ports, None) or _free_port()

    def _wait_for(self, state: CompanionState) -> None:
        deadline = time.monotonic() + self.service.start_timeout_s
        while time.monotonic() < deadline:
            if not self._folder.is_alive():
                raise self._died(state)
            # Asked again: a stranger's server may have answered for one that just ended.
            if self.service.ready(self._folder.path, state.address) and self._folder.is_alive():
                self._folder.note_ready(state)
                return
            time.sleep(POLL_S)
        raise self.service.explain(self.log, None)

    def _died(self, state: CompanionState) -> SheetflowError:
        child = _children.get(state.pid)
        if child is None:
            # Another process started it, and only that one is told the exit code.
            return self.service.explain(self.log, 1)
        with suppress(subprocess.TimeoutExpired):
            return self.service.explain(self.log, child.wait(timeout=1))
        return ConfigurationError(
            f"{self.service.name} runs, but its lock in {self._folder.path} does not hold",
            cure="Keep this folder on a local disk, not on a network filesystem",
        )

    def _stop(self) -> None:
        """Stop the companion if it lives; needs start.lock."""
        state = self._folder.living_state()
        if state is None:
            return
        if state.ready:
            self.service.before_stop(state.address)
        # It holds alive.lock at this moment, so the process id in its state is still its own.
        self._signal(state.pid, signal.SIGTERM)
        stopped = self._ends_within(self.service.stop_timeout_s)
        if not stopped and self.service.may_be_killed:
            logger.warning("%s: did not stop in time, killed", self.service.name)
            self._signal(state.pid, signal.SIGKILL)
            stopped = self._ends_within(_KILL_TIMEOUT_S)
        if not stopped:
            logger.warning("%s: still stopping, process %d", self.service.name, state.pid)
            return
        child = _children.pop(state.pid, None)
        code = child.wait() if child else "unknown to this process"
        logger.info("%s: stopped, exit code %s", self.service.name, code)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    def _ends_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self._folder.is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True


class Membership:
    """The right to use a companion, until it is left.

    Args:
        companion: The companion that was joined.
    """

    def __init__(self, companion: Companion) -> None:
        self._companion = companion

    def address(self) -> str:
        """Wait until the companion is ready and return its address.

        Raises:
            SheetflowError: It does not start; the message has the last line of its log.
        """
        return self._companion.wait_until_ready()


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty, oldest first."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of the last run, still closing, do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
