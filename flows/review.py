"""A person's review of one sheet: shown, waited for without holding anything, checked, taken on.

The run is suspended while it waits: no process, no slot. When it is answered, Prefect runs the flow
again from the top, in a new process, through its deployment. So the flow finds out where it stands
from the sheet and from the last answer, as every other run of sheetflow does; nothing is replayed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.objects import State as RunState
from prefect.context import FlowRunContext
from prefect.flow_runs import suspend_flow_run
from prefect.input.actions import read_flow_run_input
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Completed, Failed

from flows.beginning import begin
from flows.forms import Text
from flows.ingest import ingest_sheet
from flows.living import living
from flows.pages import Link, artifact_url, cell
from flows.review_form import Whole, answers_of, review_form
from flows.review_page import doubts_told, review_page
from flows.review_runs import label_run, other_review
from flows.telling import end_told
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, whoami
from sheetflow.custody.lookup import Found, choose, staged_sheets
from sheetflow.custody.names import portable_name, shown_name
from sheetflow.custody.results import load_reading
from sheetflow.custody.reviewing import UnderReview, look_at_sheet
from sheetflow.errors import SheetBusy, SheetflowError
from sheetflow.review.answers import AnswerRefused, decided
from sheetflow.settings import Settings
from sheetflow.sheets import State
from sheetflow.store.ledger import write_progress
from sheetflow.store.reach import store_at_hand
from tasks.review import reject, reread, settle

logger = logging.getLogger("sheetflow.review")


@flow(
    name="review-sheet",
    flow_run_name="review {sheet}",
    description="Show a sheet that needs a person, wait for the answer, and take the sheet on. The "
    "picture and the table are among the run's artifacts; Resume opens the form. While it waits, "
    "the run holds no process and no slot, for as long as it takes. A wrong answer is told and "
    "asked for again, with what was answered in the fields.",
)
def review_sheet(sheet: str, sha256: Text = "", root: Text = "") -> RunState[None]:
    """Show a sheet that needs a person, wait for the answer, and take the sheet on.

    Args:
        sheet: The sheet that needs a review: any of its names, or the first digits of its SHA-256.
        sha256: Its SHA-256, where several sheets go by the name. Usually empty.
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
    """
    with end_told(root):
        settings = begin(root)
        with living(settings.folders):
            return _review(settings, sheet, sha256 or None, _this_run())


def _review(settings: Settings, sheet: str, sha256: str | None, run: FlowRun) -> RunState[None]:
    answer, problems = _last_answer(run), tuple[str, ...]()
    try:
        found = choose(
            sha256 or sheet, staged_sheets(settings.folders), meaning="a sheet in images_sources/"
        )
    except SheetflowError as error:
        # Asked for by an ingest, or answered: then it was there, and somebody was quicker.
        if sha256 is not None or answer is not None:
            return Completed(message=f"{sheet} waits for no review any more: it has left staging.")
        return Failed(message=str(error))
    if answer is not None and found.state is State.NEEDS_REVIEW:
        try:
            entry = _decide(settings, found, answer, run)
        except AnswerRefused as error:
            problems = error.problems
        except SheetBusy:
            problems = ("a run was at work on the sheet just then: send the same answer again",)
        else:
            if entry.state is State.REJECTED:
                return Completed(message=f"{sheet}: rejected, see images_rejected.")
            found = _now(settings.folders, found)
    if not _is_to_be_asked(settings.folders, found):
        went = _take_on(settings, found)
        found = _now(settings.folders, found)
        if not _is_to_be_asked(settings.folders, found):
            return went
    return _ask(settings, found, run, problems=problems, before=answer if problems else None)


def _this_run() -> FlowRun:
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        raise RuntimeError("outside of a flow run")
    return context.flow_run


def _asked(run: FlowRun) -> int:
    """Return how often this run has asked."""
    return len(run.empirical_policy.pause_keys or ())


def _last_answer(run: FlowRun) -> Mapping[str, Any] | None:
    """Return the answer that the run was resumed with; all earlier ones were refused."""
    if _asked(run) == 0:
        return None
    keys = keyset_from_base_key(f"suspended-{_asked(run)}")
    value = read_flow_run_input(keys["response"], flow_run_id=run.id)
    return value if isinstance(value, Mapping) else None


def _is_to_be_asked(folders: Folders, found: Found) -> bool:
    """Tell whether a sheet waits for a person, and there is something to look at."""
    held = found.state is State.NEEDS_REVIEW
    return held and load_reading(folders, found.sha256 or "") is not None


def _now(folders: Folders, found: Found) -> Found:
    """Return the sheet as it is now; in the state that it had, if it has left staging."""
    return next(
        (item for item in staged_sheets(folders) if item.sha256 == found.sha256),
        Found(found.path, State.ARCHIVED, found.sha256, found.names),
    )


def _decide(settings: Settings, found: Found, answer: Mapping[str, Any], run: FlowRun) -> Entry:
    by, note = f"{answer.get('by')} (through {whoami()})", str(answer.get("note", ""))
    folders, run_id = settings.folders, str(run.id)
    whole = answer.get("sheet", Whole.SETTLE)
    if whole == Whole.REJECT and not note.strip():
        raise AnswerRefused(("say in the note why it is rejected",), sheet=found.path.name)
    if whole == Whole.REJECT:
        entry = reject(folders, found, note, by=by, flow_run_id=run_id)
    elif whole == Whole.REREAD:
        entry = reread(folders, found, by=by, note=note, flow_run_id=run_id)
    else:
        reading, name = look_at_sheet(folders, found).reading, shown_name(found.path.name)
        answers = answers_of(answer, reading, sheet=name)
        decided(reading, answers, sheet=name)  # a wrong answer is no failed step
        entry = settle(folders, found, answers, by=by, note=note, flow_run_id=run_id)
    if entry.state is State.REJECTED:  # no step follows that would tell the ledger
        _tell_ledger(settings, entry)
    return entry


def _tell_ledger(settings: Settings, entry: Entry) -> None:
    try:
        with store_at_hand(settings, start=True) as at_hand:
            if at_hand.store is not None:
                write_progress(at_hand.store, entry)
    except SheetflowError as error:
        logger.warning("The ledger could not be told of %s: %s", entry.sha256[:8], error)


def _take_on(settings: Settings, found: Found) -> RunState[None]:
    """Take a settled sheet to upload and archive, in a run of its own below this one."""
    if not os.path.lexists(found.path):
        return Completed(message=f"{shown_name(found.path.name)}: another run has taken it on.")
    file = Path(portable_name(found.path.name))  # Prefect cannot carry names that are not UTF-8
    went: RunState[Any] = ingest_sheet(
        file, root=str(settings.root), on_doubt=settings.on_doubt, return_state=True
    )
    # A state of this run's own: of another's, Prefect says no more than that it is completed.
    end = Completed if went.is_completed() else Failed
    return end(message=went.message)


def _ask(
    settings: Settings,
    found: Found,
    run: FlowRun,
    *,
    problems: tuple[str, ...],
    before: Mapping[str, Any] | None,
) -> RunState[None]:
    looked_at = look_at_sheet(settings.folders, found)
    sha256, name = looked_at.entry.sha256, shown_name(looked_at.entry.name)
    artifact = create_markdown_artifact(
        key=f"review-{sha256[:12]}",
        markdown=review_page(settings, looked_at),
        description=f"{name}: {'; '.join(looked_at.entry.doubts)}",
    )
    if run.deployment_id is None:
        return Failed(
            message=f"{name} still waits for its review. Without a deployment a run cannot wait "
            f"for an answer: use `sheetflow review {sha256[:12]}`, or start review-sheet from its "
            "deployment."
        )
    other = other_review(run, sha256)
    if other is not None:
        return Completed(
            message=f"{name} is being reviewed in another run: {other.name}, {other.id}"
        )
    label_run(run, sha256)
    form = review_form(
        looked_at.reading,
        sheet=name,
        description=_description(looked_at, problems, artifact),
        problems=problems,
        before=before,
    )
    # A key of its own for each time: one that has fired would let the run go on unasked.
    suspend_flow_run(wait_for_input=form, key=str(_asked(run) + 1))
    raise AssertionError("a suspended run does not come back here")


def _description(looked_at: UnderReview, problems: tuple[str, ...], artifact_id: object) -> str:
    link = Link("picture and numbers", artifact_url(artifact_id) or "")
    refused = ["Your answer was not taken:", "\n".join(f"- {cell(text)}" for text in problems)]
    name = cell(looked_at.entry.name)
    parts = [f"In doubt on **{name}** ({link}):", doubts_told(looked_at)]
    return "\n\n".join([*(refused if problems else []), *parts])
