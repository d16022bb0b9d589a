"""Reading stored pictures back to see whether they are what a receipt or a sheet says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import gridfs
from pymongo.collection import Collection

from sheetflow.custody.batches import batched
from sheetflow.custody.files import digest_bytes
from sheetflow.store.connection import Store
from sheetflow.store.errors import translated_store_errors

Document = dict[str, Any]


class Finding(StrEnum):
    """What reading a picture back has shown."""

    HELD = "held"
    MISSING = "missing"
    SPOILED = "spoiled"


@dataclass(frozen=True)
class Evidence:
    """What MongoDB has for one line of a receipt.

    Attributes:
        finding: Whether the picture came back as it should.
        spoiled: The documents that claim to be it and are not: collection and `_id`.
        replaced_by: The sheet whose picture the code has now, if it is not this one's.
    """

    finding: Finding
    spoiled: tuple[tuple[str, Any], ...] = ()
    replaced_by: str | None = None


_AT_ONCE = 32
_BRIEF = {"code": 1, "image_sha256": 1, "source_image.sha256": 1}
_WITH_IMAGE = {**_BRIEF, "image_bytes": 1, "image_file_id": 1}


def examine_lines(
    store: Store, lines: Mapping[str, str], *, sheet_sha256: str
) -> dict[str, Evidence]:
    """Read pictures back and hash them.

    Args:
        store: The open store.
        lines: The digest that each code's picture should have.
        sheet_sha256: The sheet that they came from.

    Returns:
        What was found, for each of the codes.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    found: dict[str, Evidence] = {}
    with translated_store_errors():
        for codes in batched(lines, _AT_ONCE):
            wanted = {code: lines[code] for code in codes}
            found |= _examine(store, wanted, sheet_sha256)
    return found


def image_digest(store: Store, document: Document) -> str | None:
    """Return the digest of a record's picture as it is stored; None if there are no bytes."""
    if document.get("image_file_id") is not None:
        return picture_digest(store, document["image_file_id"])
    data = document.get("image_bytes")
    return digest_bytes(bytes(data)) if data is not None else None


def picture_digest(store: Store, file_id: Any) -> str | None:
    """Return the digest of a GridFS file's bytes; None if it is not there, or not whole."""
    try:
        return digest_bytes(store.pictures.open_download_stream(file_id).read())
    except (gridfs.errors.NoFile, gridfs.errors.CorruptGridFile):
        return None


def _examine(store: Store, wanted: Mapping[str, str], sheet_sha256: str) -> dict[str, Evidence]:
    found: dict[str, Evidence] = {}
    replaced: dict[str, str] = {}
    spoiled: dict[str, list[tuple[str, Any]]] = {code: [] for code in wanted}
    for collection, document in _claimants(store, wanted):
        code = document["code"]
        if document.get("image_sha256") != wanted[code]:
            other = (document.get("source_image") or {}).get("sha256")
            if other != sheet_sha256:
                replaced[code] = str(other)
        elif code not in found:
            if image_digest(store, document) == wanted[code]:
                found[code] = Evidence(Finding.HELD)
            else:
                spoiled[code].append((collection, document["_id"]))
    for code in wanted:
        if code not in found:
            finding = Finding.SPOILED if spoiled[code] else Finding.MISSING
            found[code] = Evidence(finding, tuple(spoiled[code]), replaced.get(code))
    return found


def _claimants(store: Store, wanted: Mapping[str, str]) -> Iterator[tuple[str, Document]]:
    """Yield the records of the codes, then the revisions that claim to hold their pictures."""
    codes: Sequence[str] = list(wanted)
    digests = sorted(set(wanted.values()))
    with_image: Mapping[str, Any] = _WITH_IMAGE
    # A record with another picture is looked at for whose it is, not for its bytes.
    yield from _of(
        store.records, {"code": {"$in": codes}, "image_sha256": {"$in": digests}}, with_image
    )
    yield from _of(
        store.records, {"code": {"$in": codes}, "image_sha256": {"$nin": digests}}, _BRIEF
    )
    yield from _of(
        store.revisions, {"code": {"$in": codes}, "image_sha256": {"$in": digests}}, with_image
    )


def _of(
    collection: Collection[Document], query: Document, fields: Mapping[str, Any]
) -> Iterator[tuple[str, Document]]:
    for document in collection.find(query, fields):
        yield collection.name, document
