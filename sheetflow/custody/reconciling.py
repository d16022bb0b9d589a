"""Reconciling at start: what a killed run left half done is finished or cleared away.

Everything here can be done again from any point, and nothing removes a sheet's only copy: a file
goes only where the same bytes were just hashed in the place that it was on its way to, a half copy
only because its source still stands. Whatever another run owns at the moment is left to that run.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from sheetflow.custody.claims import note_take_over
from sheetflow.custody.files import HALF, digest_or_none, translated_errors
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import (
    GONE,
    Entry,
    forget_sheet,
    load_duplicate,
    load_entry,
    work_folder,
)
from sheetflow.custody.lease_files import LEASE_S
from sheetflow.custody.leases import owned, remove_claim
from sheetflow.custody.names import shown_name
from sheetflow.custody.quarantine import reason_file
from sheetflow.custody.transfers import half_copy, move_file
from sheetflow.errors import SheetBusy, SheetflowError
from sheetflow.sheets import State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)

_OF_A_SHEET = re.compile(r"\.?([0-9a-f]{64})\b")
_COPYING_S = 3600.0
_REMOVED_WHILE_OPEN = (".nfs", ".fuse_hidden")


def reconcile(folders: Folders, *, lease_s: float = LEASE_S) -> list[str]:
    """Finish or clear away what killed runs left, and return what was done, a line each.

    - A move into staging, archive or quarantine that put its copy in place and did not remove the
      source is finished.
    - Half copies, half-written files and half-removed work products are removed.
    - Work products without a journal entry, and claims of sheets that nothing is left of, likewise.

    A staged sheet that is stored but not archived needs nothing here: the run takes it up, has
    MongoDB confirm it anew and archives it.

    Args:
        folders: The four places.
        lease_s: How long other machines wait for us if we fall silent.

    Raises:
        FolderUnavailable: A folder cannot be read or written now.
    """
    done: list[str] = []
    with translated_errors(folders.state):
        _reconcile(folders, lease_s, done)
    for line in done:
        logger.warning("Left by a run that was ended: %s", line, extra=about("left-over"))
    return done


def _reconcile(folders: Folders, lease_s: float, done: list[str]) -> None:
    known = _known_digests(folders)
    for sha256 in known:
        if not _is_suspect(folders, sha256):
            continue  # thousands may wait for a person or for MongoDB, each as it should be
        try:
            with _ours(folders, sha256, lease_s) as ours:
                if ours:
                    done += _finish_moves(folders, sha256)
                    done += _clear_work(folders, sha256)
        except SheetflowError as error:
            # A file that may not be removed, say: its own attempt tells that, the others go on.
            logger.warning("%s: left by a run that was ended, and still: %s", sha256[:8], error)
    for part in [*_half_archived_copies(folders, known), *_half_written(folders)]:
        whose = _OF_A_SHEET.match(part.name)
        with _ours(folders, whose[1] if whose else None, lease_s) as ours:
            if ours:
                part.unlink(missing_ok=True)
                done.append(f"{shown_name(part.name)[:20]}: a half-written file, removed")


def _known_digests(folders: Folders) -> list[str]:
    """Return the digests of which there are work products or claims."""
    found: set[str] = set()
    for folder in (folders.work, folders.claims):
        with os.scandir(folder) as items:
            found.update(match[1] for item in items if (match := _OF_A_SHEET.match(item.name)))
    return sorted(found)


def _is_suspect(folders: Folders, sha256: str) -> bool:
    """Tell, without owning it and without hashing, whether a sheet may need anything."""
    folder = work_folder(folders, sha256)
    if not folder.exists() or _gone(folders, sha256).exists() or _parts(folder):
        return True
    entry = load_entry(folders, sha256)
    if entry is None or entry.state is State.WAITING or load_duplicate(folders, sha256):
        return True
    return bool(_half_moves(folders, entry))


@contextlib.contextmanager
def _ours(folders: Folders, sha256: str | None, lease_s: float) -> Iterator[bool]:
    """Own a sheet, if nobody else does; without a digest there is nothing to own."""
    if sha256 is None:
        yield True
        return
    with contextlib.ExitStack() as stack:
        try:
            lease = stack.enter_context(owned(folders, sha256, lease_s=lease_s))
        except SheetBusy:
            yield False
            return
        note_take_over(folders, sha256, lease)
        yield True
        if not work_folder(folders, sha256).exists():
            remove_claim(folders, sha256)


def _finish_moves(folders: Folders, sha256: str) -> list[str]:
    entry = load_entry(folders, sha256)
    done = []
    for source, target in _half_moves(folders, entry) if entry is not None else ():
        if digest_or_none(source) == digest_or_none(target) == sha256:
            move_file(source, target, sha256=sha256)
            if source.parent == folders.quarantine:
                reason_file(source).unlink(missing_ok=True)
            done.append(f"{shown_name(source.name)}: its move to {target.parent.name} is finished")
    return done


def _half_moves(folders: Folders, entry: Entry) -> list[tuple[Path, Path]]:
    """Return the moves that were begun, (from, to), and have something in both places."""
    staged = folders.staging / entry.staged_name
    moves = []
    if entry.origin is not None and entry.origin.stands_in(folders.inbox):
        # Killed between the copy and the removal: were the sheet archived first, what is left in
        # the inbox would look like a second drop of the same bytes.
        moves.append((folders.inbox / entry.origin.name, staged))
    if entry.archived_name is not None:
        # It has its archived name only since all its pairs were confirmed.
        moves.append((staged, folders.archive / entry.archived_name))
    if entry.quarantined_name is not None and entry.state is not State.REJECTED:
        moves.append((staged, folders.quarantine / entry.quarantined_name))
    if entry.returning_from is not None:
        moves.append((folders.archive / entry.returning_from, staged))
    if entry.quarantined_name is not None and entry.state is State.WAITING and entry.origin:
        # `retry` was killed: only it has a sheet wait that was in quarantine.
        moves.append(
            (folders.quarantine / entry.quarantined_name, folders.inbox / entry.origin.name)
        )
    return [move for move in moves if all(map(os.path.lexists, move))]


def _clear_work(folders: Folders, sha256: str) -> list[str]:
    done = _clear_parts_of_entry(folders, sha256)
    gone = _gone(folders, sha256)
    if gone.exists():
        shutil.rmtree(gone, ignore_errors=True)
        done.append(f"{sha256[:8]}: work products of an archived sheet, removed")
    plan = load_duplicate(folders, sha256)
    if plan is not None and not any(
        plan.origin.stands_in(place) for place in (folders.inbox, folders.staging)
    ):
        # The ledger was told before the move, and the file is in the archive, or someone took it.
        forget_sheet(folders, sha256)
        done.append(f"{shown_name(plan.origin.name)}: a duplicate, archived and told")
    entry = load_entry(folders, sha256)
    if entry is None and plan is None and work_folder(folders, sha256).exists():
        forget_sheet(folders, sha256)
        done.append(f"{sha256[:8]}: work products that no journal entry names, removed")
    if entry is not None and entry.state is State.WAITING and not _is_anywhere(folders, entry):
        forget_sheet(folders, sha256)
        done.append(f"{shown_name(entry.name)}: it left the inbox before it was staged")
    return done


def _clear_parts_of_entry(folders: Folders, sha256: str) -> list[str]:
    folder = work_folder(folders, sha256)
    parts = _parts(folder) if folder.is_dir() else []
    for part in parts:
        part.unlink(missing_ok=True)
    return [f"{sha256[:8]}: {len(parts)} half-written journal entries, removed"] if parts else []


def _gone(folders: Folders, sha256: str) -> Path:
    return folders.work / f".{sha256}{GONE}"


def _is_anywhere(folders: Folders, entry: Entry) -> bool:
    name = entry.origin.name if entry.origin is not None else entry.name
    return os.path.lexists(folders.inbox / name) or os.path.lexists(
        folders.staging / entry.staged_name
    )


def _half_archived_copies(folders: Folders, known: Sequence[str]) -> list[Path]:
    """Return the half copies in the archive, which is not listed: it may hold a million files.

    Whatever is on its way there has an entry in the journal until it has arrived.
    """
    copies = (half_copy(folders.archive, sha256) for sha256 in known)
    return [copy for copy in copies if os.path.lexists(copy)]


def _half_written(folders: Folders) -> list[Path]:
    """Return the files of ours that may be half written, archive excepted, claims included."""
    parts = [
        path
        for folder in (folders.staging, folders.quarantine, folders.claims)
        for path in _parts(folder)
        if _OF_A_SHEET.match(path.name)
    ]
    # A copy into the inbox is made before anybody can own it; a live one grows all the time. What
    # was removed while open stays under such a name on a network mount, if its machine dies then.
    now = time.time()
    unowned = [*_parts(folders.inbox), *_removed_while_open(folders.claims)]
    return [*parts, *(part for part in unowned if now - _changed_s(part, now) > _COPYING_S)]


def _removed_while_open(folder: Path) -> list[Path]:
    with os.scandir(folder) as items:
        return [folder / item.name for item in items if item.name.startswith(_REMOVED_WHILE_OPEN)]


def _parts(folder: Path) -> list[Path]:
    with os.scandir(folder) as items:
        names = [item.name for item in items if item.is_file(follow_symlinks=False)]
    return [
        folder / name
        for name in sorted(names)
        if name.startswith(".") and name.endswith((HALF, f"{HALF}.old"))
    ]


def _changed_s(path: Path, otherwise: float) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return otherwise
