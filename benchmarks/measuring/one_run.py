"""One ingest in a process of its own, measured from inside.

`python -m benchmarks.measuring.one_run`; settings come from the environment, one line of JSON goes
to standard output.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path


def main() -> int:
    """Run `ingest-sheets` and print what it took."""
    from cli.running import prepare_prefect

    prepare_prefect(verbose=False)
    from prefect.events.worker import EventsWorker

    from benchmarks.measuring.processes import cpu_s, resident_bytes
    from benchmarks.measuring.world import Collector
    from flows.ingest import ingest_sheets
    from flows.outcomes import listening

    listener = Collector()
    began, cpu, all_cpu = time.perf_counter(), _cpu_s(), cpu_s(os.getpid())
    with listening(listener):
        state = ingest_sheets(return_state=True)
    EventsWorker.instance().wait_until_empty()
    row = {
        "sheets": len(listener.outcomes),
        "archived": sum(outcome.state == "archived" for outcome in listener.outcomes),
        "completed": state.is_completed(),
        "first_s": listener.first_s,
        "last_s": listener.last_s,
        "run_s": time.perf_counter() - began,
        "resident_mb": resident_bytes(os.getpid(), alone=True) / 2**20,
        "highest_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10,
        "cpu_s": _cpu_s() - cpu,
        "with_readers_s": cpu_s(os.getpid()) - all_cpu,
    }
    print(json.dumps(row))
    return 0


def _cpu_s() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(use.ru_utime + use.ru_stime for use in map(resource.getrusage, kinds))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    sys.exit(main())
