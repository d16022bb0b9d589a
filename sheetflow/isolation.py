"""Work that may crash or hang, in processes of its own: one sheet loses its attempt, not the run.

The C libraries that decode images and codes can abort the whole process on some inputs, and no
timeout of Python's ends a call into C. So they run in workers that can be ended from outside.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import ModuleType
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

from sheetflow.errors import WorkerFailed

# A server process that has the libraries loaded and no threads forks the workers; forking this
# process, with its threads and their locks, would be unsafe.
if sys.platform == "linux":
    from multiprocessing.context import ForkServerContext as _Context
    from multiprocessing.context import ForkServerProcess as _Process
else:
    from multiprocessing.context import SpawnContext as _Context
    from multiprocessing.context import SpawnProcess as _Process

P = ParamSpec("P")
T = TypeVar("T")

_TASKS_A_WORKER = 500
"""A worker is replaced after so many sheets, whatever its libraries may have leaked by then."""

# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_KEPT_BYTES = 32 * 1024 * 1024  # it takes no more
_KEPT_BYTES = 256 * 1024 * 1024


class IsolatedWorkers:
    """A few processes that do one thing at a time each; started when first needed.

    Args:
        count: How many.
        timeout_s: How long one call may take before its worker is ended.
        memory_bytes: How much memory a worker may have, all that it maps counted.
        preload: A module that workers are born with, so that a new one is ready at once.
    """

    def __init__(
        self, count: int, *, timeout_s: float, preload: str, memory_bytes: int | None = None
    ) -> None:
        self._timeout_s = timeout_s
        context = _OfItsOwn()
        with contextlib.suppress(AttributeError):
            context.set_forkserver_preload([preload])
        self._pool = ProcessPool(
            max_workers=count,
            max_tasks=_TASKS_A_WORKER,
            context=context,
            initializer=_prepare,
            initargs=(memory_bytes,),
        )

    def run(self, function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> T:
        """Call a function in a worker, wait for it and return its value.

        Function, arguments and value travel between processes, so they must be picklable, and
        should be small.

        Raises:
            WorkerFailed: The worker crashed, or took longer or more memory than it may; one that
                crashed or was late is replaced.
            Exception: Whatever the function raised.
        """
        future = self._pool.schedule(
            function, args=arguments, kwargs=options, timeout=self._timeout_s
        )
        try:
            value: T = future.result()
        except FutureTimeoutError as error:
            raise WorkerFailed(
                f"reading it took longer than {self._timeout_s:g} s and was ended",
                cure="The sheet is kept and the next run tries again; if it comes back, scan the "
                "sheet anew or raise SHEETFLOW_SHEET_TIMEOUT_S",
            ) from error
        except MemoryError as error:
            raise WorkerFailed(
                "reading it took more memory than it may",
                cure="The sheet is kept and the next run tries again; if it comes back, scan the "
                "sheet at a lower resolution or raise SHEETFLOW_READER_MEMORY_BYTES",
            ) from error
        except ProcessExpired as error:
            raise WorkerFailed(
                f"the decoder crashed on it (exit code {error.exitcode})",
                cure="The sheet is kept and the next run tries again; if it comes back, save the "
                "sheet in another format, or scan it anew, and report the file",
            ) from error
        return value

    def close(self) -> None:
        """End the workers, at once."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves this one untyped
        self._pool.join()

    def __enter__(self) -> IsolatedWorkers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker(_Process):
    """A worker that does not begin by importing what its parent was started as.

    That is for functions that are defined there, and ours are not; but where Prefect's engine
    starts a flow it is all of Prefect, once for each worker.
    """

    def start(self) -> None:
        """Start the process."""
        with _unknown_main():
            super().start()


class _OfItsOwn(_Context):
    """How workers are started."""

    Process = _Worker


_hiding = threading.Lock()


@contextlib.contextmanager
def _unknown_main() -> Iterator[None]:
    with _hiding:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def _prepare(memory_bytes: int | None) -> None:
    keep_memory()
    if memory_bytes is not None:
        with contextlib.suppress(ValueError, OSError):  # less was allowed already
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def keep_memory() -> None:
    """Have this process keep memory that it has freed, up to 256 MB, for what it does next.

    Images come and go by the dozen for each sheet, and the C library would give the pages of each
    back to the system, which then has to clear them anew: a tenth of the CPU of a sheet.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
