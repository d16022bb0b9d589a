"""The doors that a victim passes on its way to disk and database, numbered as it passes them.

Installed in the victim's process only, by wrapping the library calls beneath the product: link,
rename, unlink, mkdir, fsync, files opened for writing and what is written to them, claims, and
every command sent to MongoDB. At the chosen door the victim comes to the harm that was ordered.
"""

from __future__ import annotations

import fcntl
import io
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pymongo import monitoring

WHENS = ("before", "during", "after")
"""Of a kill: before the call, in its midst (half written, or sent and not answered), after it."""

_PATIENCE_S = 120.0
_real_write = os.write


@dataclass(frozen=True)
class Harm:
    """What is to happen, and where.

    Attributes:
        door: The number of the door, from 1; 0 for none.
        when: One of `WHENS`; `pause`, which waits there for the harness; `errno:N`, which makes
            the operating system's call fail.
        pause: Folder in which the victim writes `paused` and waits for `go`.
        repeat: Whether every later door of the same kind fails too.
        only: Count only doors whose label begins so; empty for all.
    """

    door: int = 0
    when: str = "before"
    pause: str = ""
    repeat: bool = False
    only: str = ""


class Doors:
    """Counts the doors and does the harm.

    Args:
        roots: Folders whose files count.
        harm: What is to happen.
        log: Descriptor to which each door is written, a line each.
    """

    def __init__(self, roots: tuple[str, ...], harm: Harm, log: int) -> None:
        self._roots = roots
        self._harm = harm
        self._log = log
        self._count = 0
        self._lock = threading.Lock()

    def enter(self, label: str) -> bool:
        """Pass a door; return whether this is the chosen one and its harm is yet to be done."""
        harm = self._harm
        with self._lock:
            if harm.only and not label.startswith(harm.only):
                return False
            self._count += 1
            number = self._count
            _real_write(self._log, f"{number} {label}\n".encode("utf-8", "backslashreplace"))
        hit = number == harm.door or (harm.repeat and 0 < harm.door <= number)
        if hit and harm.when == "before":
            die()
        if hit and harm.when == "pause":
            self._wait()
        return hit

    def fail(self, hit: bool, path: Any) -> None:
        """Fail as the operating system would, where that was ordered."""
        if hit and self._harm.when.startswith("errno:"):
            number = int(self._harm.when.removeprefix("errno:"))
            raise OSError(number, os.strerror(number), os.fspath(path) if path else None)

    def leave(self, hit: bool) -> None:
        """Die behind the door, where that was ordered; what has no midst dies here as well."""
        if hit and self._harm.when in ("during", "after"):
            die()

    def dies_during(self, hit: bool) -> bool:
        """Tell whether the victim shall die in the midst of the call."""
        return hit and self._harm.when == "during"

    def place(self, path: Any, folder: int | None = None) -> str | None:
        """Return a path below the roots in short, None if it is none of theirs."""
        if isinstance(path, int):
            text = _path_of(path)
        else:
            text = os.fsdecode(path)
            if folder is not None:
                text = f"{_path_of(folder)}/{text}"
        for root in self._roots:
            if text.startswith(root):
                return text[len(root) :].lstrip("/") or "."
        return None

    def _wait(self) -> None:
        Path(self._harm.pause, "paused").touch()
        deadline = time.monotonic() + _PATIENCE_S
        while not Path(self._harm.pause, "go").exists() and time.monotonic() < deadline:
            time.sleep(0.005)


def _path_of(descriptor: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())
    except FileNotFoundError:
        return ""


