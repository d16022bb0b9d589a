"""What the tasks of one run work with."""

from __future__ import annotations

import logging
import threading

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry
from sheetflow.custody.staging import staged_files
from sheetflow.errors import SheetflowError
from sheetflow.isolation import IsolatedWorkers
from sheetflow.settings import Settings
from sheetflow.store.connection import StoreDoor
from sheetflow.store.ledger import write_progress

logger = logging.getLogger("sheetflow.bench")


class Bench:
    """Settings, folders, the door to the store and the run's own id, shared by its threads.

    A plain class on purpose: Prefect looks through dataclasses and models that are passed to a
    task, at every call, for results of other tasks.
    """

    def __init__(
        self,
        settings: Settings,
        door: StoreDoor,
        workers: IsolatedWorkers,
        flow_run_id: str | None,
    ) -> None:
        self.settings = settings
        self.door = door
        self.workers = workers
        self.flow_run_id = flow_run_id
        self.stopping = threading.Event()
        """Set when the run was asked to stop: no sheet begins another step."""
        self.outage: SheetflowError | None = None
        """Why MongoDB cannot be used, once one sheet has used up its retries for all."""
        self.uploading = threading.BoundedSemaphore(settings.uploads_at_once)
        """Held while a sheet is uploaded, so that MongoDB is not asked for everything at once."""
        self._backlog = len(staged_files(settings.folders))
        self._counting = threading.Lock()

    @property
    def folders(self) -> Folders:
        """The four places and the state folder."""
        return self.settings.folders

    @property
    def backlog_full(self) -> bool:
        """Whether MongoDB is away and as many sheets wait for their upload as may."""
        return self.outage is not None and self._backlog >= self.settings.max_backlog

    def note_waiting_for_upload(self) -> None:
        """Count a sheet that this run has processed and could not upload."""
        with self._counting:
            self._backlog += 1

    def tell_ledger(self, entry: Entry | None) -> None:
        """Copy a journal entry to the ledger if MongoDB can be had; else the next run does it."""
        store = self.door.opened()
        if store is None or entry is None or self.outage is not None:
            return
        try:
            write_progress(store, entry)
        except SheetflowError as error:
            logger.warning("The ledger could not be told of %s: %s", entry.sha256[:8], error)
