"""The journal: what is known of each sheet that is not archived yet, kept beside its work products.

MongoDB's ledger tells a sheet's whole life, but it may be away when a sheet is staged, fails or
waits. So each sheet's entry is written here first, and copied to the ledger whenever that answers.
One folder a sheet, named by its digest; the entry appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import logging
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sheetflow.custody.files import translated_errors, write_file
from sheetflow.custody.folders import Folders
from sheetflow.errors import Failure
from sheetflow.review.decisions import Review
from sheetflow.sheets import Counts, Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)

GONE = ".gone"
"""Ends the name of a work folder that is being removed."""

_ENTRY = "sheet.json"
_DUPLICATE = "duplicate.json"


@dataclass(frozen=True)
class Origin:
    """The very file in the inbox that a sheet came from: tells a leftover from a second drop."""

    name: str
    inode: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Origin:
        """Describe the file at `path`."""
        status = path.lstat()
        return cls(name=path.name, inode=status.st_ino, mtime_ns=status.st_mtime_ns)

    def stands_in(self, folder: Path) -> bool:
        """Tell whether the file is there still, under its name."""
        try:
            return Origin.of(folder / self.name) == self
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class Event:
    """One line of a sheet's history.

    Attributes:
        state: The state that it came into, `failed`, or `taken over`.
        at: When, UTC, ISO 8601.
        by: Who: account and machine.
        flow_run_id: The Prefect run, if it was one.
        note: What there is to say.
    """

    state: str
    at: str
    by: str
    flow_run_id: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Entry:
    """What is known of one sheet.

    Attributes:
        sha256: Its identity.
        name: The name that people gave it.
        state: Where it stands; never `failed`, which is an attempt's outcome and no place.
        staged_name: Its name in staging, another one where two sheets have the same name.
        origin: The file in the inbox that it came from.
        archived_name: Its name in the archive, from the moment when it is about to go there.
        quarantined_name: Its name in quarantine, likewise.
        returning_from: Its name in the archive, while it is on its way back from there.
        attempts: How many runs have worked on it.
        counts: What was found on it, once it was processed.
        doubts: Why a person should look at it.
        stored_pairs: How many of its pairs are stored and confirmed.
        last_error: Why the last attempt failed; None after one that did not.
        failure: The same in parts; counts only where there is a `last_error`.
        history: What happened, in order.
        reviews: What persons decided about it, in order; the last one holds.
    """

    sha256: str
    name: str
    state: State
    staged_name: str
    origin: Origin | None = None
    archived_name: str | None = None
    quarantined_name: str | None = None
    returning_from: str | None = None
    attempts: int = 0
    counts: Counts | None = None
    doubts: tuple[str, ...] = ()
    stored_pairs: int = 0
    last_error: str | None = None
    failure: Failure | None = None
    history: tuple[Event, ...] = field(default=())
    reviews: tuple[Review, ...] = field(default=())

    @property
    def review(self) -> Review | None:
        """The review that holds, if there was one."""
        return self.reviews[-1] if self.reviews else None

    def moved_on(
        self,
        state: State,
        *,
        flow_run_id: str | None = None,
        note: str | None = None,
        by: str | None = None,
        **changes: Any,
    ) -> Entry:
        """Return the entry in its next state, with the step in its history."""
        event = Event(str(state), now_iso(), by or whoami(), flow_run_id, note)
        return replace(self, state=state, history=(*self.history, event), **changes)

    def failed(
        self, error: str, *, failure: Failure | None = None, flow_run_id: str | None = None
    ) -> Entry:
        """Return the entry after a failed attempt: the place stays, the error is known."""
        event = Event(str(State.FAILED), now_iso(), whoami(), flow_run_id, error)
        return replace(self, last_error=error, failure=failure, history=(*self.history, event))

    def told(self, what: str, note: str) -> Entry:
        """Return the entry with something in its history that changes neither place nor state."""
        event = Event(what, now_iso(), whoami(), None, note)
        return replace(self, history=(*self.history, event))


def work_folder(folders: Folders, sha256: str) -> Path:
    """Return the folder of a sheet's journal entry and work products."""
    return folders.work / sha256


