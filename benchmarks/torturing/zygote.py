"""The launcher of victims: imports sheetflow and Prefect once, then forks a process for each run.

A `sheetflow ingest` from a bare interpreter spends two seconds on imports before it does anything
worth killing. Forked from here it begins at once, in a process of its own, with the command line's
own `main`. Nothing that a fork could break is alive yet: no connection, no event loop, no thread
of Prefect's or pymongo's.

Spoken to over its standard input and output: a JSON object a line each way.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import hashlib
import importlib
import json
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

_MODULES = (
    "cli.main",
    "flows.ingest",
    "deployments.server",
    "cli.progress",
    "cli.commands.audit",
    "cli.commands.force_archive",
    "cli.commands.retry",
    "cli.commands.review",
    "cli.commands.ingest",
    "sheetflow.audit.run",
    "sheetflow.custody.forcing",
    "sheetflow.custody.retrying",
    "sheetflow.custody.reviewing",
    "sheetflow.doctor",
    "prefect.main",
)


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for module in _MODULES:
        importlib.import_module(module)
    # Else each child's collector walks over everything that was imported, and copies its pages.
    gc.collect()
    gc.freeze()
    with _prefect_settings():
        answers.write(json.dumps({"ready": True, "threads": threading.active_count()}) + "\n")
        answers.flush()
        for line in sys.stdin:
            answers.write(json.dumps(_serve(json.loads(line))) + "\n")
            answers.flush()


def _prefect_settings() -> Any:
    import prefect.context
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        temporary_settings,
    )

    from deployments.server import _in_every_thread

    stack = contextlib.ExitStack()
    updates: dict[Any, Any] = {
        PREFECT_API_URL: os.environ["PREFECT_API_URL"],
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,  # they make each run end a second late
    }
    stack.enter_context(temporary_settings(updates))
    stack.enter_context(_in_every_thread(prefect.context))
    return stack


def _serve(order: dict[str, Any]) -> dict[str, Any]:
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _be_the_victim(order)
    deadline = started + float(order["timeout_s"])
    hung = False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline and not hung:
            hung = True
            os.kill(child, signal.SIGABRT if order.get("dump") else signal.SIGKILL)
        time.sleep(0.008)
    seconds = time.monotonic() - started
    return {"status": os.waitstatus_to_exitcode(status), "seconds": seconds, "hung": hung}


def _be_the_victim(order: dict[str, Any]) -> NoReturn:
    code = 99
    try:
        scratch = Path(order["scratch"])
        for number, name in ((1, "out"), (2, "err")):
            target = os.open(scratch / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(target, number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ.update(order["environment"])
        os.chdir(scratch)
        sys.argv = order["argv"]
        _install_doors(order, scratch)
        code = _run_main()
    except BaseException:  # noqa: BLE001 - whatever it is, the fork must not go on as the launcher
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _install_doors(order: dict[str, Any], scratch: Path) -> None:
    from benchmarks.torturing.doors import Doors, Harm, die, install

    log = os.open(scratch / "doors", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    doors = Doors(tuple(order["roots"]), Harm(**order["harm"]), log)
    install(doors)
    if order.get("kill_after_s"):
        timer = threading.Timer(order["kill_after_s"], die)
        timer.daemon = True
        timer.start()
    if not order.get("real_workers"):
        import flows.ingest

        # A worker process gives its results back and writes nothing; to start one for each run
        # would triple the time.
        _Inline.known = scratch / "readings"
        flows.ingest.IsolatedWorkers = _Inline  # type: ignore[misc, assignment]
    _make_reading_a_door(doors)
    if order.get("machine"):
        _be_another_machine(order["machine"])
    if order.get("no_links"):
        _be_without_links()
    if order.get("inline_bytes"):
        import sheetflow.records

        # Pictures go to GridFS from this size on, so that small sheets take that way too.
        sheetflow.records.MAX_INLINE_BYTES = order["inline_bytes"]


def _make_reading_a_door(doors: Any) -> None:
    import flows.ingest

    workers: Any = flows.ingest.IsolatedWorkers
    real = workers.run

    def run(self: Any, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        hit = doors.enter(f"read {arguments[0].name}")
        if doors.dies_during(hit):
            threading.Timer(0.05, _die).start()
        value = real(self, function, *arguments, **options)
        doors.leave(hit)
        return value

    workers.run = run


def _die() -> None:
    from benchmarks.torturing.doors import die

    die()


def _be_without_links() -> None:
    """Have a file system that knows no hard links, as FAT and some network mounts do."""

    def link(source: Any, *_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), os.fspath(source))

    os.link = link


def _be_another_machine(name: str) -> None:
    """Look to the leases like another machine, on a mount that passes no locks on."""
    import sheetflow.custody.lease_files as files

    def no_locks(_descriptor: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    files.boot_id = lambda: name  # type: ignore[assignment]
    files.flock = no_locks


class _Inline:
    """Does at once, in this process, what a worker would do, and each sheet but once.

    What is read on a sheet depends on its bytes and on what a review decided, and reading takes
    half of a run's time. The bytes are hashed anew, by us, each time.
    """

    known = Path()

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def run(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        sheet = arguments[0]
        if hashlib.sha256(sheet.path.read_bytes()).hexdigest() != sheet.sha256:
            return function(*arguments, **options)  # which says what is wrong
        asked = hashlib.sha256(repr((arguments[1:], options)).encode()).hexdigest()
        kept = self.known / f"{sheet.sha256}.{asked[:16]}"
        if kept.exists():
            return pickle.loads(kept.read_bytes())  # noqa: S301 - written below
        value = function(*arguments, **options)
        self.known.mkdir(exist_ok=True)
        part = kept.with_name(f"{kept.name}.{os.getpid()}")
        part.write_bytes(pickle.dumps(value))
        part.rename(kept)
        return value

    def __enter__(self) -> _Inline:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def _run_main() -> int:
    from cli.main import main as sheetflow

    try:
        sheetflow()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


if __name__ == "__main__":
    main()
