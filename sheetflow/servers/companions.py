"""Companions: servers in the background that several sheetflow processes on one machine share.

The first process that needs a companion starts it, later ones join it, the last one out stops it.
A killed user leaves the companion running; the next one joins it and, as last one out, stops it.
How they find each other, and why nothing is guessed, is in `companion_folder`; what a server has to
tell about itself is in `companion_service`.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sheetflow.errors import ConfigurationError, FolderUnavailable, SheetflowError
from sheetflow.servers.companion_folder import POLL_S, CompanionFolder, CompanionState, lock, unlock
from sheetflow.servers.companion_service import PortTaken, Service, free_port

logger = logging.getLogger(__name__)

_LAUNCHER = Path(__file__).with_name("companion_launcher.py")
_LAUNCH_TIMEOUT_S = 10.0
_LAUNCH_ATTEMPTS = 5
_KILL_TIMEOUT_S = 10.0
# Kept so that a companion that ended is reaped, and its exit code known.
_children: dict[int, subprocess.Popen[bytes]] = {}


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
        with suppress(ConfigurationError):
            state = self._folder.living_state()
            return state.address if state and state.ready else None
        return None

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
        last = self._folder.last_address()
        # The last port first, so that an address someone noted keeps working.
        preferred = [self.service.port(last)] if last else []
        port = free_port([*preferred, self.service.first_port(self._folder.path)])
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
        for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
            del _children[pid]
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
