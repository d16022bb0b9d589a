"""A sheet's whole life, put together from the folders, the journal and the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sheetflow.custody.files import digest_or_none
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import Phase, forced_records, load_forced
from sheetflow.custody.journal import Entry, entries, load_entry
from sheetflow.custody.lookup import answers_to, quarantined_sheets
from sheetflow.custody.names import names_on_disk, portable_name
from sheetflow.sheets import State

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Life:
    """Everything that is known of one sheet.

    Attributes:
        sha256: Its identity.
        name: The name that people gave it.
        state: Where it stands.
        places: Where its file is now, as paths.
        attempts: How many runs have worked on it.
        counts: What was found on it; None until it was read.
        doubts: Why a person should look at it.
        last_error: Why the last attempt failed.
        receipt: The proof that its pairs were stored: when, and each pair with its digest.
        forced: Who archived it by force, when, why, and what was not stored.
        duplicates: Under which names the same bytes came again.
        history: Every step: `state`, `at`, `by`, `flow_run_id`, `note`.
        reviews: What persons decided about it, in order; the last one holds.
        known_to: Who knows of it: "journal", "ledger" or both; none for a new file.
    """

    sha256: str
    name: str
    state: str
    places: tuple[str, ...]
    attempts: int = 0
    counts: Mapping[str, int] | None = None
    doubts: tuple[str, ...] = ()
    last_error: str | None = None
    receipt: Mapping[str, Any] | None = None
    forced: Mapping[str, Any] | None = None
    duplicates: tuple[Mapping[str, Any], ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    reviews: tuple[Mapping[str, Any], ...] = ()
    known_to: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it has not failed and does not wait for a person."""
        return self.last_error is None and self.state != State.NEEDS_REVIEW

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow status NAME --json` prints it."""
        value: dict[str, Any] = _plain(asdict(self))
        return value


def digests_meant(folders: Folders, wanted: str) -> set[str]:
    """Return the digests of the sheets that `wanted` means, by journal and folders alone."""
    meant = {
        entry.sha256
        for entry in entries(folders)
        if answers_to(wanted, (entry.name, entry.staged_name, entry.archived_name), entry.sha256)
    }
    if folders.quarantine.is_dir():
        meant |= {
            found.sha256
            for found in quarantined_sheets(folders)
            if found.sha256 and answers_to(wanted, found.names, found.sha256)
        }
    meant |= {
        record.sha256
        for record in forced_records(folders)
        if answers_to(wanted, (record.before.name, record.archived_name), record.sha256)
    }
    for place in (folders.inbox, folders.staging, folders.archive, folders.quarantine):
        digest = digest_or_none(place / Path(wanted).name)
        meant |= {digest} if digest else set()
    return meant


def lives_of(folders: Folders, digests: Iterable[str], documents: Sequence[Document]) -> list[Life]:
    """Tell the lives of sheets.

    Args:
        folders: The four places and the journal.
        digests: The sheets that journal and folders know.
        documents: Those that the ledger knows.
    """
    known = {str(document["_id"]): document for document in documents}
    every = sorted({*digests, *known})
    return [_life(folders, sha256, known.get(sha256)) for sha256 in every]


def _life(folders: Folders, sha256: str, document: Document | None) -> Life:
    record = load_forced(folders, sha256)
    in_force = record is not None and record.phase in (Phase.BEGUN, Phase.DONE)
    entry = load_entry(folders, sha256)
    if entry is None and record is not None and in_force:
        entry = record.archived_entry()
    told: dict[str, Any] = dict(document or {})
    if entry is not None:
        told |= _plain(asdict(entry))
    told["archived_name"] = told.get("archived_name") or (document or {}).get("archived_name")
    places = _places(folders, sha256, told)
    return Life(
        sha256=sha256,
        name=portable_name(told.get("name") or (places[0].name if places else sha256)),
        state=str(told.get("state") or _state_at(folders, places)),
        places=tuple(portable_name(str(path)) for path in places),
        attempts=told.get("attempts", 0),
        counts=told.get("counts"),
        doubts=tuple(told.get("doubts") or ()),
        last_error=told.get("last_error"),
        receipt=(document or {}).get("receipt"),
        forced=record.release.to_json() if record and in_force else told.get("forced"),
        duplicates=tuple((document or {}).get("duplicates") or ()),
        history=_history(entry, document),
        reviews=tuple(told.get("reviews") or (document or {}).get("reviews") or ()),
        known_to=tuple(
            who for who, what in (("journal", entry), ("ledger", document)) if what is not None
        ),
    )


def _history(entry: Entry | None, document: Document | None) -> tuple[Mapping[str, Any], ...]:
    """Merge both histories: the ledger's events are the journal's, told a little later."""
    ledgers = (document or {}).get("history") or []
    events = [_plain(event) for event in ledgers]
    events += [asdict(event) for event in entry.history] if entry is not None else []
    once = {(event["at"], event["state"], event.get("note")): event for event in events}
    return tuple(sorted(once.values(), key=lambda event: str(event["at"])))


def _places(folders: Folders, sha256: str, told: Mapping[str, Any]) -> list[Path]:
    named = [told.get(key) for key in ("name", "staged_name", "archived_name")]
    named += [twin["archived_name"] for twin in told.get("duplicates") or ()]
    on_disk = {spelled for name in named if name for spelled in names_on_disk(str(name))}
    found = [
        place / name
        for place in (folders.inbox, folders.staging, folders.archive)
        for name in sorted(on_disk)
        if digest_or_none(place / name) == sha256
    ]
    if folders.quarantine.is_dir():
        found += [it.path for it in quarantined_sheets(folders) if it.sha256 == sha256]
    return found


def _state_at(folders: Folders, places: Sequence[Path]) -> State:
    states = {
        folders.staging: State.STAGED,
        folders.archive: State.ARCHIVED,
        folders.quarantine: State.REJECTED,
    }
    return states.get(places[0].parent, State.WAITING) if places else State.WAITING


def _plain(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return portable_name(value) if isinstance(value, str) else value
