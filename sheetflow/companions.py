"""Companions: servers in the background that several sheetflow processes on one machine share.

The first process that needs a companion starts it, later ones join it, the last one out stops it.
Three file locks (`flock`) in the companion's folder decide everything, because the kernel drops
them whatever kills a process; process ids are never guessed from:

- `start.lock`, held while someone starts, joins, leaves or stops: one at a time.
- `alive.lock`, held by the companion itself, which inherits it: held means it lives.
- `users.lock`, held shared by everyone who uses it: who gets it for himself is the last.

`state.json` holds the process id and the address. It is written by the companion's own process
after it took `alive.lock` and removed before the next start, so that, while `alive.lock` is held,
it speaks of the process that holds it.

A killed user leaves the companion running; the next one joins it and, as last one out, stops it.
The folder must be on a local filesystem: network ones do not hand locks down to a child.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol

from sheetflow.errors import ConfigurationError, FolderUnavailable, SheetflowError, TransientError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

_LAUNCHER = Path(__file__).with_name("companion_launcher.py")
_POLL_S = 0.02
# Covers another process's start or stop, which hold the lock for seconds at most.
_START_LOCK_TIMEOUT_S = 120.0
_LAUNCH_TIMEOUT_S = 10.0
_LAUNCH_ATTEMPTS = 3
# Kept so that a stopped companion of ours is reaped, and its exit code known.
_children: dict[int, subprocess.Popen[bytes]] = {}


class PortTaken(TransientError):
    """Somebody else took the port between the choice of it and its use: another will do."""


class Service(Protocol):
    """What a companion runs.

    Attributes:
        name: What people call it, as in "MongoDB".
        first_port: The port to try when there is no last one; None for any free one.
        start_timeout_s: How long it may take until it is ready.
        stop_timeout_s: How long a clean stop may take.
        may_be_killed: Whether it may be killed when it does not stop in that time.
    """

    name: str
    first_port: int | None
    start_timeout_s: float
    stop_timeout_s: float
    may_be_killed: bool

    def address(self, port: int) -> str:
        """Return the address that its users need."""

    def port(self, address: str) -> int:
        """Return the port of an address that `address` made."""

    def command(self, folder: Path, port: int) -> Sequence[str]:
        """Prepare the folder, and return the command that serves on 127.0.0.1 at this port."""

    def environment(self, folder: Path) -> Mapping[str, str]:
        """Return its whole environment."""

    def ready(self, folder: Path, address: str) -> bool:
        """Tell whether it can be used, doing what its set-up still lacks; safe to repeat."""

    def explain(self, log: Path, exit_code: int | None) -> SheetflowError:
        """Return the error to raise: it ended, or was not ready in time (no exit code)."""

    def before_stop(self, address: str) -> None:
        """Wait, bounded, until nothing would be lost by a stop."""


@dataclass(frozen=True)
class CompanionState:
    """Who the companion is.

    Attributes:
        pid: Its process id; of meaning only while its `alive.lock` is held.
        address: Where it listens.
        started_at: When it was started, ISO 8601, UTC.
        ready: Whether someone has seen it ready.
    """

    pid: int
    address: str
    started_at: str
    ready: bool


class Membership:
    """The right to use a companion, until it is left."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion

    def address(self) -> str:
        """Wait until the companion is ready and return its address.

        Raises:
            SheetflowError: It does not start; the message has the last line of its log.
        """
        return self._companion.wait_until_ready()


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
        self.folder = folder.absolute()
        self.service = service
        self.log = self.folder / "server.log"
        self._state_file = self.folder / "state.json"
        self._last_state_file = self.folder / "last.json"

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
                # A forked child shares the parent's lock: to unlock here would unlock it there.
                os.close(users)

    def peek(self) -> str | None:
        """Return the address if the companion runs and has been seen ready; start nothing."""
        state = self._living_state() if self.folder.is_dir() else None
        return state.address if state and state.ready else None

    def stop(self, *, force: bool = False) -> bool:
        """Stop the companion, if it runs and nobody uses it.

        Args:
            force: Stop it also when it is in use.

        Returns:
            Whether it is stopped now.
        """
        if not self.folder.is_dir():
            return True
        with self._locked("start.lock"), self._opened("users.lock") as users:
            if force or _lock(users, exclusive=True):
                self._stop()
            return not self._is_alive()

    def wait_until_ready(self) -> str:
        """Return the address once the companion is ready, starting it again if it is gone.

        Raises:
            SheetflowError: It does not start; the message has the last line of its log.
        """
        for attempt in range(1, _LAUNCH_ATTEMPTS + 1):
            with self._locked("start.lock"):
                state = self._running()
            try:
                self._wait_for(state)
            except PortTaken as error:
                if attempt == _LAUNCH_ATTEMPTS:
                    raise
                logger.info("%s: %s", self.service.name, error.cause)
            else:
                return state.address
        raise AssertionError

    def _enter(self) -> int:
        self._prepare_folder()
        with self._locked("start.lock"):
            users = self._open("users.lock")
            try:
                # Nobody holds it alone without start.lock, so this is never refused.
                _lock(users, exclusive=False)
                self._running()
            except BaseException:
                os.close(users)
                raise
        return users

    def _leave(self, users: int) -> None:
        try:
            # Under start.lock, or two that leave at once would each take the other for a user.
            with self._locked("start.lock"):
                if _lock(users, exclusive=True):
                    self._stop()
                fcntl.flock(users, fcntl.LOCK_UN)
        finally:
            os.close(users)

    def _running(self) -> CompanionState:
        """Return the state of the companion, launched if it does not live; needs start.lock."""
        state = self._living_state()
        if state is None:
            state = self._launch()
        return state

    def _launch(self) -> CompanionState:
        with suppress(FileNotFoundError):
            self._state_file.replace(self._last_state_file)
        port = self._choose_port()
        command = self.service.command(self.folder, port)
        address = self.service.address(port)
        with suppress(FileNotFoundError):
            self.log.replace(self.log.with_suffix(".log.1"))
        launcher = [sys.executable, "-I", "-S", str(_LAUNCHER)]
        files = [str(self.folder / "alive.lock"), str(self._state_file)]
        with self._opened(self.log.name) as log:
            process = subprocess.Popen(
                [*launcher, *files, address, *command],
                env=dict(self.service.environment(self.folder)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C in the terminal is for us, not for a server that others use too.
                start_new_session=True,
            )
        _children[process.pid] = process
        logger.info("%s: started at %s, process %d", self.service.name, address, process.pid)
        return self._launched_state(process)

    def _launched_state(self, process: subprocess.Popen[bytes]) -> CompanionState:
        deadline = time.monotonic() + _LAUNCH_TIMEOUT_S
        while time.monotonic() < deadline:
            state = self._read_state(self._state_file)
            if state:
                return state
            if process.poll() is not None:
                break
            time.sleep(_POLL_S / 4)
        raise self.service.explain(self.log, process.poll())

    def _wait_for(self, state: CompanionState) -> None:
        if state.ready:
            return
        deadline = time.monotonic() + self.service.start_timeout_s
        while time.monotonic() < deadline:
            if not self._is_alive():
                raise self._died(state)
            # Asked again: a stranger's server may have answered for one that just ended.
            if self.service.ready(self.folder, state.address) and self._is_alive():
                self._note_ready(state)
                return
            time.sleep(_POLL_S)
        raise self.service.explain(self.log, None)

    def _died(self, state: CompanionState) -> SheetflowError:
        child = _children.get(state.pid)
        if child is None:
            return self.service.explain(self.log, 1)
        with suppress(subprocess.TimeoutExpired):
            child.wait(_LAUNCH_TIMEOUT_S / 10)
        if child.poll() is None:
            return ConfigurationError(
                f"{self.service.name} runs, but its lock in {self.folder} does not hold",
                cure="Keep this folder on a local disk, not on a network filesystem",
            )
        return self.service.explain(self.log, child.returncode)

    def _note_ready(self, state: CompanionState) -> None:
        with self._locked("start.lock"):
            if self._living_state() == state:
                unfinished = self._state_file.with_suffix(".ready")
                unfinished.write_text(json.dumps(asdict(replace(state, ready=True))))
                unfinished.replace(self._state_file)

    def _stop(self) -> None:
        """Stop the companion if it lives; needs start.lock."""
        state = self._living_state()
        if state is None:
            return
        self.service.before_stop(state.address)
        # It holds alive.lock at this moment, so the process id in its state is still its own.
        with suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGTERM)
        if not self._ended_within(self.service.stop_timeout_s) and self.service.may_be_killed:
            logger.warning("%s: did not stop in time, killed", self.service.name)
            with suppress(ProcessLookupError):
                os.kill(state.pid, signal.SIGKILL)
            self._ended_within(_LAUNCH_TIMEOUT_S)
        self._reap(state.pid)

    def _ended_within(self, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while self._is_alive():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _reap(self, pid: int) -> None:
        if self._is_alive():
            logger.warning("%s: still stopping, process %d", self.service.name, pid)
            return
        child = _children.get(pid)
        if child:
            child.wait()
            del _children[pid]
        logger.info("%s: stopped", self.service.name)

    def _choose_port(self) -> int:
        """Prefer the last port, so that an address someone noted keeps working."""
        last = self._read_state(self._last_state_file)
        preferred = self.service.port(last.address) if last else self.service.first_port
        if preferred and _is_free(preferred):
            return preferred
        return _free_port()

    def _living_state(self) -> CompanionState | None:
        """Return the state of the companion, or None if it does not live."""
        deadline = time.monotonic() + _LAUNCH_TIMEOUT_S
        while self._is_alive():
            state = self._read_state(self._state_file)
            if state:
                return state
            # Its starter was killed at once, and it has yet to write its state.
            if time.monotonic() > deadline:
                raise TransientError(
                    f"{self.service.name} in {self.folder} runs, but does not say where",
                    cure=f"End the process that holds {self.folder / 'alive.lock'} and try again",
                )
            time.sleep(_POLL_S)
        return None

    def _is_alive(self) -> bool:
        try:
            descriptor = os.open(self.folder / "alive.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two who look at once do not take each other for the companion.
            return not _lock(descriptor, exclusive=False)
        finally:
            os.close(descriptor)

    def _read_state(self, file: Path) -> CompanionState | None:
        try:
            return CompanionState(**json.loads(file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _prepare_folder(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
        except OSError as error:
            raise _unavailable(self.folder, error) from error

    def _open(self, name: str) -> int:
        file = self.folder / name
        try:
            return os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unavailable(self.folder, error) from error

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        descriptor = self._open(name)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        """Hold a lock alone; a descriptor of its own makes it hold between threads as well."""
        deadline = time.monotonic() + _START_LOCK_TIMEOUT_S
        with self._opened(name) as descriptor:
            while not _lock(descriptor, exclusive=True):
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"another process has been starting or stopping {self.service.name}"
                        f" in {self.folder} for {_START_LOCK_TIMEOUT_S:.0f} s",
                        cure=f"See {self.log}, end what hangs, and try again",
                    )
                time.sleep(_POLL_S / 4)
            try:
                yield
            finally:
                # Unlocked, not only closed: a child forked meanwhile would keep it locked.
                fcntl.flock(descriptor, fcntl.LOCK_UN)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty, oldest first."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def _lock(descriptor: int, *, exclusive: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


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


def _unavailable(folder: Path, error: OSError) -> FolderUnavailable:
    return FolderUnavailable(
        f"the folder {folder} cannot be used ({error.strerror})",
        cure="Make room on its disk, and let the user who runs sheetflow write to it",
    )
