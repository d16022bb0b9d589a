"""Several workers on one queue, or several cores: do two do twice as much, and what of one killed?

    python benchmarks/workers.py [--sheets 60] [--killed 12]

A worker of a work pool runs the flow in a process; here the same process is started directly, held
by `taskset`. One on one core, one on two cores, two on a core each as if each were a machine, and
two of which one is killed in the midst; a last run then finishes what is left. Prefect's server and
MongoDB are held to the same cores as the workers, so that one core does all the work and then two
do: else one worker would have the help of a second core, and two of none. Beside the ratio by wall
time stands the one by CPU, which is what remains of the first where nobody waits for work.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring.processes import family, settled_cpu_s, snapshot
from benchmarks.measuring.report import show
from benchmarks.measuring.sheets import PAIRS_A4, a4_pages
from benchmarks.measuring.world import Root, World, copy_into, world
from benchmarks.scale import one_run

_REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sheets", type=int, default=60, help="for one worker, and for two")
    parser.add_argument("--killed", type=int, default=12, help="where one of two is killed")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        parser.error("it takes two cores and taskset")
    with world() as here:
        files = a4_pages(here.folder / "drawn", count=options.sheets)
        first, second = cores[:2]
        _together(here, files[:2], [[first]])  # the servers' first work is not counted
        one = _together(here, files, [[first]])
        wide = _together(here, files, [[first, second]])
        two = _together(here, files, [[first], [second]])
        killed = _one_killed(here, files[: options.killed], cores[:2]) if options.killed else None
    ratios = {
        "two_cores": _times_as_fast(wide, one),
        "two_workers": _times_as_fast(two, one),
        "killed": killed,
    }
    show("Workers held to cores", [one, wide, two], ratios)
    return 0


def _together(here: World, files: Sequence[Path], held: Sequence[Sequence[int]]) -> dict[str, Any]:
    """Run a worker on each of some lists of cores, the servers on all of them."""
    cores = [core for own in held for core in own]
    root = here.root()
    copy_into(root.inbox, files)
    servers = {"server": here.server_pid, "mongod": here.mongod_pid}
    before = {}
    for name, pid in servers.items():
        _hold(pid, cores)
        before[name] = settled_cpu_s(pid)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda own: one_run(root, before=_held(own)), held))
    used = {f"{name}_s": settled_cpu_s(pid) - before[name] for name, pid in servers.items()}
    assert root.records() == len(files) * PAIRS_A4
    archived = [run["archived"] for run in runs]
    assert sum(archived) == len(files), archived
    root.remove()
    busy = [run["last_s"] - run["first_s"] for run in runs]
    wall_s = max(run["last_s"] for run in runs) - min(run["first_s"] for run in runs)
    return {
        "workers": len(held),
        "cores": len(cores),
        "wall_s": wall_s,
        "sheets": " + ".join(map(str, archived)),
        "workers_s": sum(run["with_readers_s"] for run in runs),
        **used,
        # Over before the others, and so without work while there may have been some.
        "idle_s": max(busy) - min(busy),
    }


def _times_as_fast(row: dict[str, Any], one: dict[str, Any]) -> dict[str, float]:
    return {
        "by_wall": round(one["wall_s"] / row["wall_s"], 3),
        "by_cpu": round(row["cores"] * _cpu_s(one) / _cpu_s(row), 3),
    }


def _cpu_s(row: dict[str, Any]) -> float:
    return float(sum(row[f"{part}_s"] for part in ("workers", "server", "mongod")))


def _one_killed(here: World, files: Sequence[Path], cores: Sequence[int]) -> dict[str, Any]:
    root = here.root()
    copy_into(root.inbox, files)
    victim = subprocess.Popen(
        [*_held(cores[:1]), sys.executable, "-m", "benchmarks.measuring.one_run"],
        cwd=_REPOSITORY,
        env={**os.environ, **root.environment()},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ThreadPoolExecutor() as pool:
        other = pool.submit(one_run, root, before=_held(cores[1:]))
        while len(list((root.path / "images_old").glob("*"))) < len(files) // 4:
            time.sleep(0.2)
        os.killpg(victim.pid, signal.SIGKILL)
        victim.wait()
        second = other.result()
    left = _left(root)
    third = one_run(root)["archived"] if left else 0
    assert not _left(root)
    assert root.records() == len(files) * PAIRS_A4
    root.remove()
    return {"by_the_other": second["archived"], "left": left, "by_the_next": third, "lost": 0}


def _left(root: Root) -> int:
    places = (root.inbox, root.path / "images_sources")
    return sum(1 for place in places for _ in place.iterdir())


def _hold(pid: int, cores: Sequence[int]) -> None:
    """Hold a server with all its processes and threads to some cores."""
    for member in family(snapshot(), pid):
        for thread in Path(f"/proc/{member}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores)


def _held(cores: Sequence[int]) -> list[str]:
    return ["taskset", "--cpu-list", ",".join(map(str, cores))]


if __name__ == "__main__":
    sys.exit(main())
