"""Custody: a sheet's moves between the four places, one owner at a time, nothing ever lost.

The journal's entry is written before a move and says where the sheet is going, so that after a kill
at any point the next run finds the file in one of two places and knows which.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sheetflow.custody.files import digest_file, open_regular, write_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import (
    Duplicate,
    Entry,
    Origin,
    entries,
    forget_sheet,
    load_duplicate,
    load_entry,
    now_iso,
    save_duplicate,
    save_entry,
)
from sheetflow.custody.lease_files import LEASE_S
from sheetflow.custody.leases import check_lease, owned, remove_claim
from sheetflow.custody.names import (
    MAX_NAME_BYTES,
    is_ignored,
    name_with_mark,
    portable_name,
    shown_name,
)
from sheetflow.custody.releases import ForcedRelease
from sheetflow.custody.transfers import copy_file, free_name, move_file, unused_name
from sheetflow.errors import CustodyError, Failure, NameTaken, SheetRejected, UsageError
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


def staged_files(folders: Folders) -> list[Path]:
    """Return the files in staging, oldest first."""
    with os.scandir(folders.staging) as found:
        files = [
            (item.stat(follow_symlinks=False).st_mtime_ns, folders.staging / item.name)
            for item in found
            if item.is_file(follow_symlinks=False) and not is_ignored(item.name)
        ]
    return [path for _, path in sorted(files)]


def half_archived(folders: Folders) -> list[Path]:
    """Return the archived files whose run was ended before the ledger could be told."""
    return [
        folders.archive / entry.archived_name
        for entry in entries(folders)
        if entry.archived_name is not None
        and not os.path.lexists(folders.staging / entry.staged_name)
        and os.path.lexists(folders.archive / entry.archived_name)
    ]


@contextlib.contextmanager
def claimed_sheet(folders: Folders, path: Path, *, lease_s: float = LEASE_S) -> Iterator[Sheet]:
    """Own the sheet at `path` while the block runs.

    The claim is a lock and a lease on the sheet's digest, see `leases`: a dead owner's claim ends
    with its process or runs out, and two files of the same bytes exclude each other.

    Args:
        folders: The four places.
        path: The file.
        lease_s: How long other machines wait for us if we fall silent.

    Raises:
        SheetBusy: Another thread, process or machine owns it.
        FileNotFoundError: Another run has moved it meanwhile.
        CustodyError: It is not a regular file.
    """
    sheet = Sheet(name=path.name, sha256=digest_file(path), path=path)
    with owned(folders, sheet.sha256, lease_s=lease_s):
        with open_regular(path):  # moved meanwhile? A network mount asks its server only now
            pass
        yield sheet
        if load_entry(folders, sheet.sha256) is None:
            remove_claim(folders, sheet.sha256)  # finished: nothing of the sheet is left to own


def bring_in(folders: Folders, file: Path) -> Path:
    """Return where a file that someone named waits; one from elsewhere is copied into the inbox.

    Args:
        folders: The four places.
        file: A path, or the bare name of a file in the inbox or in staging.

    Raises:
        UsageError: There is no such file, or it is archived or in quarantine.
    """
    path = file.absolute()
    if not os.path.lexists(path) and len(file.parts) == 1:
        path = _named(folders, file.name) or path
    for place in (folders.inbox, folders.staging):
        if path.parent.resolve() == place.resolve() and os.path.lexists(path):
            return place / path.name
    if path.parent.resolve() in (folders.archive.resolve(), folders.quarantine.resolve()):
        raise UsageError(
            f"it is in {path.parent} already",
            cure="Copy it into the inbox if it shall be taken once more",
            sheet=shown_name(file.name),
        )
    if not path.is_file():
        raise UsageError(
            f"there is no file {shown_name(str(path))}",
            cure="Check the path; bare names are looked for in the inbox and in staging",
            sheet=shown_name(file.name),
        )
    return copy_file(path, folders.inbox)


def stage_sheet(folders: Folders, sheet: Sheet, *, flow_run_id: str | None = None) -> Sheet:
    """Move a sheet from the inbox to staging and return it there.

    Raises:
        CustodyError: Another file of the same bytes is staged already and waits there.
        FolderUnavailable: The move cannot be made now; the sheet is still in the inbox.
    """
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    if entry is not None and not os.path.lexists(sheet.path):
        return _staged_already(folders, sheet, entry, flow_run_id=flow_run_id)
    origin = Origin.of(sheet.path)
    if entry is not None and os.path.lexists(folders.staging / entry.staged_name):
        if entry.origin != origin:
            raise CustodyError(
                f"the same bytes are already staged as {shown_name(entry.staged_name)}",
                cure=f"Finish that sheet first; it is in state {entry.state}",
                sheet=shown_name(sheet.name),
            )
        staged_name = entry.staged_name  # a move that was cut off between copy and removal
    else:
        staged_name = free_name(folders.staging, sheet.name, sha256=sheet.sha256)
        # A sheet that was rejected, and put back by `retry`, keeps its history.
        history = entry.history if entry is not None else ()
        entry = Entry(
            sheet.sha256, sheet.name, State.WAITING, staged_name, origin=origin, history=history
        ).moved_on(State.WAITING, flow_run_id=flow_run_id)
        save_entry(folders, entry)
    target = folders.staging / staged_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    save_entry(folders, entry.moved_on(State.STAGED, flow_run_id=flow_run_id))
    logger.info("%s: staged", sheet.label, extra=about("staged", sheet))
    return Sheet(staged_name, sheet.sha256, target)


def _staged_already(
    folders: Folders, sheet: Sheet, entry: Entry, *, flow_run_id: str | None
) -> Sheet:
    """Finish an earlier try of this step that moved the file and could not write so."""
    target = folders.staging / entry.staged_name
    # With nothing left to move it finds the file there, or says what is gone.
    move_file(sheet.path, target, sha256=sheet.sha256)
    if entry.state is State.WAITING:
        save_entry(folders, entry.moved_on(State.STAGED, flow_run_id=flow_run_id))
    return Sheet(entry.staged_name, sheet.sha256, target)


def staged_twin(folders: Folders, sheet: Sheet) -> str | None:
    """Return the name in staging of another file with the bytes of this one, which waits."""
    entry = load_entry(folders, sheet.sha256)
    if entry is None or not os.path.lexists(folders.staging / entry.staged_name):
        return None
    return None if entry.origin == Origin.of(sheet.path) else entry.staged_name


def adopt_staged(folders: Folders, sheet: Sheet, *, flow_run_id: str | None = None) -> Entry:
    """Return the journal's entry of a staged sheet, a new one if the journal was lost."""
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    if entry is None:
        entry = Entry(sheet.sha256, sheet.name, State.WAITING, sheet.name).moved_on(
            State.STAGED, flow_run_id=flow_run_id, note="found in staging without a journal entry"
        )
    if sheet.path.parent == folders.staging and entry.staged_name != sheet.name:
        entry = replace(entry, staged_name=sheet.name)  # renamed by hand
    entry = replace(entry, attempts=entry.attempts + 1)
    save_entry(folders, entry)
    if entry.origin is not None and entry.origin.stands_in(folders.inbox):
        # Its removal was refused, where a sheet may be read and not taken away. Were it archived
        # now, what is left in the inbox would be taken for a second drop of the same bytes.
        move_file(folders.inbox / entry.origin.name, sheet.path, sha256=sheet.sha256)
    return entry


