"""How long until it answers: `--help`, `status`, and an ingest that finds nothing to do.

    python benchmarks/startup.py [--times 5]

Each is run as a person runs it, several times. CPU seconds and wall time are the lowest of those,
and what a bare interpreter takes is taken off.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring.report import show
from benchmarks.measuring.world import world

_COMMAND = "import sys; sys.argv[0] = 'sheetflow'; from cli.main import main; main()"


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    with world() as here:
        root = here.root()
        environment = {**os.environ, **root.environment(SHEETFLOW_SETTLE_S="2")}
        bare = _best(["-c", "pass"], environment, times)
        rows = []
        for arguments in (["--help"], ["status"], ["read", "--help"], ["ingest"]):
            cpu_s, wall_s = _best(["-c", _COMMAND, *arguments], environment, times)
            name = "sheetflow " + " ".join(arguments)
            rows.append({"command": name, "cpu_s": cpu_s - bare[0], "wall_s": wall_s - bare[1]})
    show("Over a bare interpreter", rows, {"bare_cpu_s": bare[0], "bare_wall_s": bare[1]})
    return 0


def _best(
    arguments: Sequence[str], environment: Mapping[str, str], times: int
) -> tuple[float, float]:
    found = []
    for _ in range(times):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments], env=environment, capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found.append((cpu_s, time.perf_counter() - began))
    return min(cpu for cpu, _ in found), min(wall for _, wall in found)


if __name__ == "__main__":
    sys.exit(main())
