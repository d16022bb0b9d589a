"""Torture sheetflow: kill it at every door, break its disks and databases, check the promises.

    python benchmarks/torture.py --kills 1000 --seed 1        1,000 kills at doors drawn by lot
    python benchmarks/torture.py --sweep                      every door of one sheet's journey and
                                                              of every way back
    python benchmarks/torture.py --machines 20                two machines on one folder
    python benchmarks/torture.py --hosts 500                  two hosts on a network, 500 sheets
    python benchmarks/torture.py --faults all                 real faults of MongoDB and of disks
    python benchmarks/torture.py --all --write                all of these, into the page

Everything runs on this machine, on addresses that only it can reach, and in a temporary folder.
Exit status 1 if any promise did not hold; each violation is printed. With --write the tables go
into docs/reliability.md, each with its date and the versions.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.torturing import faults_disks, faults_mongodb, faults_rights
from benchmarks.torturing.disks import Refused
from benchmarks.torturing.faults import Playground, Trial
from benchmarks.torturing.hosts import SHARES, two_hosts
from benchmarks.torturing.kills import play_round, sweep
from benchmarks.torturing.mongods import replica_set, set_uri
from benchmarks.torturing.scenes import Cast, cast, learn
from benchmarks.torturing.sheets import crowd
from benchmarks.torturing.stage import Stage, servers, stage
from benchmarks.torturing.tables import heading, trials_table, two_columns, write_section
from benchmarks.torturing.tally import Tally
from benchmarks.torturing.two import second_machine, two_machines
from benchmarks.torturing.ways_back import WAYS, play_way_back, sweep_way_back

_WAYS_BACK_SHARE = 0.25


def main() -> int:
    """Run what the command line asks for, and print or write the tables."""
    options = _options()
    violations: list[str] = []
    with tempfile.TemporaryDirectory(prefix="torture-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # an account without rights gets through to its own folders
        with servers(folder) as (uri, api_url):
            for part, wanted, run in _PARTS:
                if not getattr(options, wanted):
                    continue
                started = time.monotonic()
                table, found = run(folder, uri, api_url, options)
                violations += found
                command = f"torture.py --{wanted} {getattr(options, wanted)}".removesuffix(" True")
                text = f"{heading(command, time.monotonic() - started)}\n\n{table}"
                print(f"\n{part}\n\n{text}", flush=True)
                if options.write:
                    write_section(part, text)
    print(f"\n{len(violations)} violations")
    for violation in violations:
        print(f"  {violation}")
    return 1 if violations else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kills", type=int, default=0, help="how many kills, drawn by lot")
    parser.add_argument("--seed", type=int, default=1, help="of the lots")
    parser.add_argument(
        "--workers-share",
        type=float,
        default=0.3,
        help="which part of the rounds reads sheets in worker processes, as users' runs do",
    )
    parser.add_argument("--sweep", action="store_true", help="kill at every door in turn")
    parser.add_argument("--stride", type=int, default=1, help="of the sweep, leave doors out")
    parser.add_argument("--minutes", type=float, help="stop drawing lots after so long")
    parser.add_argument("--stages", type=int, default=2, help="stages side by side")
    parser.add_argument("--machines", type=int, default=0, help="rounds of two machines")
    parser.add_argument("--hosts", type=int, default=0, help="so many sheets for two hosts")
    parser.add_argument("--faults", choices=["all", "mongodb", "disks", "rights"])
    parser.add_argument("--door-stride", type=int, default=3, help="of doors that refuse")
    parser.add_argument("--all", action="store_true", help="everything, in its long form")
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md")
    options = parser.parse_args()
    if options.all:
        options.kills, options.machines = options.kills or 1000, options.machines or 20
        options.hosts, options.sweep, options.faults = options.hosts or 500, True, "all"
    if not any(getattr(options, wanted) for _, wanted, _ in _PARTS):
        parser.error("nothing to do: give --kills, --sweep, --machines, --hosts, --faults or --all")
    return options


def _kill(
    folder: Path, uri: str, api_url: str, options: argparse.Namespace
) -> tuple[str, list[str]]:
    until = time.monotonic() + (options.minutes * 60 if options.minutes else 10**9)

    def work(set_up: Stage, players: Cast, tally: Tally, number: int) -> None:
        dice = random.Random(f"{options.seed}/{number}")  # noqa: S311 - seeded on purpose
        kills = -(-options.kills // options.stages)
        while tally.kills < kills and time.monotonic() < until:
            if dice.random() < _WAYS_BACK_SHARE:
                play_way_back(set_up, players, dice, tally)
            else:
                play_round(set_up, players, dice, tally, workers_share=options.workers_share)
            _tell(tally, every=10)

    return _side_by_side(folder, uri, api_url, options, "kills", work)


def _sweep(
    folder: Path, uri: str, api_url: str, options: argparse.Namespace
) -> tuple[str, list[str]]:
    """Sweep the journey with all on one disk, and on two, and each way back."""
    journeys: list[tuple[str, ...]] = [(), ("archive", "staging")]
    todo: list[tuple[str, ...] | str] = [*journeys, *WAYS]

    def work(set_up: Stage, players: Cast, tally: Tally, _number: int) -> None:
        while todo:
            what = todo.pop(0)
            if isinstance(what, str):
                doors = sweep_way_back(set_up, players, tally, what, stride=options.stride)
            else:
                sheet = players.plain[0]
                doors = sweep(set_up, sheet, tally, apart=what, stride=options.stride)
            _say(f"swept {what or 'one disk'}: {doors} doors")
            _tell(tally)

    return _side_by_side(folder, uri, api_url, options, "sweep", work)


def _side_by_side(
    folder: Path,
    uri: str,
    api_url: str,
    options: argparse.Namespace,
    name: str,
    work: Callable[[Stage, Cast, Tally, int], None],
) -> tuple[str, list[str]]:
    players, total = cast(), Tally()

    def on_a_stage(number: int) -> Tally:
        tally = Tally()
        with stage(folder, uri, api_url, name=f"{name}{number}") as set_up:
            learn(set_up, players)
            work(set_up, players, tally, number)
        return tally

    with ThreadPoolExecutor(options.stages) as pool:
        for tally in pool.map(on_a_stage, range(options.stages)):
            total.add(tally)
    return two_columns(total.table()), total.violations


def _tell(tally: Tally, every: int = 1) -> None:
    if tally.rounds % every == 0:
        told = f"{tally.kills} kills in {tally.runs} runs, {len(tally.violations)} violations"
        _say("\n  ".join([told, *tally.violations]))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _machines(
    folder: Path, uri: str, api_url: str, options: argparse.Namespace
) -> tuple[str, list[str]]:
    dice = random.Random(f"{options.seed}/machines")  # noqa: S311 - seeded on purpose
    sheets, problems, kills = cast().good, [], 0
    with (
        stage(folder, uri, api_url, name="first") as first,
        second_machine(folder, api_url) as second,
    ):
        for number in range(options.machines):
            kill_after_s = dice.uniform(0.2, 2.5) if number % 2 else None
            found, killed = two_machines(first, second, sheets, kill_after_s=kill_after_s)
            _say(f"two machines, round {number + 1}: {found or 'well'}")
            problems += [f"two machines, killed after {kill_after_s}: {item}" for item in found]
            kills += killed
    table = {
        "rounds of eight sheets": options.machines,
        "rounds in which one of the two was killed at work": kills,
        "sheets lost, staged, processed or archived twice, or left": len(problems),
    }
    return two_columns(table), problems


def _faults(
    folder: Path, uri: str, api_url: str, options: argparse.Namespace
) -> tuple[str, list[str]]:
    def tell(trial: Trial) -> None:
        outcome = f"skipped: {trial.skipped}" if trial.skipped else f"exit {trial.status}"
        lines = [f"{trial.name}: {outcome}, {trial.seconds:.1f} s", *trial.violations]
        _say("\n  VIOLATION ".join(lines))

    trials: list[Trial] = []
    players = cast()
    if options.faults in ("all", "rights"):
        try:
            faults_rights.check_account(folder)
            nobody = faults_rights.NOBODY
            with stage(folder, uri, api_url, name="rights", account=nobody) as set_up:
                learn(set_up, players)
                faults_rights.all_of(Playground(set_up, players, trials, tell))
        except Refused as refused:
            trials.append(Trial("rights withheld", skipped=str(refused)))
            tell(trials[-1])
    for members in (1, 3) if options.faults in ("all", "mongodb") else (1,):
        if options.faults == "rights":
            break
        with replica_set(folder / f"set{members}", members) as servers_of_set:
            address = servers_of_set[0].uri if members == 1 else set_uri(servers_of_set)
            with stage(folder, address, api_url, name=f"faults{members}") as set_up:
                learn(set_up, players)
                play = Playground(set_up, players, trials, tell)
                if members == 3:
                    faults_mongodb.another_primary(play, servers_of_set)
                    continue
                if options.faults != "disks":
                    faults_mongodb.all_of(play, servers_of_set[0], folder)
                if options.faults != "mongodb":
                    faults_disks.all_of(play, folder, stride=options.door_stride)
    return trials_table(trials), [f"{item.name}: {v}" for item in trials for v in item.violations]


def _hosts(
    folder: Path, _uri: str, api_url: str, options: argparse.Namespace
) -> tuple[str, list[str]]:
    sheets, tables, problems = crowd(options.hosts), [], []
    for number, share in enumerate(SHARES):
        try:
            outcome = two_hosts(folder / f"network{number}", api_url, sheets, share, _say)
        except Refused as refused:
            tables.append(f"{share}: not tried here: {refused}")
            continue
        tables.append(f"{share}:\n\n{two_columns(outcome.table)}")
        _say(tables[-1])
        problems += [f"two hosts, {share}: {item}" for item in outcome.problems]
    return "\n\n".join(tables), problems


_PARTS = (
    ("kills", "kills", _kill),
    ("sweep", "sweep", _sweep),
    ("two machines", "machines", _machines),
    ("two hosts", "hosts", _hosts),
    ("faults", "faults", _faults),
)

if __name__ == "__main__":
    sys.exit(main())
