"""The page of an ingest: its name, a row for each sheet, and what needs a look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from flows.outcomes import Outcome, summary
from flows.pages import Link, cell, task_run_url
from flows.review_page import doubts_told, overlay
from sheetflow.custody.names import shown_name
from sheetflow.custody.reviewing import look_at_sheet, sheet_to_review
from sheetflow.errors import SheetflowError
from sheetflow.settings import Settings
from sheetflow.sheets import State

_ROWS_AT_MOST = 1000
_TOLD_AT_MOST = 100
_PICTURES_AT_MOST = 10
_PICTURE_BYTES = 120_000
_TROUBLE_FIRST = (State.FAILED, State.REJECTED, State.NEEDS_REVIEW, State.WAITING, State.ARCHIVED)
_WORDS = {
    State.FAILED: "failed",
    State.REJECTED: "rejected",
    State.NEEDS_REVIEW: "to review",
    State.WAITING: "waiting",
    State.ARCHIVED: "archived",
}


def show_summary(settings: Settings, outcomes: Sequence[Outcome]) -> None:
    """Give the run a name that tells how it ended, its table of sheets, and the trouble in words.

    The table, `ingest-summary`, has trouble first; `needs-a-look`, made only if there is any, has
    cause, cure and a link for each sheet, and pictures of those that need a review.
    """
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
    trouble = [outcome for outcome in ordered if not outcome.ok and not outcome.old_news]
    if trouble:
        create_markdown_artifact(
            key="needs-a-look",
            description=f"{len(trouble)} of {len(outcomes)} sheets need a look",
            markdown=_needs_a_look(settings, trouble, of=len(outcomes)),
        )


def _row(outcome: Outcome) -> dict[str, Any]:
    counts = outcome.counts
    cause, cure = _cause_and_cure(outcome)
    return {
        "sheet": shown_name(outcome.name),
        "pictures": counts.pictures if counts else None,
        "symbols": counts.symbols if counts else None,
        "pairs": counts.pairs if counts else None,
        "state": str(outcome.state),
        "seconds": round(outcome.seconds, 1),
        "cause": cause,
        "cure": cure,
        "run": task_run_url(outcome.step_run_id) or "" if outcome.step_run_id else "",
    }


def _cause_and_cure(outcome: Outcome) -> tuple[str, str]:
    if outcome.failure is not None:
        return outcome.failure.cause, outcome.failure.cure
    told = outcome.error or outcome.note or ""
    return told.removeprefix(f"{shown_name(outcome.name)}: "), ""


def _needs_a_look(settings: Settings, trouble: Sequence[Outcome], *, of: int) -> str:
    parts = [f"# {len(trouble)} of {of} sheets need a look"]
    pictures = _PICTURES_AT_MOST
    for outcome in trouble[:_TOLD_AT_MOST]:
        parts.append(f"## {cell(outcome.name)}: {_WORDS.get(outcome.state, outcome.state)}")
        if outcome.state is State.NEEDS_REVIEW:
            parts.append(_doubts(settings, outcome, with_picture=pictures > 0))
            pictures -= 1
            continue
        cause, cure = _cause_and_cure(outcome)
        parts.append(f"**Cause:** {cell(cause)}")
        parts.append(f"**Cure:** {cell(cure)}" if cure else "")
        url = task_run_url(outcome.step_run_id) if outcome.step_run_id else None
        parts.append(str(Link("The step that failed", url)) if url else "")
    more = len(trouble) - _TOLD_AT_MOST
    parts.append(f"... and {more} more: see `ingest-summary`." if more > 0 else "")
    return "\n\n".join(part for part in parts if part)


def _doubts(settings: Settings, outcome: Outcome, *, with_picture: bool) -> str:
    how = f"Answer its review run, or `sheetflow review {(outcome.sha256 or '')[:12]}`."
    try:
        folders = settings.folders
        looked_at = look_at_sheet(folders, sheet_to_review(folders, outcome.sha256 or outcome.name))
        picture = overlay(settings, looked_at, max_bytes=_PICTURE_BYTES) if with_picture else ""
    except (SheetflowError, OSError):
        return f"{cell(outcome.error)}\n\n{how}"  # someone was quicker: it is settled, or gone
    return "\n\n".join(part for part in (doubts_told(looked_at), how, picture) if part)


def _rename(outcomes: Sequence[Outcome]) -> None:
    run_id = flow_run.get_id()
    if run_id is None or flow_run.get_name() != "ingest sheets":
        return  # one sheet's run bears its name
    numbers = Counter(outcome.state for outcome in outcomes)
    told = [f"{numbers[state]} {_WORDS[state]}" for state in _TROUBLE_FIRST if numbers[state]]
    name = f"ingest sheets: {', '.join(told) or 'nothing to do'}"
    with get_client(sync_client=True) as client:
        client.update_flow_run(UUID(run_id), name=name)
