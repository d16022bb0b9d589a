"""What a server tells about itself, so that it can run as a companion; its port and its log."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sheetflow.errors import SheetflowError, TransientError

_PORTS_TO_TRY = 100


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


def last_lines(log: Path, count: int) -> list[str]:
    """Return the last lines of a log that are not empty, oldest first."""
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return []
    return [line for line in text.splitlines() if line.strip()][-count:]


def free_port(preferred: Sequence[int]) -> int:
    """Return the first of the preferred ports that is free, one that follows them, or any.

    Args:
        preferred: Ports to try, best first; at least one.
    """
    following = range(preferred[-1] + 1, preferred[-1] + _PORTS_TO_TRY)
    for port in itertools.chain(preferred, following):
        if _is_free(port):
            return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        any_port: int = probe.getsockname()[1]
    return any_port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of the last run, still closing, do not block the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
