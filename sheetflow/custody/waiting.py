"""The sheets that wait for a person, told from the folders and the journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry
from sheetflow.custody.lookup import Found, staged_sheets
from sheetflow.custody.names import portable_name
from sheetflow.sheets import State


@dataclass(frozen=True)
class WaitingReview:
    """A sheet that waits for a person.

    Attributes:
        name: The name that people gave it.
        sha256: Its digest.
        path: Where it is.
        doubts: Why a person should look at it.
        since: Since when, UTC.
        stored_pairs: How many of its certain pairs are stored already.
        reviews: How often persons have decided about it before.
    """

    name: str
    sha256: str
    path: Path
    doubts: tuple[str, ...]
    since: datetime
    stored_pairs: int
    reviews: int

    @property
    def age_s(self) -> float:
        """How long it has waited, in seconds."""
        return max((datetime.now(UTC) - self.since).total_seconds(), 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow review --json` prints it."""
        return {
            "name": portable_name(self.name),
            "sha256": self.sha256,
            "doubts": list(self.doubts),
            "since": self.since.isoformat(timespec="seconds"),
            "age_s": round(self.age_s, 1),
            "stored_pairs": self.stored_pairs,
        }


def waiting_reviews(folders: Folders) -> list[WaitingReview]:
    """Return the sheets that wait for a person, the one that waits longest first.

    It answers from the folders and the journal, MongoDB there or not.
    """
    found = staged_sheets(folders) if folders.staging.is_dir() else []
    waiting = [
        _waiting(item, item.entry)
        for item in found
        if item.entry is not None and item.state is State.NEEDS_REVIEW
    ]
    return sorted(waiting, key=lambda review: review.since)


def _waiting(found: Found, entry: Entry) -> WaitingReview:
    # The upload of its certain pairs, and failed attempts at it, are told while it waits.
    told = (State.NEEDS_REVIEW, State.FAILED)
    waits = list(takewhile(lambda event: event.state in told, reversed(entry.history)))
    since = datetime.fromisoformat(waits[-1].at) if waits else datetime.now(UTC)
    return WaitingReview(
        name=entry.name,
        sha256=entry.sha256,
        path=found.path,
        doubts=entry.doubts,
        since=since,
        stored_pairs=entry.stored_pairs,
        reviews=len(entry.reviews),
    )
