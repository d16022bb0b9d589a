"""Become a companion: take its lock, write down who it is, then turn into the server.

Run as a script of its own, by path, with `python -I -S`: it imports nothing but the standard
library, and is gone 10 ms later, when the server takes its process over. See `companion_folder`.

It is the new process itself that takes the lock, not the one that starts it: a lock held by the
starter, even for a moment, would be inherited by whatever another thread forks at that moment, and
the companion would then look alive until that stranger ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

if sys.platform != "win32":
    import fcntl

ALREADY_ALIVE = 75
# Whoever looks whether the companion lives holds its lock for some microseconds.
_LOCK_TIMEOUT_S = 5.0


def main(lock: str, state: str, address: str, command: list[str]) -> NoReturn:
    """Take the lock, write the state file, and become the server.

    Args:
        lock: File whose lock says that the companion lives; inherited by the server.
        state: File to write the process id, the address and the start time to.
        address: Where the server will listen.
        command: The server and its arguments.
    """
    os.umask(0o077)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _taken(descriptor):
        sys.exit(ALREADY_ALIVE)
    _write_state(Path(state), address)
    os.set_inheritable(descriptor, True)
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the server is what this is for
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def place() -> str:
    """Name the machine, since its start, and the container, as far as the system tells.

    In another place this process id is somebody else's, and 127.0.0.1 is another machine.
    """
    parts = []
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115 - it names no file
        parts.append(os.readlink("/proc/self/ns/net"))  # noqa: PTH115
    return " ".join(parts)


def _taken(descriptor: int) -> bool:
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        else:
            return True
    return False


def _write_state(state: Path, address: str) -> None:
    """Write the state file whole, before the server starts: a starter may die at any moment."""
    started_at = datetime.now(UTC).isoformat()
    value = {
        "pid": os.getpid(),
        "address": address,
        "started_at": started_at,
        "place": place(),
        "ready": False,
    }
    unfinished = state.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps(value))
    unfinished.replace(state)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:])