def load_entry(folders: Folders, sha256: str) -> Entry | None:
    """Return what the journal knows of a sheet, None if nothing."""
    return _read(work_folder(folders, sha256) / _ENTRY)


def save_entry(folders: Folders, entry: Entry) -> None:
    """Write a sheet's entry, whole or not at all."""
    folder = work_folder(folders, entry.sha256)
    with translated_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(folder / _ENTRY, json.dumps(asdict(entry), indent=1).encode())


def record_failure(
    folders: Folders,
    sheet: Sheet,
    error: str,
    *,
    failure: Failure | None = None,
    flow_run_id: str | None = None,
) -> None:
    """Write a failed attempt into the journal; the sheet stays where it is."""
    entry = load_entry(folders, sheet.sha256)
    if entry is not None:
        save_entry(folders, entry.failed(error, failure=failure, flow_run_id=flow_run_id))
    cause = failure.kind if failure is not None else None
    logger.error("%s: failed: %s", sheet.label, error, extra=about("failed", sheet, cause=cause))


def forget_sheet(folders: Folders, sha256: str) -> None:
    """Remove a sheet's entry and work products, once the ledger has its story."""
    # All at once, by a rename: killed in the midst of removing them one by one, the entry would
    # stand there with half of the crops that it promises. What a kill leaves under the other name
    # is removed at the next start.
    gone = folders.work / f".{sha256}{GONE}"
    shutil.rmtree(gone, ignore_errors=True)
    with translated_errors(gone), contextlib.suppress(FileNotFoundError):
        work_folder(folders, sha256).rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


@dataclass(frozen=True)
class Duplicate:
    """A file whose bytes are archived already, on its way to the archive.

    Attributes:
        origin: The very file.
        archived_name: The name that it gets in the archive.
        at: When that was decided, UTC, ISO 8601; the ledger's event has the same time.
        by: Who decided it, and
        flow_run_id: in which run: one that tells the ledger again tells the same event.
    """

    origin: Origin
    archived_name: str
    at: str
    by: str
    flow_run_id: str | None = None


def load_duplicate(folders: Folders, sha256: str) -> Duplicate | None:
    """Return the duplicate of a sheet that is being archived, None if there is none."""
    try:
        value = json.loads((work_folder(folders, sha256) / _DUPLICATE).read_bytes())
        return Duplicate(**{**value, "origin": Origin(**value["origin"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save_duplicate(folders: Folders, sha256: str, duplicate: Duplicate) -> None:
    """Write down that a duplicate is about to be archived; `forget_sheet` removes it."""
    folder = work_folder(folders, sha256)
    with translated_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_file(folder / _DUPLICATE, json.dumps(asdict(duplicate)).encode())


def entries(folders: Folders) -> Iterator[Entry]:
    """Yield every entry of the journal, in the order of the digests."""
    if not folders.work.is_dir():
        return
    for folder in sorted(folders.work.iterdir()):
        entry = _read(folder / _ENTRY) if not folder.name.startswith(".") else None
        if entry is not None:
            yield entry


def now_iso() -> str:
    """Return the present moment, UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
def whoami() -> str:
    """Return the account and the machine, for histories and leases."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):
        account = "unknown"  # a container's bare user id has no name
    return f"{account}@{socket.gethostname()}"


def entry_from_json(value: dict[str, Any]) -> Entry:
    """Rebuild an entry from its fields as JSON holds them."""
    return Entry(
        **{
            **value,
            "state": State(value["state"]),
            "origin": Origin(**value["origin"]) if value["origin"] else None,
            "counts": Counts(**value["counts"]) if value["counts"] else None,
            "doubts": tuple(value["doubts"]),
            "failure": Failure(**value["failure"]) if value.get("failure") else None,
            "history": tuple(Event(**event) for event in value["history"]),
            "reviews": tuple(Review.from_json(review) for review in value.get("reviews", ())),
        }
    )


def _read(path: Path) -> Entry | None:
    try:
        return entry_from_json(json.loads(path.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        # Not ours, or from another version: the sheet itself is in its folder and starts afresh.
        return None
