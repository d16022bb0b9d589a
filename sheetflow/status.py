"""Where every sheet stands, answered from the folders and the journal, MongoDB there or not."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sheetflow.custody.counting import count_sheets
from sheetflow.custody.folders import Folders
from sheetflow.custody.inbox import waiting_names
from sheetflow.custody.journal import Entry
from sheetflow.custody.lookup import entries_by_staged_name
from sheetflow.custody.names import is_ignored, portable_name
from sheetflow.custody.quarantine import reason_file
from sheetflow.custody.staging import staged_files
from sheetflow.errors import Failure
from sheetflow.sheets import State

_ARCHIVE_COUNT = "archive-count.json"
_AWAITING_UPLOAD = (State.PROCESSED, State.UPLOADED)


@dataclass(frozen=True)
class StagedStatus:
    """One sheet in staging, as the journal knows it.

    Attributes:
        age_s: For how long it has been here, inbox included, in seconds.
        failure: `last_error` in parts, None where that was not kept.
    """

    name: str
    sha256: str | None
    state: State
    attempts: int
    last_error: str | None
    doubts: tuple[str, ...]
    age_s: float
    failure: Failure | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow status --json` prints it."""
        return {
            "name": portable_name(self.name),
            "sha256": self.sha256,
            "state": str(self.state),
            "attempts": self.attempts,
            "last_error": self.last_error,
            "doubts": list(self.doubts),
        }


@dataclass(frozen=True)
class SystemStatus:
    """The whole system at a glance.

    Attributes:
        waiting: Files in the inbox.
        staged: All files in staging; the next three count some of them.
        awaiting_upload: Processed, and not yet archived.
        needs_review: Waiting for a person.
        failed: Staged sheets whose last attempt failed.
        archived: Files in the archive.
        rejected: Files in quarantine, their reason files not counted.
        sheets: The staged ones, oldest first.
        oldest_unarchived_s: For how long the first of the files in inbox and staging has been
            there, in seconds; None if there is none. What time a file bears does not matter: a
            picture of last year that was dropped just now is not a year late.
        waiting_names: The names of the waiting ones, sorted.
    """

    waiting: int
    staged: int
    awaiting_upload: int
    needs_review: int
    failed: int
    archived: int
    rejected: int
    sheets: tuple[StagedStatus, ...]
    oldest_unarchived_s: float | None
    waiting_names: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no sheet has failed and none waits for a person."""
        return not (self.failed or self.needs_review)

    def told(self) -> str:
        """Return all of it in one sentence, for a headline."""
        parts = [f"{self.waiting} waiting", f"{self.staged} staged"]
        for number, words in (
            (self.failed, "failed"),
            (self.needs_review, "need a review"),
            (self.awaiting_upload, "await their upload"),
        ):
            if number:
                parts.append(f"{number} of these {words}")
        parts += [f"{self.archived} archived", f"{self.rejected} rejected"]
        age = self.oldest_unarchived_s
        oldest = f"; the oldest unarchived is {shown_age(age)} old" if age is not None else ""
        return f"{', '.join(parts)}{oldest}"

    def to_json(self, *, reachable: bool, embedded: bool) -> dict[str, Any]:
        """Return it as `sheetflow status --json` prints it."""
        return {
            "waiting": self.waiting,
            "staged": self.staged,
            "awaiting_upload": self.awaiting_upload,
            "needs_review": self.needs_review,
            "failed": self.failed,
            "archived": self.archived,
            "rejected": self.rejected,
            "oldest_unarchived_s": self.oldest_unarchived_s,
            "sheets": [sheet.to_json() for sheet in self.sheets],
            "mongodb": {"reachable": reachable, "embedded": embedded},
        }


def system_status(folders: Folders) -> SystemStatus:
    """Look at the folders and the journal; missing folders count as empty ones."""
    waiting = waiting_ages_s(folders)
    sheets = staged_statuses(folders)
    ages_s = [*waiting.values(), *(sheet.age_s for sheet in sheets)]
    return SystemStatus(
        waiting=len(waiting),
        staged=len(sheets),
        awaiting_upload=sum(sheet.state in _AWAITING_UPLOAD for sheet in sheets),
        needs_review=sum(sheet.state is State.NEEDS_REVIEW for sheet in sheets),
        failed=sum(sheet.last_error is not None for sheet in sheets),
        archived=count_sheets(folders.archive, memory=folders.state / _ARCHIVE_COUNT),
        rejected=_count_rejected(folders.quarantine),
        sheets=sheets,
        oldest_unarchived_s=round(max(ages_s), 1) if ages_s else None,
        waiting_names=tuple(waiting),
    )


def shown_age(seconds: float) -> str:
    """Return an age as people say it, in its largest unit of which there are two at least."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def waiting_ages_s(folders: Folders) -> dict[str, float]:
    """Return the files in the inbox by name, with the seconds that each has been there."""
    names = waiting_names(folders) if folders.inbox.is_dir() else []
    ages_s = ((name, _age_s(folders.inbox / name)) for name in names)
    return {name: age_s for name, age_s in ages_s if age_s is not None}


def staged_statuses(folders: Folders) -> tuple[StagedStatus, ...]:
    """Return the sheets in staging, oldest file first."""
    staged = staged_files(folders) if folders.staging.is_dir() else []
    known = entries_by_staged_name(folders)
    return tuple(_staged(path, known.get(path.name)) for path in staged)


def _staged(path: Path, entry: Entry | None) -> StagedStatus:
    if entry is None:
        return StagedStatus(path.name, None, State.STAGED, 0, None, (), _age_s(path) or 0.0)
    state = State.STAGED if entry.state is State.WAITING else entry.state
    return StagedStatus(
        path.name,
        entry.sha256,
        state,
        entry.attempts,
        entry.last_error,
        entry.doubts,
        _known_for_s(entry),
        entry.failure if entry.last_error else None,
    )


def _known_for_s(entry: Entry) -> float:
    # It may have been here before, and gone to quarantine or archive: its last arrival counts.
    arrivals = [event.at for event in entry.history if event.state == State.WAITING]
    since = arrivals[-1:] or [event.at for event in entry.history[:1]]
    return max(time.time() - datetime.fromisoformat(since[0]).timestamp(), 0.0) if since else 0.0


def _count_rejected(folder: Path) -> int:
    names = set(_file_names(folder))
    reasons = {reason_file(folder / name).name for name in names}
    return len(names - reasons)


def _file_names(folder: Path) -> Iterable[str]:
    if not folder.is_dir():
        return
    with os.scandir(folder) as found:
        for item in found:
            if not is_ignored(item.name):
                yield item.name


def _age_s(path: Path) -> float | None:
    try:
        # When it was put there or written last; its other time comes from where it was copied.
        return max(time.time() - path.lstat().st_ctime, 0.0)
    except FileNotFoundError:
        return None  # moved on while we looked
