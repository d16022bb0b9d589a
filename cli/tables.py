"""Tables for people: drawn on a terminal, plain and unwrapped in a pipe."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

_PIPE_WIDTH = 200


def print_json(value: Any) -> None:
    """Print one line of JSON; ASCII, so that every name survives every pipe."""
    click.echo(json.dumps(value))


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str | None = None
) -> None:
    """Print a table to standard output; columns of numbers stand to the right."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_PIPE_WIDTH)
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float | None) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(table)