def archive_sheet(
    folders: Folders, sheet: Sheet, receipt: UploadReceipt, *, flow_run_id: str | None = None
) -> Path:
    """Move a staged sheet to the archive, against the proof that all its pairs are stored.

    Args:
        folders: The four places.
        sheet: The staged sheet; or one that an earlier try has already moved.
        receipt: What only a confirming read-back can make, for this sheet and all its pairs.
        flow_run_id: The Prefect run, for the history.

    Returns:
        Where the sheet is now.

    Raises:
        CustodyError: The receipt is another sheet's, or does not cover every pair.
        FolderUnavailable: The move cannot be made now; the sheet is still in staging.
    """
    if receipt.sheet_sha256 != sheet.sha256 or not receipt.complete:
        raise CustodyError(
            "the receipt does not prove that every pair of this sheet is stored",
            cure="Nothing was moved; run again, and report this as a bug if it comes back",
            sheet=shown_name(sheet.name),
        )
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256) or adopt_staged(folders, sheet)
    entry = _moved_to_archive(folders, entry)
    save_entry(
        folders,
        replace(entry, last_error=None).moved_on(State.ARCHIVED, flow_run_id=flow_run_id),
    )
    target = folders.archive / (entry.archived_name or entry.name)
    logger.info(
        "%s: archived as %s", sheet.label, shown_name(target.name), extra=about("archived", sheet)
    )
    return target


