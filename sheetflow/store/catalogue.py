"""Uploading a sheet's pairs and reading them back: the records, their revisions, large pictures.

The order of writes is such that no crash can separate a new picture from the earlier one that it
replaces: the earlier state is copied to the revisions first, under a unique (code, revision), and
the record is then changed only if it still has that revision. Killed in between, the copy is a
duplicate of the record as it stands, and the next try finds it and goes on. It needs no
transaction, so a standalone MongoDB is as safe as a replica set.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import gridfs
from pymongo import UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.names import shown_name
from sheetflow.errors import CustodyError, StoreUnavailable
from sheetflow.receipts import StoredImage, UploadReceipt, confirm_against
from sheetflow.records import Document, Draft, record_fields
from sheetflow.sheets import ProcessedSheet
from sheetflow.store.connection import Store
from sheetflow.store.errors import translate, translated_store_errors

logger = logging.getLogger(__name__)

_ROUNDS = 8
_DUPLICATE_KEY = 11000


def upload_sheet(store: Store, processed: ProcessedSheet, drafts: Sequence[Draft]) -> None:
    """Store the drafts of a sheet; run again after any failure, it stores nothing twice.

    Raises:
        StoreUnavailable: MongoDB is away, or other runs keep changing the same codes.
        StoreRefused: MongoDB refuses.
        CustodyError: Two drafts have the same code.
    """
    if len({draft.code for draft in drafts}) != len(drafts):
        raise CustodyError(
            "one code stands on the sheet twice",
            cure="Review the sheet; nothing of it was stored",
            sheet=shown_name(processed.sheet.name),
        )
    with translated_store_errors():
        for draft in drafts:
            if not draft.inline:
                _put_large_picture(store, draft)
        for _ in range(_ROUNDS):
            plan = _plan(store, processed.sheet.sha256, drafts)
            if not plan.operations:
                return
            _keep_earlier_states(store, plan.replaced, processed.sheet.sha256)
            _write(store, plan.operations)
    raise StoreUnavailable(
        "other runs keep changing the same codes",
        cure="The sheet stays staged and the next run uploads it",
        sheet=shown_name(processed.sheet.name),
    )


def confirm_upload(
    store: Store, processed: ProcessedSheet, drafts: Sequence[Draft]
) -> UploadReceipt:
    """Read the stored pictures back, compare them byte for byte, and return the proof.

    Raises:
        UploadUnconfirmed: Something is missing or differs; uploading again mends it.
        StoreUnavailable: MongoDB is away.
    """
    sheet_sha256 = processed.sheet.sha256
    with translated_store_errors():
        returned = [
            _stored_image(store, document)
            for document in store.records.find(
                {"code": {"$in": [draft.code for draft in drafts]}},
                {"code": 1, "image_bytes": 1, "image_file_id": 1, "image_sha256": 1, "revision": 1},
            )
        ]
        current = {image.code: image for image in returned}
        digests = {draft.code: draft.image_sha256 for draft in drafts}
        # What stands there as it was sent was not superseded: as a rule there is nothing to ask.
        changed = [code for code in current if not _has_digest(current[code], digests[code])]
        for document in _superseded(store, sheet_sha256, changed):
            code = document["code"]
            if document["image_sha256"] == digests[code]:
                current[code] = _stored_image(store, document, superseded=True)
    return confirm_against(
        processed, drafts, list(current.values()), confirmed_at=datetime.now(UTC)
    )


@dataclass(frozen=True)
class _Plan:
    operations: list[UpdateOne]
    replaced: list[tuple[str, int]]


def _plan(store: Store, sheet_sha256: str, drafts: Sequence[Draft]) -> _Plan:
    codes = [draft.code for draft in drafts]
    fields = {"code": 1, "revision": 1, "image_sha256": 1, "symbology": 1, "source_image": 1}
    present = {doc["code"]: doc for doc in store.records.find({"code": {"$in": codes}}, fields)}
    changed = [
        draft
        for draft in drafts
        if present.get(draft.code, {}).get("image_sha256") != draft.image_sha256
    ]
    # A later sheet may have replaced a picture of ours between an upload that was not confirmed
    # and this one: then ours is in the revisions, and must not come back on top.
    done = {
        (doc["code"], doc["image_sha256"])
        for doc in _superseded(
            store, sheet_sha256, [draft.code for draft in changed if draft.code in present]
        )
    }
    now = datetime.now(UTC)
    operations = [_place_anew(draft, now) for draft in drafts if _is_misplaced(draft, present)]
    replaced = []
    for draft in changed:
        earlier = present.get(draft.code)
        if earlier is None:
            operations.append(_insert(draft, now))
        elif (draft.code, draft.image_sha256) in done and not _is_from(earlier, sheet_sha256):
            continue
        else:
            operations.append(_replace(draft, earlier, now))
            replaced.append((draft.code, earlier.get("revision") or 0))
    return _Plan(operations, replaced)


def _is_misplaced(draft: Draft, present: Mapping[str, Document]) -> bool:
    """Tell whether a picture is stored as it is, from this sheet, but with another place on it.

    A review numbers the pairs of a sheet anew, of which the certain ones may be stored already.
    """
    record = present.get(draft.code, {})
    same = record.get("image_sha256") == draft.image_sha256
    if not same or not _is_from(record, draft.source_image["sha256"]):
        return False
    return (record["source_image"], record["symbology"]) != (draft.source_image, draft.symbology)


def _place_anew(draft: Draft, now: datetime) -> UpdateOne:
    return UpdateOne(
        {
            "code": draft.code,
            "image_sha256": draft.image_sha256,
            "source_image.sha256": draft.source_image["sha256"],
        },
        {
            "$set": {
                "source_image": draft.source_image,
                "symbology": draft.symbology,
                "run": draft.run,
                "updated_at": now,
            }
        },
    )


def _is_from(record: Document, sheet_sha256: str) -> bool:
    return bool(record.get("source_image", {}).get("sha256") == sheet_sha256)


def _insert(draft: Draft, now: datetime) -> UpdateOne:
    fields = record_fields(draft, revision=1, now=now)
    return UpdateOne(
        {"code": draft.code},
        {"$setOnInsert": {**fields, "category": None, "created_at": now}},
        upsert=True,
    )


def _replace(draft: Draft, earlier: Document, now: datetime) -> UpdateOne:
    revision = earlier.get("revision")
    fields = record_fields(draft, revision=(revision or 0) + 1, now=now)
    other = "image_file_id" if draft.inline else "image_bytes"
    return UpdateOne(
        # None matches a document of an earlier tool, which had no revisions.
        {"code": draft.code, "revision": revision},
        [
            {
                "$set": {
                    **{name: {"$literal": value} for name, value in fields.items()},
                    "created_at": {"$ifNull": ["$created_at", now]},
                }
            },
            {"$unset": other},
        ],
    )


def _keep_earlier_states(
    store: Store, replaced: Sequence[tuple[str, int]], sheet_sha256: str
) -> None:
    if not replaced:
        return
    # Inside MongoDB, so that pictures do not travel; keepExisting makes a second try harmless.
    store.records.aggregate(
        [
            {"$match": {"code": {"$in": [code for code, _ in replaced]}}},
            {
                "$set": {
                    "revision": {"$ifNull": ["$revision", 0]},
                    "replaced_at": "$$NOW",
                    "replaced_by": {"$literal": sheet_sha256},
                }
            },
            {"$unset": "_id"},
            {
                "$merge": {
                    "into": store.revisions.name,
                    "on": ["code", "revision"],
                    "whenMatched": "keepExisting",
                    "whenNotMatched": "insert",
                }
            },
        ]
    )


def _write(store: Store, operations: Sequence[UpdateOne]) -> None:
    try:
        store.records.bulk_write(operations, ordered=False)
    except BulkWriteError as error:
        problems = (error.details or {}).get("writeErrors", [])
        # Another run has just inserted the same code: the next round sees it.
        if not problems or any(problem.get("code") != _DUPLICATE_KEY for problem in problems):
            raise translate(error) from error


def _superseded(store: Store, sheet_sha256: str, codes: Sequence[str]) -> list[Document]:
    if not codes:
        return []
    return list(
        store.revisions.find(
            {"code": {"$in": list(codes)}, "source_image.sha256": sheet_sha256},
            {"code": 1, "image_bytes": 1, "image_file_id": 1, "image_sha256": 1, "revision": 1},
        )
    )


def _put_large_picture(store: Store, draft: Draft) -> None:
    """Put a picture into GridFS under its digest, once.

    The entry in `files` is written last and marks the file as whole; chunks without one are what a
    killed upload left, and are removed first.
    """
    if list(store.pictures.find({"_id": draft.image_sha256}).limit(1)):
        return
    _remove_orphaned_chunks(store, draft.image_sha256)
    try:
        store.pictures.upload_from_stream_with_id(
            draft.image_sha256,
            draft.image_sha256,
            draft.image_bytes,
            metadata={"media_type": draft.image_media_type},
        )
    except (gridfs.errors.FileExists, DuplicateKeyError):
        logger.debug("Another run stored the picture %s meanwhile", draft.image_sha256[:8])


def _remove_orphaned_chunks(store: Store, file_id: str) -> None:
    store.database[f"{store.records.name}.chunks"].delete_many({"files_id": file_id})


def _stored_image(store: Store, document: Document, *, superseded: bool = False) -> StoredImage:
    if document.get("image_file_id") is not None:
        try:
            image_bytes = store.pictures.open_download_stream(document["image_file_id"]).read()
        except (gridfs.errors.NoFile, gridfs.errors.CorruptGridFile):
            image_bytes = b""
    else:
        image_bytes = document.get("image_bytes", b"")
    return StoredImage(
        document["code"], bytes(image_bytes), document.get("revision") or 0, superseded
    )


def _has_digest(image: StoredImage, sha256: str) -> bool:
    return digest_bytes(image.image_bytes) == sha256
