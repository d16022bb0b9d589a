from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from prefect.server.database import provide_database_interface
from sqlalchemy import event

from deployments.sqlite_lookups import _reworded, in_words_for_the_index

RUNS = 300


@pytest.fixture(params=["named", "qmark"])
def engine(request) -> Any:
    """Prefect's own table of task runs, as far as the lookups go, in SQLite."""
    engine = sa.create_engine("sqlite://", paramstyle=request.param)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE task_run (id PRIMARY KEY, flow_run_id, task_key, dynamic_key)"
        )
        connection.exec_driver_sql(
            "CREATE UNIQUE INDEX uq ON task_run (flow_run_id, task_key, dynamic_key)"
        )
        rows = ", ".join(f"('id{number}', 'run', 'stage', '{number}')" for number in range(RUNS))
        connection.exec_driver_sql(f"INSERT INTO task_run VALUES {rows}")
    return engine


def asked(engine: sa.Engine, keys: list[tuple[str, str, str]]) -> tuple[list[str], list[str]]:
    """Ask as Prefect's recorder does; return what is found, and how SQLite went about it."""
    columns = [sa.column(name) for name in ("flow_run_id", "task_key", "dynamic_key")]
    known = sa.or_(sa.column("id").in_(["id7", "none"]), sa.tuple_(*columns).in_(keys))
    query = sa.select(sa.column("id")).select_from(sa.table("task_run")).where(known)
    sent: list[tuple[str, Any]] = []
    with engine.connect() as connection:
        event.listen(
            connection,
            "before_cursor_execute",
            lambda _c, _cu, statement, parameters, *_: sent.append((statement, parameters)),
        )
        found = sorted(connection.execute(query).scalars())
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sent[0][0]}", sent[0][1])
        return found, [row[3] for row in plan]


def test_known_task_runs_are_found_by_the_index_and_are_the_same(engine) -> None:
    keys = [("run", "stage", str(number)) for number in (1, 2, RUNS)]
    before, scanned = asked(engine, keys)
    event.listen(engine, "before_cursor_execute", _reworded, retval=True)
    after, searched = asked(engine, keys)
    assert before == after == ["id1", "id2", "id7"]
    assert any(step.startswith("SCAN task_run") for step in scanned)
    assert not any(step.startswith("SCAN task_run") for step in searched)


def test_prefects_own_table_has_the_index_that_this_is_for() -> None:
    table = provide_database_interface().TaskRun.__table__
    key = ["flow_run_id", "task_key", "dynamic_key"]
    assert any(index.unique and [*index.columns.keys()] == key for index in table.indexes)


def test_other_statements_stay_as_they_are() -> None:
    many = ", ".join(["(?, ?)"] * 1000)
    for statement in (
        "SELECT a FROM b WHERE a IN (?, ?)",
        "INSERT INTO b (a, c) VALUES (?, ?), (?, ?)",
        f"SELECT a FROM b WHERE (a, c) IN (VALUES {many})",
    ):
        assert in_words_for_the_index(statement) == statement
