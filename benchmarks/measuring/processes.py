"""CPU and memory of processes with all their descendants, from /proc (Linux)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A process as /proc shows it; its CPU includes that of children that have ended."""

    parent: int
    cpu_s: float
    resident_bytes: int


def snapshot() -> dict[int, Process]:
    """Return every process of the machine."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended
            cpu_s = sum(map(int, fields[11:15])) / _TICKS
            found[int(folder.name)] = Process(int(fields[1]), cpu_s, int(fields[21]) * _PAGE_BYTES)
    return found


def family(processes: dict[int, Process], root: int) -> list[int]:
    """Return a process and all its descendants."""
    members = [root]
    for member in members:
        members += [pid for pid, process in processes.items() if process.parent == member]
    return members


def cpu_s(root: int) -> float:
    """Return the CPU seconds, user and system, of a process and its descendants."""
    processes = snapshot()
    return sum(processes[pid].cpu_s for pid in family(processes, root) if pid in processes)


def resident_bytes(root: int, *, alone: bool = False) -> int:
    """Return the resident memory of a process, of its descendants too unless `alone`."""
    processes = snapshot()
    members = [root] if alone else family(processes, root)
    return sum(processes[pid].resident_bytes for pid in members if pid in processes)


def settled_cpu_s(root: int, *, timeout_s: float = 180.0) -> float:
    """Wait until a server has done what it was given, and return its CPU seconds."""
    deadline = time.monotonic() + timeout_s
    last, quiet = cpu_s(root), 0
    while quiet < 6 and time.monotonic() < deadline:
        time.sleep(0.5)
        now = cpu_s(root)
        quiet = quiet + 1 if now - last < 0.05 else 0
        last = now
    return last


def slowness() -> float:
    """Return how much slower than at its best this machine computes just now, 1 or more.

    Beside other work a CPU second does less: caches and the two threads of a core are shared. The
    same short loop, some hundred times, tells how much less: its mean over its minimum.
    """
    times = []
    for _ in range(200):
        began, total = time.thread_time(), 0
        for number in range(4_000):
            total += number * number % 7
        times.append(time.thread_time() - began)
    return sum(times) / len(times) / min(times)
