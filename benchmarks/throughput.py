"""How close to the limit: sheets a minute and CPU a sheet, beside a loop without Prefect.

    python benchmarks/throughput.py [--sheets 24] [--steps 200] [--only limit,ours,plain,...]

The limit is a hand-written loop: two threads, the same functions that decode, read and cut, one
bulk write a sheet, no Prefect, no custody. Ours is the flow `ingest-sheets`, with every state and
every task run in a real Prefect server. Both do the same A4 pages at 300 dpi, drawn from a seed.

What the orchestration alone takes is measured with four steps that do nothing: as our flow runs
them, on our server; as Prefect's documentation writes them (`submit`, a server as it comes); and,
if `--only` names them:

- `luigi`, `dagster`: in these, each installed into a throw-away environment.
- `threads`, `processes`, `dask`, `ray`: submitted to Prefect's task runners of two workers, on our
  server. Dask and Ray are installed in the same way.
- `postgresql`: as our flow runs them, our server on PostgreSQL. `redis`: Prefect's server on
  PostgreSQL and Redis, in one process; `redis-1`, `redis-2`: in so many processes and one with its
  services. Where both run is told by `--postgresql` and `--redis`.

A row tells what each further sheet takes: a run of many less one of two; `run_ms` is what a run
takes besides. CPU seconds are those of all processes: the run, its workers, the Prefect server
until it has recorded everything, MongoDB. Ratios are of one run of this program. Beside other work
a CPU second does less; `slowness` tells how much.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.measuring.world import Root, World, world

_FEW = 2
_WITH_PAGES = ("limit", "ours")


def main() -> int:
    """Measure what was asked for and print the tables."""
    from cli.running import prepare_prefect

    prepare_prefect(verbose=False)
    options = _options()
    chosen = options.only.split(",")
    from benchmarks.measuring.report import show

    with world() as here:
        rows = _pages(here, options, [name for name in chosen if name in _WITH_PAGES])
        steps = _own_steps(here, options.steps) if "steps" in chosen else []
        print(*rows, *steps, sep="\n", file=sys.stderr)
    if rows:
        show("A4 pages at 300 dpi", rows, _ratios(rows))
    for name in chosen:
        if name in _OTHERS:
            steps.append({"system": name, **_OTHERS[name](options)})
            print(steps[-1], file=sys.stderr)
    if steps:
        show("Four steps a sheet that do nothing", steps, _step_ratios(steps))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sheets", type=int, default=24, help="A4 pages")
    parser.add_argument("--steps", type=int, default=200, help="sheets of four empty steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="how often each is run, by turns")
    parser.add_argument("--only", default="limit,ours,steps,plain", help="which, by commas")
    parser.add_argument("--postgresql", help="a running one, as postgresql://postgres@127.0.0.1")
    parser.add_argument("--redis", help="a running one that is empty, as redis://127.0.0.1/0")
    return parser.parse_args()


def _pages(here: World, options: argparse.Namespace, chosen: Sequence[str]) -> list[dict[str, Any]]:
    from benchmarks.measuring.limit import hand_written
    from benchmarks.measuring.ours import ingested
    from benchmarks.measuring.sheets import PAIRS_A4, a4_pages

    if not chosen:
        return []
    files = a4_pages(here.folder / "drawn", count=options.sheets + _FEW, seed=options.seed)
    runs: dict[str, Callable[[Root, Sequence[Path]], dict[str, Any]]] = {
        "limit": hand_written,
        "ours": ingested,
    }
    for name in chosen:  # imports and the like happen once, and are not counted
        _once(here, runs[name], files[options.sheets :])
    rows = []
    for _ in range(options.rounds):
        for name in chosen:
            few, _records = _once(here, runs[name], files[options.sheets :])
            many, records = _once(here, runs[name], files[: options.sheets])
            assert records == options.sheets * PAIRS_A4, f"{name} stored {records} records"
            rows.append({"system": name, **_each(few, _FEW, many, options.sheets)})
    return rows


def _each(
    few: dict[str, Any], few_sheets: int, many: dict[str, Any], many_sheets: int
) -> dict[str, Any]:
    """Return what each further sheet takes, and what a run takes before its first one."""
    more = many_sheets - few_sheets
    row = {
        name: 1000 * (many[name] - few[name]) / more if name.endswith("_s") else many[name]
        for name in few
    }
    renamed = {name.replace("_s", "_ms"): value for name, value in row.items()}
    fixed = few["cpu_s"] - few_sheets * row["cpu_s"] / 1000
    return {"sheets": many_sheets, **renamed, "run_ms": 1000 * fixed}


def _once(
    here: World, run: Callable[[Root, Sequence[Path]], dict[str, Any]], files: Sequence[Path]
) -> tuple[dict[str, Any], int]:
    root = here.root()
    try:
        return run(root, files), root.records()
    finally:
        root.remove()


def _ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    def mean(system: str, column: str) -> float | None:
        values = [row[column] for row in rows if row["system"] == system]
        return sum(values) / len(values) if values else None

    limit, ours = mean("limit", "cpu_ms"), mean("ours", "cpu_ms")
    fast, own = mean("limit", "wall_ms"), mean("ours", "wall_ms")
    return {
        "by_cpu": round(limit / ours, 3) if limit and ours else None,
        "by_wall": round(fast / own, 3) if fast and own else None,
    }


def _own_steps(here: World, steps: int) -> list[dict[str, Any]]:
    from benchmarks.measuring.steps import our_way

    return [{"system": "ours", **our_way(here.api_url, {"server": here.server_pid}, steps)}]


def _plain(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measuring.steps import plain_way
    from benchmarks.measuring.world import PlainPrefect

    with world(PlainPrefect()) as here:
        return plain_way(here.api_url, {"server": here.server_pid}, options.steps)


def _task_runner(kind: str) -> Callable[[argparse.Namespace], dict[str, Any]]:
    def measured(options: argparse.Namespace) -> dict[str, Any]:
        from benchmarks.measuring.runners import submitted

        with world() as here:
            return submitted(kind, here.api_url, here.server_pid, options.steps)

    return measured


def _postgresql(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measuring.servers import on_postgresql
    from benchmarks.measuring.steps import our_way

    with on_postgresql(options.postgresql) as server:
        return our_way(server.api_url, server.pids, options.steps)


def _redis(web_servers: int) -> Callable[[argparse.Namespace], dict[str, Any]]:
    def measured(options: argparse.Namespace) -> dict[str, Any]:
        from benchmarks.measuring.servers import with_redis
        from benchmarks.measuring.steps import our_way

        with with_redis(options.postgresql, options.redis, web_servers) as server:
            return our_way(server.api_url, server.pids, options.steps)

    return measured


def _luigi(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measuring.others import in_luigi

    return in_luigi(options.steps)


def _dagster(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.measuring.others import in_dagster

    return in_dagster(options.steps)


_OTHERS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "plain": _plain,
    **{kind: _task_runner(kind) for kind in ("threads", "processes", "dask", "ray")},
    "postgresql": _postgresql,
    "redis": _redis(0),
    "redis-1": _redis(1),
    "redis-2": _redis(2),
    "luigi": _luigi,
    "dagster": _dagster,
}


def _step_ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    totals = {row["system"]: row["cpu_ms"] for row in rows}
    ours = totals.get("ours")
    return {f"ours_to_{name}": round(ours / total, 3) for name, total in totals.items() if ours}


if __name__ == "__main__":
    sys.exit(main())