def die() -> None:
    """End this process as a power cut would, from the process's point of view."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way; nothing more may happen in this thread


def install(doors: Doors) -> None:
    """Put the doors in place, in this process."""
    for name in ("link", "rename", "replace"):
        _wrap_two_paths(doors, name)
    for name in ("unlink", "remove", "rmdir", "mkdir"):
        _wrap_one_path(doors, name)
    _wrap_fsync(doors)
    _wrap_os_open(doors)
    _wrap_flock(doors)
    _wrap_open(doors)
    monitoring.register(_Commands(doors))


def _wrap_two_paths(doors: Doors, name: str) -> None:
    real = getattr(os, name)

    def wrapped(source: Any, target: Any, **options: Any) -> Any:
        place = doors.place(target)
        if place is None:
            return real(source, target, **options)
        hit = doors.enter(f"{name} {place}")
        doors.fail(hit, source)
        result = real(source, target, **options)
        doors.leave(hit)
        return result

    setattr(os, name, wrapped)


def _wrap_one_path(doors: Doors, name: str) -> None:
    real = getattr(os, name)

    def wrapped(path: Any, *arguments: Any, **options: Any) -> Any:
        place = doors.place(path, options.get("dir_fd"))
        if place is None:
            return real(path, *arguments, **options)
        hit = doors.enter(f"{name} {place}")
        doors.fail(hit, path)
        result = real(path, *arguments, **options)
        doors.leave(hit)
        return result

    setattr(os, name, wrapped)
    # shutil.rmtree and others ask whether a function is among these by identity.
    for known in (os.supports_dir_fd, os.supports_follow_symlinks):
        if real in known:
            known.add(wrapped)


def _wrap_fsync(doors: Doors) -> None:
    real = os.fsync

    def fsync(descriptor: int) -> None:
        place = doors.place(descriptor)
        if place is None:
            real(descriptor)
            return
        hit = doors.enter(f"fsync {place}")
        doors.fail(hit, place)
        real(descriptor)
        doors.leave(hit)

    os.fsync = fsync


def _wrap_os_open(doors: Doors) -> None:
    real = os.open

    def opened(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        place = doors.place(path, options.get("dir_fd")) if flags & os.O_CREAT else None
        if place is None:
            return real(path, flags, *arguments, **options)
        hit = doors.enter(f"create {place}")
        doors.fail(hit, path)
        descriptor = real(path, flags, *arguments, **options)
        doors.leave(hit)
        return descriptor

    os.open = opened


def _wrap_flock(doors: Doors) -> None:
    real = fcntl.flock

    def flock(descriptor: Any, operation: int) -> None:
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        place = doors.place(number)
        hit = doors.enter(f"flock {place}") if place is not None else False
        real(descriptor, operation)
        doors.leave(hit)

    fcntl.flock = flock


def _wrap_open(doors: Doors) -> None:
    real: Callable[..., Any] = io.open

    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        place = doors.place(file) if set(mode) & set("wxa+") else None
        if place is None:
            return real(file, mode, *arguments, **options)
        hit = doors.enter(f"open {place}")
        doors.fail(hit, file)
        inner = real(file, mode, *arguments, **options)
        doors.leave(hit)
        return _DoorFile(inner, doors, place)

    # pathlib calls io.open; the built-in name is the same function, kept in another place.
    io.open = opened
    import builtins

    builtins.open = opened


class _DoorFile:
    """A file opened for writing, each write of which is a door."""

    def __init__(self, inner: Any, doors: Doors, place: str) -> None:
        self._inner = inner
        self._doors = doors
        self._place = place

    def write(self, data: Any) -> Any:
        hit = self._doors.enter(f"write {self._place} ({len(data)})")
        if self._doors.dies_during(hit):
            self._inner.write(data[: len(data) // 2])
            self._inner.flush()
            die()
        self._doors.fail(hit, self._place)
        written = self._inner.write(data)
        if hit:
            self._inner.flush()
        self._doors.leave(hit)
        return written

    def __enter__(self) -> _DoorFile:
        self._inner.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        return self._inner.__exit__(*error)

    def __iter__(self) -> Any:
        return iter(self._inner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Commands(monitoring.CommandListener):
    """The doors to MongoDB: a command about to be sent, on its way, or answered."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._hits: set[int] = set()

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command.get(event.command_name)
        named = target if isinstance(target, str) else ""
        hit = self._doors.enter(f"mongo {event.command_name} {named}".rstrip())
        if self._doors.dies_during(hit):
            # Some of a millisecond later: sent, perhaps received, perhaps done, not answered.
            delay_s = (event.request_id % 40) / 10_000
            threading.Timer(delay_s, die).start()
        elif hit:
            self._hits.add(event.request_id)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        if event.request_id in self._hits:
            self._doors.leave(True)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        if event.request_id in self._hits:
            self._doors.leave(True)