def release_sheet(
    folders: Folders, sheet: Sheet, release: ForcedRelease, *, archived_name: str
) -> Path:
    """Move a staged sheet to the archive on a person's order, without proof that it is stored.

    The other way into the archive: it takes an order that names the sheet and the reason, where
    `archive_sheet` takes a receipt, and neither takes the other's.

    Args:
        folders: The four places.
        sheet: The staged sheet; or one that an earlier try has already moved.
        release: Who, when, why, confirmed; on record already.
        archived_name: Its name in the archive, on record already.

    Raises:
        CustodyError: The order is for another sheet.
        FolderUnavailable: The move cannot be made now; the sheet is still in staging.
    """
    if release.sheet_sha256 != sheet.sha256:
        raise CustodyError(
            "the order to archive by force is for another sheet",
            cure="Nothing was moved; name this sheet if it is the one that is meant",
            sheet=shown_name(sheet.name),
        )
    target = folders.archive / archived_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    logger.warning("%s: %s", sheet.label, release.note(), extra=about("forced", sheet))
    return target


def plan_duplicate(folders: Folders, sheet: Sheet) -> Duplicate:
    """Write down under which name a duplicate will be archived, and return that; once a file.

    Without it a move that was killed between the copy and the removal would be begun again under
    another unused name, and the archive would have the file twice.
    """
    plan = load_duplicate(folders, sheet.sha256)
    if plan is not None and not os.path.lexists(sheet.path):
        return plan  # an earlier try moved it, and could not clear up behind it
    origin = Origin.of(sheet.path)
    if plan is not None and plan.origin == origin:
        target = folders.archive / plan.archived_name
        if not os.path.lexists(target) or digest_file(target) == sheet.sha256:
            return plan
    plan = Duplicate(origin, unused_name(folders.archive, sheet.name), now_iso())
    save_duplicate(folders, sheet.sha256, plan)
    return plan


def archive_duplicate(folders: Folders, sheet: Sheet) -> Path:
    """Move a file whose bytes are archived and stored already to the archive, under its own name.

    Returns:
        Where it is now.
    """
    check_lease(folders, sheet.sha256)
    target = folders.archive / plan_duplicate(folders, sheet).archived_name
    move_file(sheet.path, target, sha256=sheet.sha256)
    forget_sheet(folders, sheet.sha256)
    logger.info(
        "%s: a duplicate, archived as %s",
        sheet.label,
        shown_name(target.name),
        extra=about("duplicate", sheet),
    )
    return target


