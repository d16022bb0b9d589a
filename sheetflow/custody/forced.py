"""Records of sheets that were archived by force, on disk: kept until the sheet is stored or undone.

`forced/<sha256>.json` says who, when, why, and how far it has come, and `forced/<sha256>/` has the
journal's entry and the work products as they were. So force-archive works with MongoDB away, and
can be undone. The record is written before the move and says where the sheet is going.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from sheetflow.custody.files import sync_folder, translated_errors, write_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, Event, entry_from_json, work_folder
from sheetflow.custody.releases import ForcedRelease, release_from_json, release_to_json
from sheetflow.sheets import State


class Phase(StrEnum):
    """How far a forced sheet has come."""

    BEGUN = "begun"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True)
class Undo:
    """Who took a forced archiving back, when, and why."""

    at: str
    by: str
    reason: str


@dataclass(frozen=True)
class ForcedRecord:
    """What is kept of a sheet that was archived by force.

    Attributes:
        before: The journal's entry, as it was.
        release: Who, when, why, what was stored and what was not.
        archived_name: Its name in the archive.
        flow_run_id: The Prefect run, if it was one.
        phase: How far it has come.
        undo: Who took it back.
        told: Whether the ledger knows the present phase.
    """

    before: Entry
    release: ForcedRelease
    archived_name: str
    flow_run_id: str | None = None
    phase: Phase = Phase.BEGUN
    undo: Undo | None = None
    told: bool = False

    @property
    def sha256(self) -> str:
        """The sheet's digest."""
        return self.before.sha256

    def archived_entry(self) -> Entry:
        """Return the entry of the archived sheet, the step in its history."""
        event = Event(
            str(State.ARCHIVED),
            self.release.at,
            self.release.by,
            self.flow_run_id,
            self.release.note(),
        )
        return replace(
            self.before,
            state=State.ARCHIVED,
            archived_name=self.archived_name,
            history=(*self.before.history, event),
        )


def forced_folder(folders: Folders) -> Path:
    """Return where the records are."""
    return folders.state / "forced"


def kept_products(folders: Folders, sha256: str) -> Path:
    """Return where a forced sheet's work products are kept."""
    return forced_folder(folders) / sha256


def save_forced(folders: Folders, record: ForcedRecord) -> None:
    """Write a record, whole or not at all."""
    folder = forced_folder(folders)
    with translated_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    value = {
        "before": asdict(record.before),
        "release": release_to_json(record.release),
        "forced": record.release.to_json(),
        "archived_name": record.archived_name,
        "flow_run_id": record.flow_run_id,
        "phase": str(record.phase),
        "undo": asdict(record.undo) if record.undo else None,
        "told": record.told,
    }
    write_file(folder / f"{record.sha256}.json", json.dumps(value, indent=1).encode())


def load_forced(folders: Folders, sha256: str) -> ForcedRecord | None:
    """Return the record of a sheet that was archived by force, None if it was not."""
    try:
        value = json.loads((forced_folder(folders) / f"{sha256}.json").read_bytes())
        return _record(value)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forced_records(folders: Folders) -> Iterator[ForcedRecord]:
    """Yield every record, in the order of the digests."""
    if not forced_folder(folders).is_dir():
        return
    for path in sorted(forced_folder(folders).glob("*.json")):
        record = load_forced(folders, path.stem)
        if record is not None:
            yield record


def drop_forced(folders: Folders, sha256: str) -> None:
    """Remove a record; kept work products must have been taken out or thrown away before."""
    (forced_folder(folders) / f"{sha256}.json").unlink(missing_ok=True)


def put_products_away(folders: Folders, sha256: str) -> None:
    """Keep the journal's entry and the work products of a sheet that is archived now."""
    _rename(work_folder(folders, sha256), kept_products(folders, sha256))


def take_products_back(folders: Folders, sha256: str) -> None:
    """Put the journal's entry and the work products of a sheet back to where runs use them."""
    _rename(kept_products(folders, sha256), work_folder(folders, sha256))


def _rename(source: Path, target: Path) -> None:
    # Either an earlier try came this far, or both are there and the one in use is left alone.
    if target.exists() or not source.exists():
        return
    with translated_errors(source):
        source.rename(target)
        sync_folder(target.parent)
        sync_folder(source.parent)


def _record(value: dict[str, Any]) -> ForcedRecord:
    return ForcedRecord(
        before=entry_from_json(value["before"]),
        release=release_from_json(value["release"]),
        archived_name=value["archived_name"],
        flow_run_id=value["flow_run_id"],
        phase=Phase(value["phase"]),
        undo=Undo(**value["undo"]) if value["undo"] else None,
        told=value["told"],
    )
