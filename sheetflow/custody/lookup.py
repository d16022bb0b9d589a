"""Finding a sheet by what a person calls it: a name of its, a path, or the start of its digest."""

from __future__ import annotations

import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry, entries
from sheetflow.custody.names import portable_name, shown_name
from sheetflow.custody.quarantine import quarantined_files, read_reason
from sheetflow.custody.staging import staged_files
from sheetflow.errors import UsageError
from sheetflow.sheets import State

_SHORTEST_DIGEST = 6
_LISTED_AT_MOST = 20
_NOT_IN_STAGING = (State.WAITING, State.ARCHIVED, State.REJECTED)


@dataclass(frozen=True)
class Found:
    """A file in one of the four places, with what is known of it without reading it.

    Attributes:
        path: Where it is.
        state: As the journal knows it; `rejected` for all in quarantine.
        sha256: Its digest as journal or reason file have it; None where neither knows the file.
        names: Every name it goes by, the one that people gave it first.
        entry: What the journal knows.
    """

    path: Path
    state: State
    sha256: str | None
    names: tuple[str, ...]
    entry: Entry | None = None

    @property
    def label(self) -> str:
        """Name, folder, state and short digest, for a list to choose from."""
        digest = f", {self.sha256[:12]}" if self.sha256 else ""
        failed = ", failed" if self.entry is not None and self.entry.last_error else ""
        name = shown_name(self.path.name)
        return f"{name} (in {self.path.parent.name}, {self.state}{failed}{digest})"


def answers_to(wanted: str, names: Iterable[str | None], sha256: str | None) -> bool:
    """Tell whether a sheet is meant by `wanted`: a name, a path to it, or the digest's start."""
    spelled = {form for name in names if name for form in (name, portable_name(name))}
    if {wanted, PurePath(wanted).name, portable_name(wanted)} & spelled:
        return True
    return is_digest_start(wanted) and (sha256 or "").startswith(wanted.lower())


def is_digest_start(wanted: str) -> bool:
    """Tell whether `wanted` can be the start of a digest."""
    long_enough = _SHORTEST_DIGEST <= len(wanted) <= 64
    return long_enough and not set(wanted) - set(string.hexdigits)


def entries_by_staged_name(folders: Folders) -> dict[str, Entry]:
    """Return the journal's entries by the name in staging; of two with one name, the staged one."""
    known: dict[str, Entry] = {}
    for entry in entries(folders):
        # Rejected sheets keep their entry, and another sheet of that name may be staged by now.
        if entry.staged_name not in known or entry.state not in _NOT_IN_STAGING:
            known[entry.staged_name] = entry
    return known


def staged_sheets(folders: Folders) -> list[Found]:
    """Return what is in staging, oldest first."""
    known = entries_by_staged_name(folders)
    return [_staged(path, known.get(path.name)) for path in staged_files(folders)]


def quarantined_sheets(folders: Folders) -> list[Found]:
    """Return what is in quarantine, in the order of the names."""
    known = {entry.sha256: entry for entry in entries(folders)}
    return [_quarantined(path, known) for path in sorted(quarantined_files(folders))]


def choose(wanted: str, candidates: Sequence[Found], *, meaning: str) -> Found:
    """Return the one candidate that `wanted` means.

    Args:
        wanted: What a person called it.
        candidates: Those that can be meant.
        meaning: What they are, as in "a staged sheet".

    Raises:
        UsageError: None is meant, or several are; the message lists them.
    """
    matching = [found for found in candidates if answers_to(wanted, found.names, found.sha256)]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise UsageError(
            f"several sheets go by this name: {listed(matching)}",
            cure="Name one of them by the first digits of its SHA-256, shown last",
            sheet=shown_name(wanted),
        )
    raise UsageError(
        f"it is not {meaning}",
        cure=f"Choose one of these: {listed(candidates)}"
        if candidates
        else "There is none at the moment; `sheetflow status` shows where every sheet stands",
        sheet=shown_name(wanted),
    )


def listed(candidates: Sequence[Found]) -> str:
    """Return the labels of candidates in one line, some of them if there are many."""
    labels = [found.label for found in candidates[:_LISTED_AT_MOST]]
    more = len(candidates) - len(labels)
    return "; ".join(labels) + (f"; and {more} more" if more else "")


def _staged(path: Path, entry: Entry | None) -> Found:
    if entry is None:
        return Found(path, State.STAGED, None, (path.name,))
    state = State.STAGED if entry.state in _NOT_IN_STAGING else entry.state
    return Found(path, state, entry.sha256, (entry.name, path.name), entry)


def _quarantined(path: Path, known: dict[str, Entry]) -> Found:
    reason = read_reason(path)
    sha256 = reason.get("sha256")
    entry = known.get(sha256 or "")
    names = [entry.name if entry else None, reason.get("name"), path.name]
    return Found(path, State.REJECTED, sha256, tuple(name for name in names if name), entry)
