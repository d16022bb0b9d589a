"""The ledger's side of force-archive: the order on record, and its taking back."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sheetflow.custody.forced import ForcedRecord
from sheetflow.custody.journal import Entry
from sheetflow.store.connection import Store
from sheetflow.store.ledger import archived_twin, entry_fields, write_fields


def write_forced(store: Store, record: ForcedRecord) -> None:
    """Record that a sheet was archived by force; the state and the reason in one write.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    entry = record.archived_entry()
    if archived_twin(store, entry.sha256) is not None:
        # The same bytes came again meanwhile and were stored: that is the better news.
        write_fields(store, entry.sha256, entry.history, {"$set": {"forced": _forced(record)}})
        return
    fields = {**entry_fields(entry), "forced": _forced(record)}
    write_fields(store, entry.sha256, entry.history, {"$set": fields})


def write_undone(store: Store, record: ForcedRecord, entry: Entry) -> None:
    """Record that a forced archiving was taken back.

    Args:
        store: The open store.
        record: What is known of the force, its undo included.
        entry: The sheet's journal entry, in staging again.
    """
    undone: dict[str, Any] = {**_forced(record)}
    if record.undo is not None:
        undone["undone"] = {**asdict(record.undo), "at": datetime.fromisoformat(record.undo.at)}
    write_fields(
        store,
        entry.sha256,
        entry.history,
        {
            "$set": entry_fields(entry),
            "$unset": {"forced": ""},
            "$addToSet": {"forced_undone": undone},
        },
    )


def _forced(record: ForcedRecord) -> dict[str, Any]:
    value = record.release.to_json()
    return {**value, "at": datetime.fromisoformat(value["at"])}
