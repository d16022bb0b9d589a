"""Several workers on one queue: do two do twice as much, and what if one is killed?

    python benchmarks/workers.py [--sheets 16]

A worker of a work pool runs the flow in a process; here the same process is started directly, held
to one core by `taskset` as if that core were a machine. One on one core, two on a core each, and
two of which one is killed in the midst; a last run then finishes what is left. On a machine with
two cores the servers share them with the workers, which is why the CPU of each part is told too.
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

from benchmarks.measuring.report import show
from benchmarks.measuring.sheets import PAIRS_A4, a4_pages
from benchmarks.measuring.world import Root, World, copy_into, world
from benchmarks.scale import one_run

_REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sheets", type=int, default=16)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2 or not shutil.which("taskset"):
        parser.error("it takes two cores and taskset")
    with world() as here:
        files = a4_pages(here.folder / "drawn", count=options.sheets)
        one = _together(here, files, cores[:1])
        two = _together(here, files, cores[:2])
        killed = _one_killed(here, files, cores[:2])
    ratios = {
        "by_wall": round(one["wall_s"] / two["wall_s"], 3),
        "killed": killed,
    }
    show("Workers held to a core each", [one, two], ratios)
    return 0


def _together(here: World, files: Sequence[Path], cores: Sequence[int]) -> dict[str, Any]:
    root = here.root()
    copy_into(root.inbox, files)
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda core: one_run(root, before=_held(core)), cores))
    assert root.records() == len(files) * PAIRS_A4
    archived = [run["archived"] for run in runs]
    assert sum(archived) == len(files), archived
    root.remove()
    busy = [run["last_s"] - run["first_s"] for run in runs]
    wall_s = max(run["last_s"] for run in runs) - min(run["first_s"] for run in runs)
    return {
        "workers": len(cores),
        "wall_s": wall_s,
        "sheets": " + ".join(map(str, archived)),
        "cpu_s": sum(run["cpu_s"] for run in runs),
        # Over before the others, and so without work while there may have been some.
        "idle_s": max(busy) - min(busy),
    }


def _one_killed(here: World, files: Sequence[Path], cores: Sequence[int]) -> dict[str, Any]:
    root = here.root()
    copy_into(root.inbox, files)
    victim = subprocess.Popen(
        [*_held(cores[0]), sys.executable, "-m", "benchmarks.measuring.one_run"],
        cwd=_REPOSITORY,
        env={**os.environ, **root.environment()},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    with ThreadPoolExecutor() as pool:
        other = pool.submit(one_run, root, before=_held(cores[1]))
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


def _held(core: int) -> list[str]:
    return ["taskset", "--cpu-list", str(core)]


if __name__ == "__main__":
    sys.exit(main())
