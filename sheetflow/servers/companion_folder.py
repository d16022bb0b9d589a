"""The folder in which a companion and its users meet: locks, the state file, the log.

Three file locks (`flock`) decide everything, because the kernel drops them whatever kills a
process; who lives is never guessed from process ids:

- `start.lock`, held while someone starts, joins, leaves or stops: one at a time.
- `alive.lock`, held by the companion itself, which inherits it: held means it lives.
- `users.lock`, held shared by everyone who uses it: who gets it for himself is the last.

`state.json` is written by the companion's own process after it took `alive.lock`, and moved away
before the next start: while `alive.lock` is held, it speaks of the process that holds it.

The folder must be on a local filesystem: network ones do not hand a lock down to a child.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from sheetflow.errors import ConfigurationError, FolderUnavailable, TransientError
from sheetflow.servers.companion_launcher import place

if sys.platform != "win32":
    import fcntl

POLL_S = 0.02
# Covers another process's start or stop, which hold the lock for some seconds at most.
_START_LOCK_TIMEOUT_S = 120.0
_STATE_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class CompanionState:
    """Who the companion is.

    Attributes:
        pid: Its process id; of meaning only while its `alive.lock` is held.
        address: Where it listens.
        started_at: When it was started, ISO 8601, UTC.
        place: The machine and container in which pid and address have their meaning.
        ready: Whether someone has seen it ready.
    """

    pid: int
    address: str
    started_at: str
    place: str
    ready: bool


class CompanionFolder:
    """Locks, state and log of one companion.

    Args:
        path: The folder; `prepare` makes it.
    """

    def __init__(self, path: Path) -> None:
        # One name for one folder, whichever links its users came by.
        self.path = path.resolve()
        self.alive_lock = self.path / "alive.lock"
        self.state_file = self.path / "state.json"
        self.log = self.path / "server.log"
        self._last_state_file = self.path / "last.json"

    def prepare(self) -> None:
        """Make the folder, for its owner alone.

        Raises:
            FolderUnavailable: It cannot be made or is somebody else's.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except OSError as error:
            raise self._unavailable(error) from error

    @contextmanager
    def start_locked(self) -> Iterator[None]:
        """Hold `start.lock`; a descriptor of its own makes it hold between threads as well.

        Raises:
            TransientError: Another process has held it for too long.
        """
        deadline = time.monotonic() + _START_LOCK_TIMEOUT_S
        with self.opened("start.lock") as descriptor:
            while not lock(descriptor, exclusive=True):
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"another process has been starting or stopping the server in {self.path}"
                        f" for {_START_LOCK_TIMEOUT_S:.0f} s",
                        cure=f"See {self.log}, end what hangs, and try again",
                    )
                time.sleep(POLL_S / 4)
            try:
                yield
            finally:
                unlock(descriptor)

    def open_users_lock(self) -> int:
        """Return a descriptor of `users.lock`, not locked yet; the caller closes it."""
        return self._open("users.lock")

    @contextmanager
    def opened(self, name: str) -> Iterator[int]:
        """Open a file of the folder for appending, made for its owner alone when it is new."""
        descriptor = self._open(name)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def is_alive(self) -> bool:
        """Tell whether the companion lives."""
        try:
            descriptor = os.open(self.alive_lock, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise self._unavailable(error) from error
        try:
            # Shared, so that two who look at once do not take each other for the companion.
            free = lock(descriptor, exclusive=False)
            if free:
                unlock(descriptor)
            return not free
        finally:
            os.close(descriptor)

    def living_state(self) -> CompanionState | None:
        """Return the state of the companion, or None if it does not live.

        Raises:
            TransientError: It lives and does not say where.
            ConfigurationError: It lives in another container, or on another machine.
        """
        deadline = time.monotonic() + _STATE_TIMEOUT_S
        while self.is_alive():
            state = _read(self.state_file)
            if state:
                return self._within_reach(state)
            # Its starter was killed at once, and the companion has yet to write its state.
            if time.monotonic() > deadline:
                raise TransientError(
                    f"the server in {self.path} runs, but does not say where",
                    cure=f"End the process that holds {self.alive_lock} and try again",
                )
            time.sleep(POLL_S)
        return None

    def note_ready(self, state: CompanionState) -> None:
        """Write down that the companion was seen ready, unless another one has come since."""
        with self.start_locked():
            if self.living_state() == state:
                unfinished = self.state_file.with_suffix(".ready")
                unfinished.write_text(json.dumps(asdict(replace(state, ready=True))))
                unfinished.replace(self.state_file)

    def clear(self) -> None:
        """Put state and log of the last companion aside, one of each; needs `start.lock`."""
        with suppress(FileNotFoundError):
            self.state_file.replace(self._last_state_file)
        with suppress(FileNotFoundError):
            self.log.replace(self.log.with_suffix(".log.1"))

    def last_address(self) -> str | None:
        """Return where the last companion listened."""
        last = _read(self._last_state_file)
        return last.address if last else None

    def written_state(self) -> CompanionState | None:
        """Return what `state.json` says, whether or not it is of a living companion."""
        return _read(self.state_file)

    def _within_reach(self, state: CompanionState) -> CompanionState:
        if state.place != place():
            raise ConfigurationError(
                f"the server in {self.path} runs in another container or on another machine",
                cure="Run one server that all can reach, and set MONGODB_URI or PREFECT_API_URL",
            )
        return state

    def _open(self, name: str) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            return os.open(self.path / name, flags, 0o600)
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> FolderUnavailable:
        return FolderUnavailable(
            f"the folder {self.path} cannot be used ({error.strerror})",
            cure="Make room on its disk, and let the user who runs sheetflow write to it",
        )


def lock(descriptor: int, *, exclusive: bool) -> bool:
    """Take a lock, or change the one that is held, without waiting; return whether it worked.

    Raises:
        ConfigurationError: The filesystem has no locks.
    """
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise ConfigurationError(
            f"the state folder's filesystem has no file locks ({error.strerror})",
            cure="Keep the state folder on a local disk",
        ) from error
    return True


def unlock(descriptor: int) -> None:
    """Drop a lock for all who share it.

    Closing the descriptor alone would leave it locked by a child forked meanwhile.
    """
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _read(file: Path) -> CompanionState | None:
    try:
        return CompanionState(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
