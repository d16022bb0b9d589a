"""One sheet's journey through the steps, whatever step it starts from, always with an outcome."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import Task
from prefect.context import FlowRunContext
from prefect.results import ResultRecord  # type: ignore[attr-defined]  # public by use

from flows.outcomes import Outcome
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import is_there
from sheetflow.custody.journal import Entry, load_entry, record_failure
from sheetflow.custody.leases import LeaseLost
from sheetflow.custody.names import shown_name
from sheetflow.custody.results import discard_result, load_reading, load_result
from sheetflow.custody.reviewing import rejection_of
from sheetflow.custody.staging import adopt_staged, staged_twin
from sheetflow.errors import (
    ConfigurationError,
    Failure,
    SheetBusy,
    SheetflowError,
    SheetRejected,
    SpoiledResult,
    StoreUnavailable,
)
from sheetflow.processing import note_processed
from sheetflow.settings import OnDoubt
from sheetflow.sheets import ProcessedSheet, Sheet, State
from sheetflow.store.ledger import Twin, archived_twin
from tasks.archive import archive, archive_duplicate
from tasks.bench import Bench
from tasks.process import process
from tasks.quarantine import quarantine
from tasks.retries import retry_options
from tasks.stage import stage
from tasks.upload import upload

logger = logging.getLogger("sheetflow.journey")

_BACKLOG = (
    "left in the inbox: MongoDB is away, and as many sheets wait for it as "
    "SHEETFLOW_MAX_BACKLOG allows"
)
_STEPS = (stage, process, upload, archive, archive_duplicate, quarantine)


class StepFailed(Exception):
    """A step's task run ended in another state than Completed; Prefect has it on record."""

    def __init__(self, error: BaseException, step_run_id: UUID | None = None) -> None:
        self.error = error
        self.step_run_id = step_run_id
        super().__init__(str(error))


class Stopped(Exception):
    """The run was asked to stop; the sheet stays where its last step left it."""


