"""The stored pictures: each record's bytes against its digest, and GridFS against the records."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from sheetflow.audit.archive import archived_file
from sheetflow.audit.mends import send_back
from sheetflow.audit.report import Problem, Report
from sheetflow.audit.sampling import Sample
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.mending import is_referenced, remove_picture, set_spoiled_record_aside
from sheetflow.store.survey import (
    Document,
    count_pictures,
    orphaned_chunks,
    proven_images,
    sheet_document,
    spoiled_images,
    stored_images,
    unreferenced_pictures,
)

ORPHANED_AFTER_S = 86_400.0
"""Younger ones may belong to an upload that is at work, or that the next run goes on with."""


def check_pictures(folders: Folders, store: Store, sample: Sample, report: Report) -> None:
    """Look at the records and revisions that no receipt has vouched for already, and at GridFS."""
    for collection, batch in stored_images(store):
        kind = "records" if collection == store.records.name else "revisions"
        report.count(kind, len(batch))
        wanted = _unvouched(store, [doc for doc in batch if _is_in(sample, doc)])
        report.count(f"{kind}_without_digest", sum(not doc.get("image_sha256") for doc in batch))
        for document, digest in spoiled_images(store, collection, wanted):
            if digest is None and _is_on_its_way(folders, _sheet(document)):
                report.count("pictures_awaiting_upload")
            elif not report.is_about(_sheet(document)):
                report.add([_spoiled(folders, store, collection, document, digest)])
    report.count("gridfs_files", count_pictures(store))
    report.add(_unreferenced(store))
    report.add(_orphaned(store))


def _is_in(sample: Sample, document: Document) -> bool:
    if not document.get("image_sha256"):
        return (
            False  # an earlier tool's, which kept no digests: there is nothing to hold it against
        )
    sheet = _sheet(document)
    return sample.holds(sheet or digest_bytes(str(document.get("code")).encode()))


def _unvouched(store: Store, documents: Sequence[Document]) -> list[Document]:
    """Leave out the pictures that the audit of the receipts has read back."""
    proven = proven_images(store, {_sheet(doc) for doc in documents if _sheet(doc)})
    return [
        document
        for document in documents
        if (_sheet(document), document.get("code"), document["image_sha256"]) not in proven
    ]


def _is_on_its_way(folders: Folders, sha256: str) -> bool:
    """Tell whether a sheet is staged, so that its next upload puts missing pictures in place."""
    entry = load_entry(folders, sha256) if sha256 else None
    return entry is not None and os.path.lexists(folders.staging / entry.staged_name)


def _sheet(document: Document) -> str:
    return str((document.get("source_image") or {}).get("sha256") or "")


def _spoiled(
    folders: Folders, store: Store, collection: str, document: Document, digest: str | None
) -> Problem:
    sha256, code = _sheet(document), document.get("code")
    name = str((document.get("source_image") or {}).get("name") or code)
    known = sheet_document(store, sha256) if sha256 else None
    mend = None
    cure = f"Restore the document from a backup of {collection}"
    if collection == store.records.name and known is not None:
        path = archived_file(folders, known) if known["state"] == State.ARCHIVED else None
        if path is not None and not known.get("forced"):
            why = "a picture of it was spoiled in MongoDB"
            ids = [document["_id"]]
            mend = partial(send_back, folders, store, path, why=why, known=known, spoiled=ids)
        elif known["state"] not in (State.ARCHIVED, State.REJECTED):
            mend = partial(_set_aside, store, document["_id"])
        if mend is not None:
            cure = "`sheetflow audit --repair` has the sheet upload it again"
    return Problem(
        "spoiled_picture",
        name,
        f"the picture of code {code} in {collection} "
        + (
            "has other bytes than its image_sha256 says"
            if digest
            else "is not in GridFS, or not whole"
        ),
        cure,
        sha256=sha256 or None,
        mend=mend,
    )


def _set_aside(store: Store, record_id: Any) -> str:
    set_spoiled_record_aside(store, record_id)
    return "the spoiled picture is replaced when the sheet, which is staged, is uploaded"


def _unreferenced(store: Store) -> Iterator[Problem]:
    for file in unreferenced_pictures(store, older_than_s=ORPHANED_AFTER_S):
        yield Problem(
            "orphaned_picture",
            str(file["_id"]),
            f"a file of {file.get('length')} bytes in GridFS that no record and no revision names",
            "`sheetflow audit --repair` removes it",
            mend=partial(_removed, store, file["_id"], "file"),
        )


def _orphaned(store: Store) -> Iterator[Problem]:
    for file_id, chunks in orphaned_chunks(store, older_than_s=ORPHANED_AFTER_S):
        yield Problem(
            "orphaned_chunks",
            str(file_id),
            f"{chunks} chunks in GridFS of a file that was never finished",
            "`sheetflow audit --repair` removes them",
            mend=partial(_removed, store, file_id, f"{chunks} chunks"),
        )


def _removed(store: Store, file_id: Any, what: str) -> str:
    if what == "file" and is_referenced(store, file_id):
        return "a record names it by now, so it stays"
    remove_picture(store, file_id)
    return f"{what} removed from GridFS"
