"""Running a flow from the command line: against a real server, with progress, told at the end."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cli.tables import print_json, print_table

if TYPE_CHECKING:
    from flows.outcomes import Outcome
    from sheetflow.settings import Settings


@dataclass(frozen=True)
class FinishedRun:
    """A flow run that came to its verdict."""

    outcomes: list[Outcome]
    flow_run_id: str
    url: str

    @property
    def ok(self) -> bool:
        """Whether no sheet failed and none waits for a person."""
        return all(outcome.ok for outcome in self.outcomes)

    def print_json(self) -> None:
        """Print what `--json` promises."""
        sheets = [outcome.to_json() for outcome in self.outcomes]
        print_json({"sheets": sheets, "flow_run_id": self.flow_run_id, "ok": self.ok})

    def print_table(self, settings: Settings) -> None:
        """Print a row for each sheet, then what is wrong, where the archive is, and the run."""
        from sheetflow.custody.names import shown_name

        if self.outcomes:
            columns = ["sheet", "pictures", "symbols", "pairs", "state", "seconds"]
            print_table(columns, [_row(outcome) for outcome in self.outcomes])
        else:
            click.echo(f"Nothing to do: {settings.folders.inbox} is empty.")
        for outcome in self.outcomes:
            if outcome.error:
                click.echo(f"{outcome.state}: {outcome.error}")
            elif outcome.note:
                click.echo(f"{outcome.state}: {shown_name(outcome.name)}: {outcome.note}")
        click.echo(f"Archive: {settings.folders.archive}")
        click.echo(f"Run:     {self.url}")


def prepare_prefect(*, verbose: bool) -> None:
    """Set what Prefect reads once, when it is imported."""
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")


def run_flow(call: Callable[[], Any], api_url: str, *, as_json: bool) -> FinishedRun:
    """Run a flow and show how it goes.

    Args:
        call: Calls the flow, with `return_state=True`.
        api_url: The Prefect API that is in use.
        as_json: Whether standard output is for JSON.

    Raises:
        Exception: What ended the run itself, before it could give a verdict on its sheets.
    """
    from cli.progress import reporting
    from deployments.server import ui_url
    from flows.outcomes import listening

    gc.freeze()  # what was imported by now stays: no collection looks through it, the last neither
    with reporting(as_json=as_json) as report, listening(report):
        state = call()
    value = state.result(raise_on_failure=False) if state.data is not None else None
    if isinstance(value, BaseException):
        raise value
    run_id = str(state.state_details.flow_run_id)
    return FinishedRun(report.outcomes, run_id, f"{ui_url(api_url)}/runs/flow-run/{run_id}")


def _row(outcome: Outcome) -> list[object]:
    from sheetflow.custody.names import shown_name

    counts = outcome.counts
    return [
        shown_name(outcome.name),
        counts.pictures if counts else None,
        counts.symbols if counts else None,
        counts.pairs if counts else None,
        outcome.state,
        round(outcome.seconds, 1),
    ]
