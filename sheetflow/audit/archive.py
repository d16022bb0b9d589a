"""The archive's files, each against the ledger: known, and what it was."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePath

from sheetflow.audit.mends import (
    is_whole,
    rebuild,
    record_duplicate,
    record_name,
    send_back,
    tell_force,
)
from sheetflow.audit.report import Problem, Report, Unknown
from sheetflow.audit.sampling import Sample
from sheetflow.custody.batches import batched
from sheetflow.custody.files import digest_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import load_forced
from sheetflow.custody.journal import Entry, load_entry
from sheetflow.custody.names import is_ignored, names_on_disk, portable_name
from sheetflow.errors import CustodyError, FolderUnavailable
from sheetflow.sheets import State
from sheetflow.store.connection import Store
from sheetflow.store.survey import Document, images_of_sheet, sheet_document, sheets_archived_as

_AT_ONCE = 200


def check_archive(folders: Folders, store: Store | None, sample: Sample, report: Report) -> None:
    """Look at each file in the archive; without MongoDB they are only counted."""
    for paths in batched(_files(folders), _AT_ONCE):
        report.count("archived_files", len(paths))
        if store is None:
            continue
        owners = sheets_archived_as(store, [path.name for path in paths])
        for path in paths:
            known = owners.get(portable_name(path.name), set())
            if known and not any(sample.holds(sha256) for sha256 in known):
                continue
            report.count("archived_files_hashed")
            report.add(_file(folders, store, path, known, report))


def archived_file(folders: Folders, document: Document) -> Path | None:
    """Return where the ledger has a sheet in the archive, None if there is no such file."""
    for name in names_on_disk(str(document.get("archived_name") or "")):
        # A name in the ledger is a file's, never a path out of the archive.
        if name == PurePath(name).name and os.path.lexists(folders.archive / name):
            return folders.archive / name
    return None


def _files(folders: Folders) -> Iterator[Path]:
    if not folders.archive.is_dir():
        return
    with os.scandir(folders.archive) as found:
        for item in found:
            if not is_ignored(item.name):
                yield folders.archive / item.name


def _file(
    folders: Folders, store: Store, path: Path, known: set[str], report: Report
) -> Iterator[Problem]:
    try:
        sha256 = digest_file(path)
    except FileNotFoundError:
        return  # taken back to staging while we looked
    except FolderUnavailable as error:
        yield Problem("unreadable_file", path.name, error.cause, error.cure)
        return
    except CustodyError as error:
        cure = "Only sheets belong into the archive: move it elsewhere"
        yield Problem("foreign_file", path.name, error.cause, cure)
        return
    if sha256 in known:
        return
    # The journal first: it forgets a sheet only once the ledger has it as archived.
    entry = load_entry(folders, sha256)
    document = sheet_document(store, sha256)
    if known and document is None:
        yield Problem(
            "altered_file",
            path.name,
            f"the ledger has it with the SHA-256 {min(known)}, and its bytes have {sha256}",
            f"Restore it from a backup; what is stored of it in MongoDB is looked at apart. The "
            f"altered file is better moved out of {folders.archive}",
            sha256=min(known),
        )
    elif document is None:
        if entry is not None:
            report.count("archived_and_untold")  # the next run tells the ledger
        else:
            yield from _unknown(folders, store, path, sha256, report.unknown)
    elif entry is None or document["state"] == State.ARCHIVED or _was_cut_off(folders, entry):
        yield from _elsewhere(folders, store, path, document)


def _was_cut_off(folders: Folders, entry: Entry) -> bool:
    """Tell whether a sheet should be staged, is not, and was not on its way to the archive."""
    staged = os.path.lexists(folders.staging / entry.staged_name)
    return entry.archived_name is None and not staged


def _unknown(
    folders: Folders, store: Store, path: Path, sha256: str, unknown: Unknown
) -> Iterator[Problem]:
    record = load_forced(folders, sha256)
    if record is not None and not record.told:
        return  # that was told with the records of force-archive
    if record is not None:
        yield Problem(
            "missing_ledger_entry",
            path.name,
            "it was archived by force, of which there is a record on disk and none in the ledger",
            "`sheetflow audit --repair` tells the ledger again",
            sha256=sha256,
            mend=partial(tell_force, folders, store, path),
        )
        return
    images = images_of_sheet(store, sha256)
    if images:
        gap = "" if is_whole(images) else ", not all of them or not whole"
        yield Problem(
            "missing_ledger_entry",
            path.name,
            f"it is archived, MongoDB has {len(images)} pictures of it{gap}, and the ledger does "
            "not know it",
            "`sheetflow audit --repair` writes its entry anew, or sends it back to staging where "
            "pictures are missing",
            sha256=sha256,
            mend=partial(rebuild, folders, store, path),
        )
        return
    yield Problem(
        "foreign_file",
        path.name,
        "it lies in the archive, and neither ledger nor records know anything of it",
        "If it is a sheet that shall be stored, `sheetflow audit --repair --unknown restage` moves "
        "it, and every other one like it, to staging, and the next run takes them; else move it "
        "elsewhere",
        sha256=sha256,
        mend=partial(send_back, folders, store, path, why="nothing of it is stored")
        if unknown is Unknown.RESTAGE
        else None,
    )


def _elsewhere(folders: Folders, store: Store, path: Path, document: Document) -> Iterator[Problem]:
    """Judge a file whose digest the ledger has, though not under this name in the archive."""
    sha256, state = document["_id"], document["state"]
    names = {twin.get("archived_name") for twin in (document, *(document.get("duplicates") or ()))}
    if portable_name(path.name) in names and state == State.ARCHIVED:
        return  # the ledger was told between our first look and now
    if state == State.ARCHIVED and archived_file(folders, document) is not None:
        yield Problem(
            "unrecorded_duplicate",
            path.name,
            f"it has the same bytes as {document['archived_name']}, and is not on record",
            "`sheetflow audit --repair` records it as a duplicate; or remove it",
            mend=partial(record_duplicate, folders, store, path),
        )
    elif state == State.ARCHIVED:
        yield Problem(
            "renamed_file",
            path.name,
            f"the ledger has it in the archive as {document['archived_name']}",
            "`sheetflow audit --repair` tells the ledger the new name; or name it as before",
            sha256=sha256,
            mend=partial(record_name, folders, store, path),
        )
    elif load_forced(folders, sha256) is None:
        yield Problem(
            "misplaced_file",
            path.name,
            f"it lies in the archive, and by the ledger it is {state}: not proven to be stored",
            "`sheetflow audit --repair` moves it to staging, and the next run takes it on",
            sha256=sha256,
            mend=partial(
                send_back, folders, store, path, why=f"it was archived as {state}", known=document
            ),
        )