def quarantine_sheet(
    folders: Folders, sheet: Sheet, error: SheetRejected, *, flow_run_id: str | None = None
) -> Path:
    """Move a file that can never work to the quarantine, with a reason file beside it.

    Returns:
        Where it is now; the reason is in a file of that name with `.json` after it.
    """
    check_lease(folders, sheet.sha256)
    entry = load_entry(folders, sheet.sha256)
    original = entry.name if entry is not None else sheet.name
    target = folders.quarantine / _quarantine_name(folders, sheet, original, entry)
    if entry is not None:
        entry = replace(entry, quarantined_name=target.name)
        save_entry(folders, entry)
    reason = {
        "name": portable_name(original),
        "sha256": sheet.sha256,
        "cause": error.cause,
        "cure": error.cure,
        "at": now_iso(),
        "flow_run_id": flow_run_id,
    }
    # The reason first: a file in quarantine that nobody can explain must not exist.
    data = (json.dumps(reason, indent=2) + "\n").encode()
    write_file(reason_file(target), data, mark=sheet.sha256)
    move_file(sheet.path, target, sha256=sheet.sha256)
    if entry is not None:
        save_entry(
            folders,
            replace(entry, last_error=str(error)).moved_on(
                State.REJECTED, flow_run_id=flow_run_id, note=str(error)
            ),
        )
    logger.warning(
        "%s: rejected: %s",
        sheet.label,
        error,
        extra=about("rejected", sheet, cause=type(error).__name__),
    )
    return target


def reason_file(quarantined: Path) -> Path:
    """Return the path of the reason file of a quarantined sheet."""
    return quarantined.with_name(f"{quarantined.name}.json")


def record_failure(
    folders: Folders,
    sheet: Sheet,
    error: str,
    *,
    failure: Failure | None = None,
    flow_run_id: str | None = None,
) -> None:
    """Write a failed attempt into the journal; the sheet stays where it is."""
    entry = load_entry(folders, sheet.sha256)
    if entry is not None:
        save_entry(folders, entry.failed(error, failure=failure, flow_run_id=flow_run_id))
    cause = failure.kind if failure is not None else None
    logger.error("%s: failed: %s", sheet.label, error, extra=about("failed", sheet, cause=cause))


def _named(folders: Folders, name: str) -> Path | None:
    for place in (folders.inbox, folders.staging):
        for found in place.iterdir():
            if portable_name(found.name) == name:  # Prefect cannot carry names that are not UTF-8
                return found
    return None


def _moved_to_archive(folders: Folders, entry: Entry) -> Entry:
    for last_try in (False, False, True):
        # The name that an earlier try wrote down, unless another sheet has taken it since.
        wanted = entry.archived_name or entry.name
        name = free_name(folders.archive, wanted, sha256=entry.sha256)
        entry = replace(entry, archived_name=name)
        save_entry(folders, entry)
        try:
            move_file(
                folders.staging / entry.staged_name, folders.archive / name, sha256=entry.sha256
            )
        except NameTaken:
            # Two sheets of one name are archived at once, and the other one was quicker.
            if last_try:
                raise
        else:
            break
    return entry


def _quarantine_name(folders: Folders, sheet: Sheet, name: str, entry: Entry | None) -> str:
    planned = entry.quarantined_name if entry is not None else None
    if planned is not None and _is_free_or_same(folders.quarantine / planned, sheet):
        return planned  # an earlier try was killed, perhaps between the copy and the removal
    # Room for ".json"; an overlong name gives way to the digest.
    if len(os.fsencode(name)) > MAX_NAME_BYTES - len(".json"):
        name = f"{sheet.sha256}{Path(name).suffix[:16]}"
    candidate, number = name, 2
    while not _is_free_or_ours(folders.quarantine / candidate, sheet):
        candidate, number = name_with_mark(name, str(number)), number + 1
    return candidate


def _is_free_or_same(target: Path, sheet: Sheet) -> bool:
    return not os.path.lexists(target) or digest_file(target) == sheet.sha256


def _is_free_or_ours(target: Path, sheet: Sheet) -> bool:
    if not os.path.lexists(reason_file(target)):
        return not os.path.lexists(target)
    try:
        ours = json.loads(reason_file(target).read_bytes())["sha256"] == sheet.sha256
    except (OSError, ValueError, KeyError, TypeError):
        ours = False
    # Ours from an earlier try: ended before the move, or after it.
    return ours and os.path.lexists(target) != os.path.lexists(sheet.path)
