"""The ledger's entries, each against the folders, the journal and the stored pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path

from sheetflow.audit.agreement import disagreement
from sheetflow.audit.archive import archived_file
from sheetflow.audit.leftovers import is_at_rest
from sheetflow.audit.mends import forget_leftovers, record_name, send_back
from sheetflow.audit.report import Problem, Report
from sheetflow.audit.sampling import Sample
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import load_forced
from sheetflow.custody.journal import load_entry
from sheetflow.custody.names import name_with_mark, names_on_disk
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.evidence import Evidence, Finding, examine_lines
from sheetflow.store.survey import Document, all_sheets, sheet_document

_LISTED_CODES = 10


def check_ledger(folders: Folders, store: Store, sample: Sample, report: Report) -> None:
    """Look at each entry of the ledger."""
    for document in all_sheets(store):
        report.count("ledger_entries")
        if report.is_about(document["_id"]):
            continue  # its file was found in the wrong place, or altered, and that was told
        if document["state"] == State.ARCHIVED:
            report.add(_archived(folders, store, document, sample, report))
        else:
            report.add(_unarchived(folders, store, document))


def _archived(
    folders: Folders, store: Store, document: Document, sample: Sample, report: Report
) -> Iterator[Problem]:
    path = archived_file(folders, document)
    if path is None:
        yield from _missing(folders, store, document)
        return
    receipt = document.get("receipt") or {}
    forced = bool(document.get("forced")) and not receipt.get("complete")
    report.count("forced_sheets" if forced else "proven_sheets")
    if not receipt.get("complete") and not forced:
        yield Problem(
            "unproven_archive",
            document["name"],
            "it is archived without a complete receipt, and by force it was not, either",
            "`sheetflow audit --repair` sends it back to staging, to be uploaded and proven",
            sha256=document["_id"],
            mend=partial(
                send_back, folders, store, path, why="it had no complete receipt", known=document
            ),
        )
        return
    if receipt.get("complete"):
        yield from _leftovers(folders, store, document, path)
    if sample.holds(document["_id"]):
        yield from _receipt(folders, store, document, path, report, may_mend=not forced)


def _leftovers(folders: Folders, store: Store, document: Document, path: Path) -> Iterator[Problem]:
    sha256 = document["_id"]
    # Looked at once more when it is at rest: a run may just have ended.
    if (
        _is_left(folders, store, sha256)
        and is_at_rest(folders, sha256)
        and _is_left(folders, store, sha256)
    ):
        yield Problem(
            "orphaned_work",
            document["name"],
            "it is archived and stored, and its work products are still kept",
            "`sheetflow audit --repair` removes them",
            sha256=sha256,
            mend=partial(forget_leftovers, folders, path),
        )


def _is_left(folders: Folders, store: Store, sha256: str) -> bool:
    """Tell whether work products are kept that no run and no undoing of a force needs."""
    entry = load_entry(folders, sha256)
    if entry is not None:
        return not os.path.lexists(folders.staging / entry.staged_name)
    record = load_forced(folders, sha256)
    if record is None:
        return False
    forced_at = datetime.fromisoformat(record.release.at)
    events = (sheet_document(store, sha256) or {}).get("history") or ()
    return any(event["state"] == State.ARCHIVED and event["at"] > forced_at for event in events)


def _receipt(
    folders: Folders,
    store: Store,
    document: Document,
    path: Path,
    report: Report,
    *,
    may_mend: bool,
) -> Iterator[Problem]:
    lines = {
        line["code"]: line["image_sha256"]
        for line in (document.get("receipt") or {}).get("pairs") or ()
    }
    evidence = examine_lines(store, lines, sheet_sha256=document["_id"])
    report.count("receipt_lines", len(lines))
    bad = {code: found for code, found in evidence.items() if found.finding is not Finding.HELD}
    if not bad:
        return
    replaced = {code: found for code, found in bad.items() if found.replaced_by}
    if replaced:
        # To upload the sheet again would put its older picture on top of the later one.
        yield Problem(
            "lost_revision",
            document["name"],
            f"another sheet has replaced its pictures, and the revisions do not have them: "
            f"{_codes(replaced)}",
            "Restore the collection of revisions from a backup; the later pictures are in place",
            sha256=document["_id"],
        )
        return
    spoiled = any(found.finding is Finding.SPOILED for found in bad.values())
    ids = [
        ref[1] for found in bad.values() for ref in found.spoiled if ref[0] == store.records.name
    ]
    cure = (
        "`sheetflow audit --repair` sends the sheet back to staging, and the next run stores them"
        if may_mend
        else "It was archived by force: take that back with `sheetflow force-archive --undo`"
    )
    why = f"{len(bad)} of its pictures were {'spoiled' if spoiled else 'missing'} in MongoDB"
    yield Problem(
        "spoiled_pairs" if spoiled else "missing_pairs",
        document["name"],
        f"MongoDB does not return what its receipt says: {_codes(bad)}",
        cure,
        sha256=document["_id"],
        mend=partial(send_back, folders, store, path, why=why, known=document, spoiled=ids)
        if may_mend
        else None,
    )


def _missing(folders: Folders, store: Store, document: Document) -> Iterator[Problem]:
    name, sha256 = document["name"], document["_id"]
    for twin in document.get("duplicates") or ():
        path = archived_file(folders, twin)
        if path is not None:
            yield Problem(
                "missing_file",
                name,
                f"{document.get('archived_name')} is not in the archive; a duplicate of it is, as "
                f"{path.name}",
                "`sheetflow audit --repair` records that name instead",
                sha256=sha256,
                mend=partial(record_name, folders, store, path),
            )
            return
    entry = load_entry(folders, sha256)
    if entry is not None and os.path.lexists(folders.staging / entry.staged_name):
        yield from disagreement(folders, store, sha256)
    else:
        yield Problem(
            "missing_file",
            name,
            f"the ledger has it in the archive as {document.get('archived_name')}, where it is not",
            f"Look for it in a backup (SHA-256 {sha256}) and put it back into {folders.archive}",
            sha256=sha256,
        )


def _unarchived(folders: Folders, store: Store, document: Document) -> Iterator[Problem]:
    sha256, state = document["_id"], document["state"]
    if load_entry(folders, sha256) is not None:
        return  # journal and ledger are held against each other apart
    if (sheet_document(store, sha256) or {}).get("state") != state:
        return  # archived while we looked: the journal forgets a sheet once the ledger was told
    # A file that waits is still its owner's, who may take it away; so may whoever empties the
    # quarantine, if the reason goes with it.
    if state == State.WAITING or (state == State.REJECTED and _is_cleared(folders, document)):
        return
    if _lies_in(folders, document):
        return  # staged without a journal entry: that was told with the folder
    yield Problem(
        "missing_file",
        document["name"],
        f"by the ledger it is {state}, and the journal and the folders do not have it",
        f"Look for it in a backup (SHA-256 {sha256}) and put it into {folders.inbox}",
        sha256=sha256,
    )


def _is_cleared(folders: Folders, document: Document) -> bool:
    """Tell whether neither a rejected file nor its reason is in quarantine under its name."""
    name = str(document["name"])
    return not any(
        os.path.lexists(folders.quarantine / f"{spelled}.json")
        for plain in (name, name_with_mark(name, "2"))
        for spelled in names_on_disk(plain)
    )


def _lies_in(folders: Folders, document: Document) -> bool:
    place = folders.quarantine if document["state"] == State.REJECTED else folders.staging
    names = [document.get(key) for key in ("staged_name", "name")]
    on_disk = [spelled for name in names if name for spelled in names_on_disk(str(name))]
    return any(os.path.lexists(place / name) for name in on_disk)


def _codes(found: Mapping[str, Evidence]) -> str:
    listed = [f"{code} ({found[code].finding})" for code in list(found)[:_LISTED_CODES]]
    more = len(found) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more > 0 else "")
