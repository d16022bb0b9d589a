"""Looking sheets up in the ledger: by any of their names, by digest, by the start of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sheetflow.custody.names import portable_name
from sheetflow.store.connection import Store
from sheetflow.store.errors import translated_store_errors

_NAMES = (
    "name",
    "staged_name",
    "archived_name",
    "duplicates.name",
    "duplicates.archived_name",
)
_FOUND_AT_MOST = 100


def find_sheets(
    store: Store, *, name: str, digest_start: str | None = None, digests: Iterable[str] = ()
) -> list[dict[str, Any]]:
    """Return the ledger's documents of the sheets that are meant, the latest change first.

    Args:
        store: The open store.
        name: Any name that a sheet, or a duplicate of it, went by.
        digest_start: Also those whose digest begins so.
        digests: Also these.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    wanted: list[dict[str, Any]] = [{field: portable_name(name)} for field in _NAMES]
    wanted.append({"_id": {"$in": list(digests)}})
    if digest_start:
        start = digest_start.lower()
        wanted.append({"_id": {"$gte": start, "$lt": f"{start}g"}})
    with translated_store_errors():
        found = store.sheets.find({"$or": wanted}).sort("updated_at", -1).limit(_FOUND_AT_MOST)
        return list(found)
