"""The main job: everything in the inbox, or one file, to MongoDB and into the archive."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextvars import copy_context
from itertools import islice
from pathlib import Path
from zlib import crc32

from prefect import flow
from prefect.client.schemas.objects import State as RunState
from prefect.runtime import flow_run

from flows.beginning import begin
from flows.forms import AS_SET, Doubt, KnownSheets, OnDoubtChoice, Text
from flows.journey import Journey
from flows.living import living
from flows.outcomes import Outcome, announce, expect, verdict
from flows.pace import Pace
from flows.progress import ProgressBar
from flows.review_runs import tend_reviews
from flows.summary import show_summary
from flows.telling import end_told, tell_of_sheets
from sheetflow.custody.archive import half_archived
from sheetflow.custody.folders import check_room
from sheetflow.custody.forced_steps import settle_forced, tell_untold
from sheetflow.custody.inbox import Inbox, Waiting, look_into_inbox, waiting_names
from sheetflow.custody.names import shown_name
from sheetflow.custody.reconciling import reconcile
from sheetflow.custody.staging import bring_in, staged_files
from sheetflow.custody.unheard import tell_unheard
from sheetflow.errors import Failure
from sheetflow.isolation import IsolatedWorkers
from sheetflow.presence import others_present
from sheetflow.settings import Settings
from sheetflow.sheets import State
from sheetflow.store.connection import StoreDoor
from sheetflow.telling.figures import figures_kept
from tasks.bench import Bench
from tasks.run_log import say_it_once

logger = logging.getLogger("sheetflow.ingest")


@flow(
    name="ingest-sheets",
    flow_run_name="ingest sheets",
    description="Drain the inbox: every sheet to MongoDB and, confirmed, into the archive. Sheets "
    "that an earlier run left in staging are taken up where it stopped. The run is red, and names "
    "the sheets, if any failed, was rejected or needs a review; the others are done.",
)
def ingest_sheets(
    root: Text = "", on_doubt: OnDoubtChoice = Doubt.AS_SET, sheets: KnownSheets = AS_SET
) -> RunState[None]:
    """Drain the inbox: every sheet to MongoDB and, confirmed, into the archive.

    Args:
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
        on_doubt: What becomes of a sheet that needs a review. `hold`: nothing of it is stored
            until then; `store-certain`: its certain pairs are; `as set`: what SHEETFLOW_ON_DOUBT
            says.
        sheets: What you know about the sheets of this run, if it is more than the settings say.
    """
    with _bench(root, on_doubt, sheets) as bench:
        folders = bench.folders
        inbox = _look(bench)
        queue = [*half_archived(folders), *staged_files(folders), *inbox.ready]
        paths = _share(bench, queue)
        outcomes = [*_left(inbox.left), *_travel_all(bench, paths)]
    tell_of_sheets(bench.settings, outcomes, whole=len(paths) == len(queue))
    return _concluded(bench.settings, outcomes)


@flow(
    name="ingest-sheet",
    flow_run_name="ingest {file.name}",
    description="Take one sheet to MongoDB and, confirmed, into the archive.",
)
def ingest_sheet(
    file: Path,
    root: Text = "",
    on_doubt: OnDoubtChoice = Doubt.AS_SET,
    sheets: KnownSheets = AS_SET,
) -> RunState[None]:
    """Take one sheet to MongoDB and, confirmed, into the archive.

    Args:
        file: The sheet: the name of a file in the inbox or in staging, or the path of a file from
            elsewhere, which is copied into the inbox first.
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
        on_doubt: What becomes of a sheet that needs a review. `hold`: nothing of it is stored
            until then; `store-certain`: its certain pairs are; `as set`: what SHEETFLOW_ON_DOUBT
            says.
        sheets: What you know about the sheets of this run, if it is more than the settings say.
    """
    with _bench(root, on_doubt, sheets) as bench:
        path = bring_in(bench.folders, file)
        if path.parent == bench.folders.inbox:
            inbox = _look(bench, only=path.name)
            outcomes = [*_left(inbox.left), *_travel_all(bench, list(inbox.ready))]
        else:
            outcomes = _travel_all(bench, [path])
    tell_of_sheets(bench.settings, outcomes, whole=False)
    return _concluded(bench.settings, outcomes)


@contextlib.contextmanager
def _bench(root: str, on_doubt: Doubt, sheets: KnownSheets) -> Iterator[Bench]:
    say_it_once()
    with end_told(root):
        settings = begin(root, on_doubt=on_doubt.chosen(), **sheets.chosen())
        folders = settings.folders
        with living(folders), figures_kept(folders), _prepared(settings) as bench:
            yield bench


@contextlib.contextmanager
def _prepared(settings: Settings) -> Iterator[Bench]:
    reconcile(settings.folders, lease_s=settings.lease_s)
    settle_forced(settings.folders)
    check_room(settings.folders, min_free_bytes=settings.min_free_bytes)
    workers = IsolatedWorkers(
        settings.readers,
        timeout_s=settings.sheet_timeout_s,
        preload="sheetflow.processing",
        memory_bytes=settings.reader_memory_bytes,
    )
    with StoreDoor(settings) as door, workers:
        is_work = bool(waiting_names(settings.folders) or staged_files(settings.folders))
        if is_work:
            # MongoDB is looked for, or started, while the first sheets are staged and processed.
            door.open_in_background()
        yield Bench(settings, door, workers, flow_run.get_id())
        tell_untold(settings.folders, door.open)
        if is_work:
            tell_unheard(settings.folders, door.open)
    tend_reviews(settings)


def _look(bench: Bench, *, only: str | None = None) -> Inbox:
    settings = bench.settings
    return look_into_inbox(
        bench.folders, settle_s=settings.settle_s, done_suffix=settings.done_suffix, only=only
    )


def _share(bench: Bench, paths: Sequence[Path]) -> Sequence[Path]:
    """Return the sheets that this run takes, in the order in which it tries them.

    They are the oldest; but beside other runs each begins somewhere else in the queue, or all would
    try the same sheets one after the other and hash them for nothing.
    """
    run_id = bench.flow_run_id or ""
    if paths and others_present(bench.folders, run_id):
        start = crc32(run_id.encode()) % len(paths)
        paths = [*paths[start:], *paths[:start]]
    most = bench.settings.sheets_a_run
    if most and len(paths) > most:
        logger.info("%d sheets are left for the next run", len(paths) - most)
        return paths[:most]
    return paths


def _travel_all(bench: Bench, paths: Sequence[Path]) -> list[Outcome]:
    expect(len(paths))
    journey, bar = Journey(bench), ProgressBar(len(paths))
    outcomes: list[Outcome] = []
    later: list[Path] = []

    def done(outcome: Outcome | None) -> None:
        bar.advance()
        if outcome is not None:
            announce(outcome)
            outcomes.append(outcome)

    with _threads(bench) as pool:
        for path, outcome in _side_by_side(pool, journey, paths, bench.settings.sheets_in_flight):
            if outcome is not None and outcome.busy and len(paths) > 1:
                later.append(path)
            else:
                done(outcome)
    # Files with the same bytes exclude each other; the first is done by now, or someone else's.
    for path in sorted(later):
        done(journey.travel(path))
    return outcomes


def _side_by_side(
    pool: ThreadPoolExecutor, journey: Journey, paths: Iterable[Path], at_once: int
) -> Iterator[tuple[Path, Outcome | None]]:
    """Yield each path and what became of it, as they end.

    Only as many are handed to the threads as keep them busy, so that memory does not grow with the
    queue; and no more than Prefect can be told of.
    """
    waiting, running = iter(paths), dict[Future[Outcome | None], Path]()
    pace = Pace()
    while True:
        for path in islice(waiting, 2 * at_once - len(running)):
            pace.keep()
            running[pool.submit(copy_context().run, journey.travel, path)] = path
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            yield running.pop(future), future.result()


@contextlib.contextmanager
def _threads(bench: Bench) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(bench.settings.sheets_in_flight, thread_name_prefix="sheet")
    try:
        yield pool
    except BaseException:
        # Ctrl-C, or the run was cancelled: each sheet ends its present step and stays there.
        bench.stopping.set()
        pool.shutdown(wait=True, cancel_futures=True)
        raise
    pool.shutdown()


def _left(waiting: Sequence[Waiting]) -> list[Outcome]:
    outcomes = []
    for item in waiting:
        name = shown_name(item.path.name)
        failure = Failure("inbox", item.cause, item.cure) if item.cure else None
        error = failure.told(name) if failure else None
        note = None if failure else item.cause
        outcomes.append(
            Outcome(item.path.name, None, State.WAITING, error=error, note=note, failure=failure)
        )
    for outcome in outcomes:
        announce(outcome)
    return outcomes


def _concluded(settings: Settings, outcomes: Sequence[Outcome]) -> RunState[None]:
    show_summary(settings, outcomes)
    return verdict(outcomes)
