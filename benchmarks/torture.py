"""Torture sheetflow: kill it at every door, break its disks and databases, check the promises.

    python benchmarks/torture.py --kills 1000 --seed 1        1,000 kills at doors drawn by lot
    python benchmarks/torture.py --sweep                      every door of one sheet's journey
    python benchmarks/torture.py --machines 20                two machines on one folder
    python benchmarks/torture.py --faults all                 real faults of MongoDB and of disks

Everything runs on this machine, on 127.0.0.1 and in a temporary folder. Exit status 1 if any
promise did not hold; each violation is printed.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.torturing import faults_disks, faults_mongodb
from benchmarks.torturing.faults import Playground, Trial
from benchmarks.torturing.kills import Cast, Tally, cast, learn, play_round, sweep
from benchmarks.torturing.mongods import replica_set, set_uri
from benchmarks.torturing.stage import Stage, servers, stage
from benchmarks.torturing.two import second_machine, two_machines


def main() -> int:
    """Run what the command line asks for and print the table."""
    options = _options()
    started = time.monotonic()
    report: dict[str, object] = {
        "date": datetime.now(UTC).date().isoformat(),
        "versions": _versions(),
        "seed": options.seed,
    }
    violations: list[str] = []
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        with servers(folder) as (uri, api_url):
            if options.kills or options.sweep:
                tally = _kill(folder, uri, api_url, options)
                report["kills"] = _table_of(tally)
                violations += tally.violations
            if options.machines:
                problems = _machines(folder, uri, api_url, options)
                report["two machines"] = f"{options.machines} rounds of 8 sheets, half with a kill"
                violations += problems
            if options.faults:
                trials = _faults(folder, api_url, options)
                report["faults"] = _rows_of(trials)
                violations += [f"{item.name}: {v}" for item in trials for v in item.violations]
    report["seconds"] = round(time.monotonic() - started)
    report["violations"] = violations
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        _print(report)
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=0, help="how many kills, drawn by lot")
    parser.add_argument("--seed", type=int, default=1, help="of the lots")
    parser.add_argument("--sweep", action="store_true", help="kill at every door in turn")
    parser.add_argument("--stride", type=int, default=1, help="of the sweep, leave doors out")
    parser.add_argument("--minutes", type=float, help="stop drawing lots after so long")
    parser.add_argument("--workers", type=int, default=2, help="stages side by side")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--machines", type=int, default=0, help="rounds of two machines")
    parser.add_argument("--faults", choices=["all", "mongodb", "disks"], help="real faults")
    parser.add_argument("--door-stride", type=int, default=3, help="of doors that refuse")
    options = parser.parse_args()
    if not (options.kills or options.sweep or options.faults or options.machines):
        parser.error("nothing to do: give --kills, --sweep, --machines or --faults")
    return options


def _kill(folder: Path, uri: str, api_url: str, options: argparse.Namespace) -> Tally:
    players = cast()
    total = Tally()
    until = time.monotonic() + (options.minutes * 60 if options.minutes else 10**9)

    def work(number: int) -> Tally:
        tally = Tally()
        with stage(folder, uri, api_url, name=f"stage{number}") as set_up:
            learn(set_up, players)
            if options.sweep:
                _sweep(set_up, players, tally, number, options)
            dice = random.Random(f"{options.seed}/{number}")  # noqa: S311 - seeded on purpose
            kills = -(-options.kills // options.workers)
            _rounds(set_up, players, dice, tally, kills=kills, until=until)
        return tally

    with ThreadPoolExecutor(options.workers) as pool:
        for tally in pool.map(work, range(options.workers)):
            total.add(tally)
    return total


def _rounds(
    set_up: Stage, players: Cast, dice: random.Random, tally: Tally, *, kills: int, until: float
) -> None:
    wanted = tally.kills + kills
    while tally.kills < wanted and time.monotonic() < until:
        before = len(tally.violations)
        play_round(set_up, players, dice, tally)
        for violation in tally.violations[before:]:
            print(f"VIOLATION {violation}", file=sys.stderr, flush=True)
        if tally.rounds % 10 == 0:
            told = f"{tally.kills} kills in {tally.runs} runs, {len(tally.violations)} violations"
            print(told, file=sys.stderr, flush=True)


def _sweep(
    set_up: Stage, players: Cast, tally: Tally, number: int, options: argparse.Namespace
) -> None:
    """Sweep one way of moving on each stage: one disk on the first, two on the second."""
    ways: list[tuple[str, ...]] = [(), ("archive", "staging")]
    for way in ways[number :: options.workers]:
        doors = sweep(set_up, players.plain[0], tally, apart=way, stride=options.stride)
        print(f"sweep: {doors} doors, {len(tally.violations)} violations", file=sys.stderr)


def _machines(folder: Path, uri: str, api_url: str, options: argparse.Namespace) -> list[str]:
    dice = random.Random(f"{options.seed}/machines")  # noqa: S311 - seeded on purpose
    sheets, problems = cast().good, []
    with (
        stage(folder, uri, api_url, name="first") as first,
        second_machine(folder, api_url) as second,
    ):
        for number in range(options.machines):
            kill_after_s = dice.uniform(0.2, 2.5) if number % 2 else None
            found = two_machines(first, second, sheets, kill_after_s=kill_after_s)
            print(f"two machines, round {number + 1}: {found or 'well'}", file=sys.stderr)
            problems += [f"two machines, killed after {kill_after_s}: {item}" for item in found]
    return problems


def _faults(folder: Path, api_url: str, options: argparse.Namespace) -> list[Trial]:
    def tell(trial: Trial) -> None:
        outcome = f"skipped: {trial.skipped}" if trial.skipped else f"exit {trial.status}"
        print(f"{trial.name}: {outcome}, {trial.seconds:.1f} s", file=sys.stderr, flush=True)
        for violation in trial.violations:
            print(f"  VIOLATION {violation}", file=sys.stderr, flush=True)

    trials: list[Trial] = []
    players = cast()
    for members in (1, 3):
        if members == 3 and options.faults == "disks":
            continue
        with replica_set(folder / f"set{members}", members) as members_of_set:
            uri = members_of_set[0].uri if members == 1 else set_uri(members_of_set)
            with stage(folder, uri, api_url, name=f"faults{members}") as set_up:
                learn(set_up, players)
                play = Playground(set_up, players, trials, tell)
                if members == 3:
                    faults_mongodb.another_primary(play, members_of_set)
                    continue
                if options.faults != "disks":
                    faults_mongodb.all_of(play, members_of_set[0], folder)
                if options.faults != "mongodb":
                    faults_disks.all_of(play, folder, stride=options.door_stride)
    return trials


def _rows_of(trials: Sequence[Trial]) -> dict[str, object]:
    return {
        trial.name: f"skipped: {trial.skipped}"
        if trial.skipped
        else f"exit {trial.status} after {trial.seconds:.1f} s; "
        + (f"{len(trial.violations)} VIOLATIONS" if trial.violations else "the next run healed it")
        for trial in trials
    }


def _table_of(tally: Tally) -> dict[str, object]:
    return {
        "kills": tally.kills,
        "runs": tally.runs,
        "rounds": tally.rounds,
        "runs once more": tally.again,
        "slowest run, s": round(tally.slowest_s, 1),
        "lost": _count(tally, "LOST"),
        "duplicated": _count(tally, "TWICE"),
        "archived, not confirmed": _count(tally, "UNCONFIRMED"),
        "in no or two places after the next run": _count(tally, "PLACES"),
        "other": len(tally.violations)
        - sum(_count(tally, word) for word in ("LOST", "TWICE", "UNCONFIRMED", "PLACES")),
        "by door": dict(tally.where.most_common()),
        "by scene": dict(tally.scenes.most_common()),
    }


def _count(tally: Tally, word: str) -> int:
    return sum(f" {word} " in f" {violation}" for violation in tally.violations)


def _versions() -> dict[str, str]:
    import prefect
    import pymongo

    import sheetflow
    from sheetflow.servers.mongod_binary import find_mongod

    version = find_mongod().version or (0, 0)
    return {
        "sheetflow": sheetflow.__version__,
        "python": platform.python_version(),
        "prefect": prefect.__version__,
        "pymongo": pymongo.version,
        "mongod": ".".join(map(str, version)),
        "system": f"{platform.system()} {platform.release()}",
    }


def _print(report: dict[str, object], indent: str = "") -> None:
    for name, value in report.items():
        if isinstance(value, dict):
            print(f"{indent}{name}:")
            _print(value, f"{indent}  ")
        elif isinstance(value, list):
            print(f"{indent}{name}: {len(value)}")
            for item in value:
                print(f"{indent}  {item}")
        else:
            print(f"{indent}{name:<40} {value}")


if __name__ == "__main__":
    sys.exit(main())
