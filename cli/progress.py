"""How a long run shows that it goes on: a bar on a terminal, a line a sheet in a pipe."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from sheetflow.custody.names import shown_name
from sheetflow.wording import counted

if TYPE_CHECKING:
    from rich.progress import Progress

    from flows.outcomes import Outcome


class Report:
    """Collects the outcomes of a run and shows them as they come.

    Args:
        bar: The bar to move, None where there is no terminal.
        to_stderr: Whether the lines go to standard error, because standard output is for JSON.
    """

    def __init__(self, bar: Progress | None, *, to_stderr: bool) -> None:
        self.outcomes: list[Outcome] = []
        self._bar = bar
        self._to_stderr = to_stderr
        self._task = bar.add_task("sheets", total=None) if bar is not None else None
        self._expected = 0

    def expecting(self, sheets: int) -> None:
        """Learn how many sheets the run has before it."""
        self._expected += sheets
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self._expected)
        elif sheets:
            self._say(f"{sheets} sheet{'s' if sheets != 1 else ''} to do")

    def heard(self, outcome: Outcome) -> None:
        """Show what became of a sheet."""
        self.outcomes.append(outcome)
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)
            if outcome.error:
                self._bar.console.print(outcome.error, markup=False, highlight=False)
        else:
            self._say(_line(outcome))

    def _say(self, line: str) -> None:
        click.echo(line, err=self._to_stderr)


@contextlib.contextmanager
def reporting(*, as_json: bool) -> Iterator[Report]:
    """Yield a report that fits where the output goes."""
    if not sys.stderr.isatty():
        yield Report(None, to_stderr=as_json)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as bar:
        yield Report(bar, to_stderr=True)


def _line(outcome: Outcome) -> str:
    pairs = f", {counted(outcome.counts.pairs, 'pair')}" if outcome.counts else ""
    return f"{outcome.state}  {shown_name(outcome.name)}{pairs}, {outcome.seconds:.1f} s"
