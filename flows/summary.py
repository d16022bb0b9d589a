"""The page of an ingest: its name in the list of runs, and a row for each sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import create_table_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.outcomes import Outcome, summary
from flows.pages import task_run_url
from sheetflow.custody.names import shown_name
from sheetflow.sheets import State

_ROWS_AT_MOST = 1000
_TROUBLE_FIRST = (State.FAILED, State.REJECTED, State.NEEDS_REVIEW, State.WAITING, State.ARCHIVED)


def show_summary(outcomes: Sequence[Outcome]) -> None:
    """Give the run its table of sheets, trouble first, and a name that tells how it ended."""
    _rename(outcomes)
    if not outcomes:
        return
    order = {state: place for place, state in enumerate(_TROUBLE_FIRST)}
    ordered = sorted(outcomes, key=lambda outcome: order.get(outcome.state, len(order)))
    create_table_artifact(
        key="ingest-summary",
        description=summary(outcomes),
        table=[_row(outcome) for outcome in ordered[:_ROWS_AT_MOST]],
    )


def _row(outcome: Outcome) -> dict[str, Any]:
    counts, failure = outcome.counts, outcome.failure
    page = task_run_url(outcome.step_run_id) if outcome.step_run_id else None
    return {
        "sheet": shown_name(outcome.name),
        "pictures": counts.pictures if counts else None,
        "symbols": counts.symbols if counts else None,
        "pairs": counts.pairs if counts else None,
        "state": str(outcome.state),
        "seconds": round(outcome.seconds, 1),
        "cause": failure.cause if failure else outcome.error or outcome.note or "",
        "cure": failure.cure if failure else "",
        "run": page or "",
    }


def _rename(outcomes: Sequence[Outcome]) -> None:
    run_id = flow_run.get_id()
    if run_id is None or flow_run.get_name() != "ingest sheets":
        return  # one sheet's run bears its name
    numbers = Counter(outcome.state for outcome in outcomes)
    told = [f"{numbers[state]} {_WORDS[state]}" for state in _TROUBLE_FIRST if numbers[state]]
    name = f"ingest sheets: {', '.join(told) or 'nothing to do'}"
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run_id), name=name)


_WORDS = {
    State.FAILED: "failed",
    State.REJECTED: "rejected",
    State.NEEDS_REVIEW: "to review",
    State.WAITING: "waiting",
    State.ARCHIVED: "archived",
}
