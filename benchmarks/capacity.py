"""What a day of sheets takes: the arithmetic, and a simulation of the queue second by second.

    python benchmarks/capacity.py [--sheets 1000000] [--cores 32] [--servers 1] [--hours 12]

The inputs are what the other benchmarks measured, for a machine at its best. Sheets arrive at
random, in the given hours, twice as many at noon as at the edges. Readers work them off; each
Prefect server, MongoDB likewise, takes its CPU from one core of its own, and holds the readers up
while it is behind, as back-pressure does.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring.report import show

_DAY_S = 86_400
_EVENTS_BEHIND = 2_000 / 12  # sheets of twelve events that the broker lets wait


@dataclass(frozen=True)
class Costs:
    """What one A4 sheet takes.

    Attributes:
        reader_s: CPU of the run and its readers.
        server_s: CPU of the Prefect server, or of the busiest process that it is made of.
        mongod_s: CPU of MongoDB.
        file_bytes: The scan.
        record_bytes: Its records in MongoDB.
        prefect_bytes: Its task runs in the Prefect server's database.
    """

    reader_s: float = 0.47
    server_s: float = 0.021
    mongod_s: float = 0.011
    file_bytes: float = 1.0e6
    record_bytes: float = 0.26e6
    prefect_bytes: float = 25e3


def main() -> int:
    """Print the arithmetic and the simulated day."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sheets", type=int, default=1_000_000, help="a day")
    parser.add_argument("--cores", type=int, default=32, help="of all reading machines together")
    parser.add_argument("--reader-ms", type=float, help="CPU a sheet, if not that of a clean scan")
    parser.add_argument("--server-ms", type=float, help="CPU a sheet, of the busiest process")
    parser.add_argument("--servers", type=int, default=1, help="Prefect servers, a core each")
    parser.add_argument("--mongods", type=int, default=2, help="cores that MongoDB has")
    parser.add_argument("--hours", type=float, default=12.0, help="in which the sheets arrive")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    costs = Costs()
    if options.reader_ms:
        costs = replace(costs, reader_s=options.reader_ms / 1000)
    if options.server_ms:
        costs = replace(costs, server_s=options.server_ms / 1000)
    row = simulated_day(costs, options)
    show(f"{options.sheets:,} sheets a day", [row], {"arithmetic": arithmetic(costs, options)})
    return 0


def arithmetic(costs: Costs, options: argparse.Namespace) -> dict[str, float]:
    """Return what a day takes altogether, and what its busiest hour asks for."""
    sheets, rate = options.sheets, options.sheets / (options.hours * 3600)
    peak = rate * 4 / 3  # the top of a triangle that is half as high at its edges
    return {
        "sheets_a_second_at_noon": peak,
        "reader_cores_at_noon": peak * costs.reader_s,
        "prefect_server_cores_at_noon": peak * costs.server_s,
        "mongodb_cores_at_noon": peak * costs.mongod_s,
        "events_a_second_at_noon": 12 * peak,
        "mongodb_calls_a_second_at_noon": 9 * peak,
        "fsyncs_a_second_at_noon": 19 * peak,
        "scans_gb_a_day": sheets * costs.file_bytes / 1e9,
        "records_gb_a_day": sheets * costs.record_bytes / 1e9,
        "prefect_gb_a_day": sheets * costs.prefect_bytes / 1e9,
        "network_mb_a_second_at_noon": peak * (4 * costs.file_bytes + 3 * costs.record_bytes) / 1e6,
    }


def simulated_day(costs: Costs, options: argparse.Namespace) -> dict[str, Any]:
    """Return how long sheets wait, and how busy everything is, with a day simulated by seconds."""
    random = np.random.default_rng(options.seed)
    arriving_s = int(options.hours * 3600)
    shape = 1.0 - 0.5 * np.abs(np.linspace(-1, 1, arriving_s))
    arrivals = random.poisson(shape * options.sheets / shape.sum())
    reading, serving = options.cores / costs.reader_s, options.servers / costs.server_s
    storing = options.mongods / costs.mongod_s
    queue = behind = done = 0.0
    longest, waits, busy = 0.0, [], [0.0, 0.0, 0.0]
    second = 0
    while second < arriving_s or queue >= 1:
        queue += arrivals[second] if second < arriving_s else 0
        held_up = behind > _EVENTS_BEHIND
        work = min(queue, reading, storing, serving if held_up else reading)
        work *= random.lognormal(0.0, 0.1) if work == reading else 1.0
        work = min(work, queue)
        queue -= work
        done += work
        behind += work
        told = min(behind, serving)
        behind -= told
        longest = max(longest, queue)
        waits.append(queue / max(work, 1e-9))
        for place, used in enumerate((work / reading, told / serving, work / storing)):
            busy[place] += used
        second += 1
        if second > 10 * _DAY_S:
            break
    day = np.asarray(waits[:arriving_s])
    return {
        "cores": options.cores,
        "servers": options.servers,
        "done": int(done),
        "hours": second / 3600,
        "wait_median_s": float(np.median(day)),
        "wait_95_s": float(np.quantile(day, 0.95)),
        "longest_queue": int(longest),
        "readers_busy": busy[0] / second,
        "server_busy": busy[1] / second,
        "mongodb_busy": busy[2] / second,
    }


if __name__ == "__main__":
    sys.exit(main())
