"""What a stretch of work took, in this process and in servers beside it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks.measuring.processes import cpu_s, family, settled_cpu_s, slowness, snapshot

_IDLE_S = 12.0  # the server's services look around every 5 s, or less often


@dataclass
class Meter:
    """What a stretch of work took: wall time, and CPU by who used it, in seconds."""

    wall_s: float = 0.0
    cpu_s: dict[str, float] = field(default_factory=dict)
    slowness: float = 1.0

    @property
    def total_cpu_s(self) -> float:
        """The CPU of all of them."""
        return sum(self.cpu_s.values())


@contextlib.contextmanager
def metered(**pids: int) -> Iterator[Meter]:
    """Measure this process, its workers and the given servers; those until they have settled.

    What a server takes while it has nothing to do is measured first, and taken off.
    """
    meter, slow_before, own = Meter(), slowness(), os.getpid()
    idle = idle_rates(pids)
    before = {name: cpu_s(pid) for name, pid in pids.items()} | {"client": cpu_s(own)}
    began = time.perf_counter()
    yield meter
    meter.wall_s = time.perf_counter() - began
    client = cpu_s(own) - before["client"]
    # Servers that were started here are descendants of this process.
    children = sum(cpu_s(pid) - before[name] for name, pid in pids.items() if _is_ours(pid))
    for name, pid in pids.items():
        used = settled_cpu_s(pid) - before[name]
        meter.cpu_s[name] = max(used - idle[name] * (time.perf_counter() - began), 0.0)
    meter.cpu_s["client"] = client - children
    meter.slowness = (slow_before + slowness()) / 2


def idle_rates(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds a second of servers that have nothing to do."""
    before = {name: settled_cpu_s(pid) for name, pid in pids.items()}
    began = time.perf_counter()
    time.sleep(_IDLE_S)
    elapsed = time.perf_counter() - began
    return {name: (cpu_s(pid) - before[name]) / elapsed for name, pid in pids.items()}


def _is_ours(pid: int) -> bool:
    return pid in family(snapshot(), os.getpid())
