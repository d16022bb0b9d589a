"""How our own Prefect server asks SQLite for task runs: in words for which it uses its index.

With each batch of states the server asks which of those task runs it has, as
`(flow_run_id, task_key, dynamic_key) IN (VALUES (...), ...)`. For that SQLite goes through the
whole table, however many runs it keeps; for the same written as `a = ? AND b = ? ... OR ...` it
does not.

Source: docs/decisions/0011-event-broker.md, which has the measurements.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Connection, Engine, event

_ROWS_AT_MOST = 500
"""SQLite takes expressions of a thousand levels, and every OR is one."""
_VALUE = r"(?:\?|:\w+)"
_ROW = rf"\({_VALUE}(?:, {_VALUE})+\)"
_ONE_OF_ROWS = re.compile(
    rf"\((?P<columns>[\w.]+(?:, [\w.]+)+)\) IN \(VALUES (?P<rows>{_ROW}(?:, {_ROW})*)\)"
)


def use_the_index() -> None:
    """Have every SQLite engine of this process ask in those words."""
    event.listen(Engine, "before_cursor_execute", _reworded, retval=True)


def in_words_for_the_index(statement: str) -> str:
    """Return a statement that means the same and takes the same parameters in the same order."""
    return _ONE_OF_ROWS.sub(_either, statement) if " IN (VALUES " in statement else statement


def _either(found: re.Match[str]) -> str:
    columns = found["columns"].split(", ")
    rows = [row.strip("()").split(", ") for row in re.findall(_ROW, found["rows"])]
    if len(rows) > _ROWS_AT_MOST or any(len(row) != len(columns) for row in rows):
        return found[0]
    alike = (zip(columns, row, strict=True) for row in rows)
    each = (" AND ".join(f"{column} = {value}" for column, value in pairs) for pairs in alike)
    return f"({' OR '.join(f'({row})' for row in each)})"


def _reworded(
    connection: Connection,
    _cursor: Any,
    statement: str,
    parameters: Any,
    _context: Any,
    _executemany: bool,
) -> tuple[str, Any]:
    if connection.dialect.name == "sqlite":
        statement = in_words_for_the_index(statement)
    return statement, parameters