class Journey:
    """Takes sheets through the steps of one run; used by several threads at once."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        options = retry_options(bench.settings)
        self._tasks = {step.name: step.with_options(**options) for step in _STEPS}

    def travel(self, path: Path) -> Outcome | None:
        """Bring the sheet at `path`, in inbox, staging or archive, as far as it goes.

        Returns:
            What became of it; None if another run took it meanwhile.
        """
        started = time.perf_counter()
        try:
            lease_s = self._bench.settings.lease_s
            claim = claimed_sheet(self._bench.folders, path, lease_s=lease_s)
            with claim as sheet, _results_forgotten():
                outcome = self._with_outcome(sheet)
            if outcome is None:
                return None
        except FileNotFoundError as error:
            if not is_there(path):
                return None
            # Not the sheet is gone, but a folder of ours: that must not look like success.
            outcome = _failed(path.name, None, error)
        except SheetBusy as error:
            outcome = Outcome(path.name, None, State.WAITING, busy=True, note=str(error))
        except SheetflowError as error:
            outcome = _failed(path.name, None, error)
        return replace(outcome, seconds=time.perf_counter() - started)

    def _with_outcome(self, sheet: Sheet) -> Outcome | None:
        entry = load_entry(self._bench.folders, sheet.sha256)
        if sheet.path.parent == self._bench.folders.archive and (
            entry is None or entry.archived_name != sheet.path.name
        ):
            return None  # its own run was only about to tell the ledger, and has done so since
        name = entry.name if entry is not None else sheet.name
        if entry is not None and self._waits_for_a_person(entry, sheet):
            return replace(_needs_review(entry), old_news=True)
        try:
            return self._steps(sheet, name)
        except Stopped:
            return Outcome(name, sheet.sha256, State.WAITING, note="the run was stopped")
        except StepFailed as failure:
            outcome = self._failed(sheet, name, failure.error)
            return replace(outcome, step_run_id=failure.step_run_id)

    def _steps(self, sheet: Sheet, name: str) -> Outcome:
        bench = self._bench
        if sheet.path.parent == bench.folders.inbox:
            twin = self._archived_twin(sheet, wait=False)
            if twin is not None:
                return self._duplicate(sheet, name, twin)
            staged = staged_twin(bench.folders, sheet)
            if staged is not None:
                # Not a failure: once that one is done, in this run or a later one, this one is its
                # duplicate. Killed runs leave one of two staged, and the other may come first here.
                note = f"the same bytes are in work already, as {shown_name(staged)}"
                return Outcome(sheet.name, sheet.sha256, State.WAITING, busy=True, note=note)
            if bench.backlog_full:
                return Outcome(name, sheet.sha256, State.WAITING, note=_BACKLOG)
            sheet = self._run(stage, sheet, bench)
        entry = adopt_staged(bench.folders, sheet, flow_run_id=bench.flow_run_id)
        rejection = rejection_of(entry)
        if rejection is not None:
            return self._reject(sheet, name, rejection)
        try:
            processed = load_result(bench.folders, sheet)
            if processed is None:
                processed = self._run(process, sheet, bench)
            elif entry.state is State.STAGED:
                # Killed between the results and the journal, which must know a sheet that waits.
                note_processed(bench.folders, processed, flow_run_id=bench.flow_run_id)
        except StepFailed as failure:
            if not isinstance(failure.error, SheetRejected):
                raise
            return self._reject(sheet, name, failure.error)
        held = bool(processed.reading.doubts) and entry.archived_name is None
        if sheet.path.parent == bench.folders.staging:
            # When it was staged, MongoDB may not have been open yet.
            twin = self._archived_twin(sheet, wait=not (held and bench.door.failed))
            if twin is not None:
                return self._duplicate(sheet, name, twin)
        return self._hold(processed) if held else self._store(processed, name)

    def _reject(self, sheet: Sheet, name: str, error: SheetRejected) -> Outcome:
        self._run(quarantine, sheet, error, self._bench)
        return replace(_failed(name, sheet.sha256, error), state=State.REJECTED)

    def _store(self, processed: ProcessedSheet, name: str) -> Outcome:
        sheet = processed.sheet
        receipt = self._upload(processed, certain_only=False)
        self._run(archive, sheet, receipt, self._bench)
        return Outcome(name, sheet.sha256, State.ARCHIVED, processed.counts)

    def _hold(self, processed: ProcessedSheet) -> Outcome:
        bench, sheet = self._bench, processed.sheet
        if bench.settings.on_doubt is OnDoubt.STORE_CERTAIN and processed.reading.certain_pairs:
            self._upload(processed, certain_only=True)
        entry = load_entry(bench.folders, sheet.sha256)
        if entry is None:
            entry = adopt_staged(bench.folders, sheet)
        return replace(_needs_review(entry), counts=processed.counts)

    def _upload(self, processed: ProcessedSheet, *, certain_only: bool) -> Any:
        if self._bench.outage is not None:
            self._bench.note_waiting_for_upload()
            # Another sheet has used up its retries on the same outage; this one's would add
            # nothing but waiting. Its results are kept, and the next run uploads them.
            raise StepFailed(self._bench.outage)
        reading = processed.reading
        pairs = reading.certain_pairs if certain_only else reading.pairs
        try:
            return self._run(upload, processed, pairs, self._bench)
        except StepFailed as failure:
            if isinstance(failure.error, StoreUnavailable | ConfigurationError):
                self._bench.note_waiting_for_upload()
                self._bench.outage = failure.error
            raise

    def _duplicate(self, sheet: Sheet, name: str, twin: Twin) -> Outcome:
        self._run(archive_duplicate, sheet, twin.name, self._bench)
        note = f"the same bytes as {shown_name(twin.name)}, which is stored and archived already"
        return Outcome(name, sheet.sha256, State.ARCHIVED, twin.counts, note=note)

    def _archived_twin(self, sheet: Sheet, *, wait: bool) -> Twin | None:
        door = self._bench.door
        try:
            store = door.open() if wait and self._bench.outage is None else door.opened()
            return archived_twin(store, sheet.sha256) if store is not None else None
        except SheetflowError:
            return None  # MongoDB is away: the upload will say so, with its retries

    def _waits_for_a_person(self, entry: Entry, sheet: Sheet) -> bool:
        if (
            entry.state is not State.NEEDS_REVIEW
            or sheet.path.parent != self._bench.folders.staging
        ):
            return False
        if rejection_of(entry) is not None:
            return False  # it was not carried out
        if load_reading(self._bench.folders, sheet.sha256) is None:
            return False  # nothing that a person could look at, or an earlier version's
        if self._archived_twin(sheet, wait=not self._bench.door.failed) is not None:
            return False  # a duplicate, which MongoDB was away to tell
        store_certain = self._bench.settings.on_doubt is OnDoubt.STORE_CERTAIN
        return not (store_certain and entry.stored_pairs == 0)

    def _failed(self, sheet: Sheet, name: str, error: BaseException) -> Outcome:
        bench = self._bench
        outcome = _failed(name, sheet.sha256, error)
        if isinstance(error, LeaseLost):
            # Another run may be writing the journal by now: it is no longer ours to write.
            return outcome
        if isinstance(error, SpoiledResult):
            discard_result(bench.folders, sheet)
        try:
            record_failure(
                bench.folders,
                sheet,
                _told(name, error),
                failure=outcome.failure,
                flow_run_id=bench.flow_run_id,
            )
        except SheetflowError as unwritten:
            logger.warning("%s: the journal could not be written: %s", sheet.label, unwritten)
        entry = load_entry(bench.folders, sheet.sha256)
        bench.tell_ledger(entry)
        return replace(outcome, counts=entry.counts if entry is not None else None)

    def _run(self, step: Task[..., Any], *arguments: Any) -> Any:
        if self._bench.stopping.is_set():
            raise Stopped
        state = self._tasks[step.name](*arguments, return_state=True)
        # `State.result` would give the same by way of an event loop in another thread.
        value = state.data.result if isinstance(state.data, ResultRecord) else state.data
        if state.is_completed():
            return value
        error = value if isinstance(value, BaseException) else RuntimeError(state.message)
        raise StepFailed(error, state.state_details.task_run_id)


@contextlib.contextmanager
def _results_forgotten() -> Iterator[None]:
    """Have Prefect remember for one sheet only which step gave which result.

    It draws from that which step followed which, and would keep it until the run ends: a
    megabyte for a hundred sheets.
    """
    run = FlowRunContext.get()
    if run is None:
        yield
        return
    with run.model_copy(update={"run_results": {}}):
        yield


def _needs_review(entry: Entry) -> Outcome:
    doubts = "; ".join(entry.doubts) or "it needs a review"
    stored = f" ({entry.stored_pairs} certain pairs are stored)" if entry.stored_pairs else ""
    return Outcome(
        entry.name,
        entry.sha256,
        State.NEEDS_REVIEW,
        entry.counts,
        error=f"{shown_name(entry.name)}: {doubts}{stored}. Look at it with `sheetflow review` or "
        "in its review run; it is held until the doubts are settled.",
    )


def _failed(name: str, sha256: str | None, error: BaseException) -> Outcome:
    failure = Failure.of(error)
    return Outcome(name, sha256, State.FAILED, error=_told(name, error), failure=failure)


def _told(name: str, error: BaseException) -> str:
    if isinstance(error, SheetflowError) and error.sheet:
        return str(error)
    return Failure.of(error).told(shown_name(name))
