"""A claim: one sheet's file, owned by one run at a time, on this machine and on others."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sheetflow.custody.files import digest_file, is_there
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, save_entry
from sheetflow.custody.lease_files import LEASE_S
from sheetflow.custody.leases import Lease, owned, remove_claim
from sheetflow.sheets import Sheet


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
    with owned(folders, sheet.sha256, lease_s=lease_s) as lease:
        gone = not is_there(path)
        if not gone:
            note_take_over(folders, sheet.sha256, lease)
            yield sheet
        if load_entry(folders, sheet.sha256) is None:
            remove_claim(folders, sheet.sha256)  # finished: nothing of the sheet is left to own
        if gone:
            raise FileNotFoundError(path)


def note_take_over(folders: Folders, sha256: str, lease: Lease) -> None:
    """Put into a sheet's history that its owner before us was killed or fell silent.

    Whoever was killed could not write so itself.
    """
    dead, entry = lease.taken_from, load_entry(folders, sha256)
    if dead is not None and entry is not None:
        note = f"from {dead.host}, process {dead.pid}, which has ended or fallen silent"
        save_entry(folders, entry.told("taken over", note))
