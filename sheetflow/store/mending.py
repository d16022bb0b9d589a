"""What the audit changes in MongoDB to mend it; each change can be made again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import Entry, Event
from sheetflow.custody.names import portable_name
from sheetflow.store.connection import Store
from sheetflow.store.errors import translated_store_errors
from sheetflow.store.evidence import image_digest
from sheetflow.store.ledger import entry_fields, write_fields

Document = dict[str, Any]


def set_spoiled_record_aside(store: Store, record_id: Any) -> None:
    """Make a record, whose bytes are not what its digest says, one that an upload replaces.

    An upload leaves a record alone that has the right digest. So a spoiled one gets the digest
    that its bytes have: then the next upload keeps it as a revision, marked by what it is, and
    puts the right picture on top. A spoiled file in GridFS is named by its digest, and goes.
    """
    with translated_store_errors():
        record = store.records.find_one({"_id": record_id})
        if record is None or image_digest(store, record) == record.get("image_sha256"):
            return
        if record.get("image_file_id") is not None:
            remove_picture(store, record["image_file_id"])
            return
        actual = digest_bytes(bytes(record.get("image_bytes", b"")))
        unchanged = {"_id": record_id, "image_sha256": record["image_sha256"]}
        store.records.update_one(unchanged, {"$set": {"image_sha256": actual}})


def remove_picture(store: Store, file_id: Any) -> None:
    """Remove a file from GridFS, its chunks first, so that what is left of it is still known."""
    with translated_store_errors():
        name = store.records.name
        store.database[f"{name}.chunks"].delete_many({"files_id": file_id})
        store.database[f"{name}.files"].delete_one({"_id": file_id})


def is_referenced(store: Store, file_id: Any) -> bool:
    """Tell whether a record or a revision has its picture in this GridFS file."""
    query = {"image_file_id": file_id}
    with translated_store_errors():
        return any(
            collection.find_one(query, {"_id": 1}) is not None
            for collection in (store.records, store.revisions)
        )


def write_returned(store: Store, entry: Entry) -> None:
    """Tell the ledger that an archived sheet goes back to staging; its old receipt is void."""
    update = {"$set": entry_fields(entry), "$unset": {"receipt": ""}}
    write_fields(store, entry.sha256, entry.history, update)


def write_rebuilt(store: Store, entry: Entry, images: Sequence[Document]) -> None:
    """Write a lost ledger entry anew, with a receipt of the pictures that were read back."""
    pairs = [
        {key: image[key] for key in ("code", "image_sha256", "revision", "superseded")}
        for image in images
    ]
    receipt = {
        "confirmed_at": datetime.now(UTC),
        "complete": True,
        "rebuilt": True,
        "pairs": pairs,
    }
    fields = {**entry_fields(entry), "receipt": receipt}
    write_fields(store, entry.sha256, entry.history, {"$set": fields})


def write_renamed(store: Store, sha256: str, *, archived_name: str, event: Event) -> None:
    """Tell the ledger under which name an archived sheet lies."""
    update = {"$set": {"archived_name": portable_name(archived_name)}}
    write_fields(store, sha256, (event,), update)
