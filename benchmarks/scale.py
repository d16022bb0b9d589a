"""Is it flat: does a sheet take longer in a long queue, or beside a large archive?

    python benchmarks/scale.py [--queues 100,1000] [--archive 100000]

Each queue is of tiny sheets, one picture and one code, so that all that is not recognition shows.
It is ingested by the real flow in a process of its own, on a real Prefect server and MongoDB.
The archive is of empty files; beside it, what lists, counts and claims is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring.meter import idle_rates
from benchmarks.measuring.processes import cpu_s, settled_cpu_s, slowness
from benchmarks.measuring.report import show
from benchmarks.measuring.sheets import tiny_sheets
from benchmarks.measuring.world import Root, World, world

_REPOSITORY = Path(__file__).resolve().parents[1]


def main() -> int:
    """Measure what was asked for and print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--queues", default="100,1000", help="lengths, by commas")
    parser.add_argument("--archive", type=int, default=100_000, help="files in the large archive")
    options = parser.parse_args()
    queues = [int(length) for length in options.queues.split(",") if length]
    with world() as here:
        if queues:
            _run(here, 10)  # the server's and MongoDB's first work is not counted
            rows = [_run(here, length) for length in queues]
            show("Queues of tiny sheets", rows, _ratios(rows))
        if options.archive:
            rows = _archives(here.root(), options.archive)
            show("Beside an archive", rows, {})
    return 0


def _run(here: World, length: int) -> dict[str, Any]:
    root = here.root()
    tiny_sheets(root.inbox, count=length)
    database = here.folder / "prefect" / "home" / "prefect.db"
    size, slow = _size(database), slowness()
    pids = {"server": here.server_pid, "mongod": here.mongod_pid}
    idle, began = idle_rates(pids), time.perf_counter()
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    row = one_run(root)
    assert row["archived"] == length, row
    used = {name: settled_cpu_s(pid) - before[name] for name, pid in pids.items()}
    took_s = time.perf_counter() - began
    server, mongod = (max(used[name] - idle[name] * took_s, 0.0) for name in pids)
    grown = _size(database) - size
    assert root.records() == length
    _check_recorded(database, root)
    root.remove()
    return {
        "queue": length,
        "wall_ms": 1000 * (row["last_s"] - row["first_s"]) / length,
        "client_ms": 1000 * row["cpu_s"] / length,  # its readers not counted
        "server_ms": 1000 * server / length,
        "mongod_ms": 1000 * mongod / length,
        "resident_mb": row["resident_mb"],
        "highest_mb": row["highest_mb"],
        "database_kb": grown / 1024 / length,
        "slowness": (slow + slowness()) / 2,
    }


def one_run(root: Root, *, before: Sequence[str] = ()) -> dict[str, Any]:
    """Ingest in a process of its own and return what it tells.

    Args:
        root: Where.
        before: What stands before the command, such as `taskset`.
    """
    done = subprocess.run(
        [*before, sys.executable, "-m", "benchmarks.measuring.one_run"],
        cwd=_REPOSITORY,
        env={**os.environ, **root.environment()},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def _check_recorded(database: Path, root: Root) -> None:
    """Every task run of the last run has come to its end, in the server's own database."""
    import sqlite3

    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        last = "(select id from flow_run order by created desc limit 1)"
        query = f"select state_type, count(*) from task_run where flow_run_id = {last} group by 1"  # noqa: S608
        states = dict(connection.execute(query))
    assert set(states) == {"COMPLETED"}, states
    assert states["COMPLETED"] == 4 * root.records(), states


def _size(database: Path) -> int:
    return sum(path.stat().st_size for path in database.parent.glob("prefect.db*"))


def _ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    first, last = rows[0], rows[-1]
    columns = ("wall_ms", "client_ms", "server_ms", "mongod_ms", "highest_mb")
    return {f"{name}_ratio": round(last[name] / first[name], 3) for name in columns if first[name]}


def _archives(root: Root, files: int) -> list[dict[str, Any]]:
    from sheetflow.custody.claims import claimed_sheet
    from sheetflow.custody.files import digest_bytes
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.custody.inbox import look_into_inbox
    from sheetflow.custody.reconciling import reconcile
    from sheetflow.custody.transfers import free_name, unused_name
    from sheetflow.settings import load_settings
    from sheetflow.status import system_status

    folders = load_settings(root=root.path).folders
    prepare_folders(folders)
    tiny_sheets(root.inbox, count=20)
    sheet = next(root.inbox.iterdir())
    sha256 = digest_bytes(sheet.read_bytes())

    def claim() -> None:
        with claimed_sheet(folders, sheet):
            pass

    looks: dict[str, Callable[[], object]] = {
        "status": lambda: system_status(folders),
        "reconcile": lambda: reconcile(folders),
        "look_into_inbox": lambda: look_into_inbox(folders, settle_s=0),
        "claim": claim,
        "free_name": lambda: free_name(folders.archive, "mugs.jpg", sha256=sha256),
        "unused_name": lambda: unused_name(folders.archive, "mugs.jpg"),
    }
    rows = [{"archive": 0, **{name: _ms(look) for name, look in looks.items()}, "changed": None}]
    (folders.archive / "mugs.jpg").touch()
    for number in range(2, files // 2):
        (folders.archive / f"mugs~{number}.jpg").touch()
    for number in range(files // 2):
        (folders.archive / f"page-{number:07d}.jpg").touch()
    old = time.time() - 60
    changed = _ms(looks["status"], times=3)
    os.utime(folders.archive, (old, old))
    looks["status"]()
    rows.append(
        {
            "archive": files,
            **{name: _ms(look) for name, look in looks.items()},
            "changed": changed,
        }
    )
    return rows


def _ms(look: Callable[[], object], times: int = 20) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        look()
        best = min(best, time.process_time() - began)
    return 1000 * best


if __name__ == "__main__":
    sys.exit(main())
