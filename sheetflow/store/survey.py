"""Streams through the whole store for the audit, piece by piece: memory does not grow with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo.collection import Collection

from sheetflow.custody.batches import batched
from sheetflow.custody.names import portable_name
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.errors import translated_store_errors
from sheetflow.store.evidence import image_digest

Document = dict[str, Any]

_PAGE = 100
_SHEET = {"history": 0}
_BRIEF = {"code": 1, "image_sha256": 1, "image_file_id": 1, "source_image": 1, "revision": 1}


def all_sheets(store: Store) -> Iterator[Document]:
    """Yield every document of the ledger, without its history, in the order of the digests."""
    last = ""
    while True:
        # Page by page, not one long cursor: MongoDB closes one that rests while pictures are read.
        query = {"_id": {"$gt": last}}
        with translated_store_errors():
            page = list(store.sheets.find(query, _SHEET).sort("_id", 1).limit(_PAGE))
        if not page:
            return
        yield from page
        last = page[-1]["_id"]


def sheet_document(store: Store, sha256: str) -> Document | None:
    """Return the ledger's document of a sheet, history included."""
    with translated_store_errors():
        return store.sheets.find_one({"_id": sha256})


def sheets_archived_as(store: Store, names: Iterable[str]) -> dict[str, set[str]]:
    """Return which sheets the ledger has as archived under names, duplicates included."""
    wanted = [portable_name(name) for name in names]
    fields = {"archived_name": 1, "duplicates.archived_name": 1, "state": 1}
    query = {
        "$or": [
            {"archived_name": {"$in": wanted}, "state": str(State.ARCHIVED)},
            {"duplicates.archived_name": {"$in": wanted}},
        ]
    }
    owners: dict[str, set[str]] = {}
    with translated_store_errors():
        for document in store.sheets.find(query, fields):
            twins = [twin.get("archived_name") for twin in document.get("duplicates") or ()]
            own = [document.get("archived_name")] if document["state"] == State.ARCHIVED else []
            for name in (*own, *twins):
                owners.setdefault(str(name), set()).add(document["_id"])
    return owners


def images_of_sheet(store: Store, sha256: str) -> list[Document]:
    """Return what MongoDB holds of a sheet, the current records before the revisions.

    Each has `code`, `image_sha256`, `revision`, `index`, `name`, whether it is `superseded`, and
    whether the bytes, read back now, are `whole`.
    """
    found: dict[tuple[str, str], Document] = {}
    fields = {**_BRIEF, "image_bytes": 1}
    with translated_store_errors():
        for collection in (store.records, store.revisions):
            for document in collection.find({"source_image.sha256": sha256}, fields):
                key = (str(document.get("code")), str(document.get("image_sha256")))
                source = document["source_image"]
                image = {
                    "code": key[0],
                    "image_sha256": key[1],
                    "revision": document.get("revision") or 0,
                    "index": source.get("index"),
                    "name": source.get("name"),
                    "superseded": collection.name == store.revisions.name,
                    "whole": image_digest(store, document) == key[1],
                }
                if key not in found or (image["whole"] and not found[key]["whole"]):
                    found[key] = image
    return list(found.values())


def stored_images(store: Store) -> Iterator[tuple[str, Sequence[Document]]]:
    """Yield every record and revision, without its bytes, in batches with the collection's name."""
    for collection in (store.records, store.revisions):
        with translated_store_errors():
            yield from (
                (collection.name, batch)
                for batch in batched(collection.find({}, _BRIEF).batch_size(_PAGE), _PAGE)
            )


def spoiled_images(
    store: Store, collection_name: str, documents: Iterable[Document]
) -> Iterator[tuple[Document, str | None]]:
    """Read pictures back; yield those whose bytes are not what their digest says, with theirs."""
    collection: Collection[Document] = store.database[collection_name]
    for batch in batched(documents, 8):
        query = {"_id": {"$in": [document["_id"] for document in batch]}}
        with translated_store_errors():
            for document in collection.find(query, {**_BRIEF, "image_bytes": 1}):
                digest = image_digest(store, document)
                if digest != document.get("image_sha256"):
                    yield document, digest


def proven_images(store: Store, sheets: Iterable[str]) -> set[tuple[str, str, str]]:
    """Return the pictures that complete receipts name: sheet, code, digest."""
    query = {"_id": {"$in": sorted(sheets)}, "state": "archived", "receipt.complete": True}
    fields = {"receipt.pairs.code": 1, "receipt.pairs.image_sha256": 1}
    with translated_store_errors():
        return {
            (document["_id"], line["code"], line["image_sha256"])
            for document in store.sheets.find(query, fields)
            for line in document["receipt"]["pairs"]
        }


def unreferenced_pictures(store: Store, *, older_than_s: float) -> Iterator[Mapping[str, Any]]:
    """Yield the GridFS files that no record and no revision names."""
    before = datetime.now(UTC) - timedelta(seconds=older_than_s)
    with translated_store_errors():
        files = _files(store).find({"uploadDate": {"$lt": before}}, {"length": 1, "uploadDate": 1})
        for batch in batched(files, _PAGE):
            ids = [file["_id"] for file in batch]
            query = {"image_file_id": {"$in": ids}}
            used = set(store.records.distinct("image_file_id", query))
            used |= set(store.revisions.distinct("image_file_id", query))
            yield from (file for file in batch if file["_id"] not in used)


def count_pictures(store: Store) -> int:
    """Return how many files are in GridFS."""
    with translated_store_errors():
        return int(_files(store).estimated_document_count())


def orphaned_chunks(store: Store, *, older_than_s: float) -> Iterator[tuple[Any, int]]:
    """Yield the ids of GridFS files of which there are chunks and no entry, with their number."""
    before = datetime.now(UTC) - timedelta(seconds=older_than_s)
    chunks = _chunks(store)
    with translated_store_errors():
        # Covered by the index on (files_id, n), so that the bytes stay where they are.
        fields = {"files_id": 1, "n": 1, "_id": 0}
        brief = chunks.find({}, fields).sort([("files_id", 1), ("n", 1)]).batch_size(_PAGE)
        for ids in batched(_each_once(chunk["files_id"] for chunk in brief), _PAGE):
            whole = set(_files(store).distinct("_id", {"_id": {"$in": ids}}))
            for file_id in ids:
                if file_id in whole:
                    continue
                newest = chunks.find_one({"files_id": file_id}, {"_id": 1}, sort=[("_id", -1)])
                if newest is not None and newest["_id"].generation_time < before:
                    yield file_id, chunks.count_documents({"files_id": file_id})


def _each_once(ids: Iterable[Any]) -> Iterator[Any]:
    last = object()
    for file_id in ids:
        if file_id != last:
            yield file_id
        last = file_id


def _files(store: Store) -> Collection[Document]:
    return store.database[f"{store.records.name}.files"]


def _chunks(store: Store) -> Collection[Document]:
    return store.database[f"{store.records.name}.chunks"]
