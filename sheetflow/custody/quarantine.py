"""Into quarantine: what can never work, each file beside the file that says why."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sheetflow.custody.files import digest_file, write_file
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, load_entry, now_iso, save_entry
from sheetflow.custody.leases import check_lease
from sheetflow.custody.names import (
    MAX_NAME_BYTES,
    is_ignored,
    name_with_mark,
    portable_name,
)
from sheetflow.custody.transfers import move_file
from sheetflow.errors import SheetRejected
from sheetflow.sheets import Sheet, State
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)


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
    # The reason first: a file in quarantine that nobody can explain must not exist.
    write_reason(
        target,
        name=original,
        sha256=sheet.sha256,
        cause=error.cause,
        cure=error.cure,
        flow_run_id=flow_run_id,
    )
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


def quarantined_files(folders: Folders) -> Iterator[Path]:
    """Yield the files in quarantine, their reason files left out."""
    with os.scandir(folders.quarantine) as found:
        for item in found:
            path = folders.quarantine / item.name
            plain = item.is_file(follow_symlinks=False) and not is_ignored(item.name)
            if plain and not _is_reason(path):
                yield path


def reason_file(quarantined: Path) -> Path:
    """Return the path of the reason file of a quarantined sheet."""
    return quarantined.with_name(f"{quarantined.name}.json")


def write_reason(
    quarantined: Path,
    *,
    name: str,
    sha256: str,
    cause: str,
    cure: str,
    flow_run_id: str | None = None,
) -> None:
    """Write why a file lies in quarantine, and what a person can do, beside it."""
    reason = {
        "name": portable_name(name),
        "sha256": sha256,
        "cause": cause,
        "cure": cure,
        "at": now_iso(),
        "flow_run_id": flow_run_id,
    }
    data = (json.dumps(reason, indent=2) + "\n").encode()
    write_file(reason_file(quarantined), data, mark=sha256)


def read_reason(quarantined: Path) -> dict[str, str]:
    """Return what the reason file of a quarantined sheet says, empty if nothing that we wrote."""
    try:
        value = json.loads(reason_file(quarantined).read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


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


def _is_reason(path: Path) -> bool:
    if path.suffix != ".json" or os.path.lexists(reason_file(path)):
        return False
    # A sheet may be called x.json itself: it is a reason only of a file that lies beside it, or of
    # one that has just left.
    return os.path.lexists(path.with_suffix("")) or "sha256" in _json_keys(path)


def _json_keys(path: Path) -> set[str]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return set()
    return set(value) if isinstance(value, dict) else set()
