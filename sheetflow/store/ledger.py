"""The ledger: each sheet's whole life, one document a sheet, `_id` the SHA-256 of the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sheetflow.custody.batches import batched
from sheetflow.custody.journal import Entry, Event
from sheetflow.custody.names import portable_name
from sheetflow.receipts import UploadReceipt
from sheetflow.review.decisions import Review
from sheetflow.sheets import Counts, State
from sheetflow.store.connection import Store
from sheetflow.store.errors import translated_store_errors

_AT_ONCE = 200


def write_entry(store: Store, entry: Entry, *, receipt: UploadReceipt | None = None) -> None:
    """Bring a sheet's ledger document to what the journal says; run again, it changes nothing.

    Raises:
        StoreUnavailable: MongoDB is away.
        StoreRefused: MongoDB refuses.
    """
    fields = entry_fields(entry)
    if receipt is not None:
        fields["receipt"] = {
            "confirmed_at": receipt.confirmed_at,
            # All pairs of a sheet that is held are not all of the sheet: its doubts are open.
            "complete": receipt.complete and entry.state is not State.NEEDS_REVIEW,
            "pairs": [asdict(line) for line in receipt.lines],
        }
    update: dict[str, Any] = {"$set": fields}
    if entry.reviews:
        # A set: one that the journal has lost stays on record here.
        update["$addToSet"] = {"reviews": {"$each": [_review(item) for item in entry.reviews]}}
    write_fields(store, entry.sha256, entry.history, update)


def write_progress(store: Store, entry: Entry) -> None:
    """Tell the ledger of a sheet's step, unless it has the same bytes archived already.

    Then this is another file of these bytes, on its way to be archived as their duplicate: what the
    ledger tells of the first one stays.

    Raises:
        StoreUnavailable: MongoDB is away.
        StoreRefused: MongoDB refuses.
    """
    if entry.state is State.ARCHIVED or archived_twin(store, entry.sha256) is None:
        write_entry(store, entry)


def entry_fields(entry: Entry) -> dict[str, Any]:
    """Return what the ledger takes over from the journal as it is."""
    return {
        "name": portable_name(entry.name),
        "state": str(entry.state),
        "attempts": entry.attempts,
        "counts": asdict(entry.counts) if entry.counts is not None else None,
        "doubts": list(entry.doubts),
        "last_error": entry.last_error,
        "staged_name": portable_name(entry.staged_name),
        "archived_name": portable_name(entry.archived_name) if entry.archived_name else None,
        "updated_at": datetime.now(UTC),
    }


def write_fields(
    store: Store, sha256: str, history: Sequence[Event], update: dict[str, Any]
) -> None:
    """Apply an update to a sheet's ledger document, and add to its history what is new to it."""
    # A set, so that events that are there already are not written again.
    events = {"history": {"$each": [_event(event) for event in history]}}
    sets = {**update.get("$addToSet", {}), **events}
    with translated_store_errors():
        store.sheets.update_one({"_id": sha256}, {**update, "$addToSet": sets}, upsert=True)


def has_heard(document: Mapping[str, Any] | None, entry: Entry) -> bool:
    """Tell whether a ledger document has a sheet's state, and every step of its history."""
    if document is None or str(entry.state) != document["state"]:
        return False
    heard = {(_iso(event["at"]), event["state"]) for event in document.get("history") or ()}
    return all((event.at, event.state) in heard for event in entry.history)


def tells_of_twin(document: Mapping[str, Any] | None, entry: Entry) -> bool:
    """Tell whether a ledger document is about an archived sheet that has an entry's bytes."""
    if document is None or entry.state is State.ARCHIVED:
        return False
    stored = not document.get("forced") or bool((document.get("receipt") or {}).get("complete"))
    return bool(document["state"] == State.ARCHIVED and stored)


def unheard(store: Store, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries of which the ledger has not heard every step.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    fields = {"state": 1, "history.at": 1, "history.state": 1}
    for batch in batched(entries, _AT_ONCE):
        wanted = {"_id": {"$in": [entry.sha256 for entry in batch]}}
        with translated_store_errors():
            documents = {found["_id"]: found for found in store.sheets.find(wanted, fields)}
        yield from (entry for entry in batch if not has_heard(documents.get(entry.sha256), entry))


@dataclass(frozen=True)
class Twin:
    """An archived sheet that has the same bytes: its name, and what was found on it."""

    name: str
    counts: Counts | None


def archived_twin(store: Store, sha256: str) -> Twin | None:
    """Return the archived sheet that has these bytes, None if there is none.

    A sheet that was archived by force does not count: the same bytes again may be stored by now.
    """
    archived = {"_id": sha256, "state": str(State.ARCHIVED)}
    stored = {"$or": [{"forced": None}, {"receipt.complete": True}]}
    with translated_store_errors():
        document = store.sheets.find_one({**archived, **stored}, {"name": 1, "counts": 1})
    if document is None:
        return None
    counts = document.get("counts")
    return Twin(str(document["name"]), Counts(**counts) if counts else None)


def write_duplicate(
    store: Store, sha256: str, *, name: str, archived_name: str, event: Event
) -> None:
    """Record that the bytes of an archived sheet came again, and under which name they are kept."""
    with translated_store_errors():
        store.sheets.update_one(
            {"_id": sha256},
            {
                "$addToSet": {
                    "duplicates": {
                        "name": portable_name(name),
                        "archived_name": portable_name(archived_name),
                        "at": datetime.fromisoformat(event.at),
                    },
                    "history": _event(event),
                },
                "$set": {"updated_at": datetime.now(UTC)},
            },
        )


def _review(review: Review) -> dict[str, Any]:
    return {**review.to_json(), "at": datetime.fromisoformat(review.at)}


def _iso(moment: Any) -> str:
    return moment.isoformat(timespec="milliseconds") if isinstance(moment, datetime) else ""


def _event(event: Event) -> dict[str, Any]:
    return {**asdict(event), "at": datetime.fromisoformat(event.at)}
