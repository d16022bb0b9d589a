"""The forced release: a person's order in place of a receipt. Pure.

It is a type of its own on purpose. A receipt proves that a sheet is stored; a forced release says
that somebody takes the blame for archiving it though it may not be. Nothing accepts the one for
the other, and neither can be made in passing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, asdict, dataclass
from typing import Any

from sheetflow.errors import UsageError
from sheetflow.wording import counted


@dataclass(frozen=True)
class Standing:
    """How much of a sheet MongoDB holds.

    Attributes:
        stored: The codes whose pictures were read back from MongoDB just now.
        unstored: The codes of which that cannot be said.
        pairs_known: Whether what was read on it is there; if not, nobody knows how many pairs it
            has.
        checked: Whether MongoDB was asked; if it was away, every pair counts as not stored.
        was_read: Whether it was read before, where its pairs are not known: it is to be read again.
    """

    stored: tuple[str, ...] = ()
    unstored: tuple[str, ...] = ()
    pairs_known: bool = True
    checked: bool = True
    was_read: bool = False

    def told(self) -> str:
        """Return it as a clause."""
        if not self.pairs_known:
            why = "it was to be read again" if self.was_read else "it was never read"
            return f"{why}, so nobody knows which pairs are lost to MongoDB"
        asked = "" if self.checked else " (MongoDB is away, so none could be confirmed)"
        return (
            f"{counted(len(self.stored), 'pair')} stored and confirmed, "
            f"{len(self.unstored)} will not be stored{asked}"
        )


@dataclass(frozen=True)
class ForcedRelease:
    """A person's order to archive a sheet without a complete receipt.

    Attributes:
        sheet_sha256: Which sheet.
        at: When, UTC, ISO 8601.
        by: Who.
        reason: Why.
        standing: What was stored at that time, and what was not.
        confirmed: That the person was shown what will not be stored, and said yes.

    Raises:
        UsageError: No reason is given, or it is not confirmed.
    """

    sheet_sha256: str
    at: str
    by: str
    reason: str
    standing: Standing
    confirmed: InitVar[bool] = False

    def __post_init__(self, confirmed: bool) -> None:
        if not self.reason.strip():
            raise UsageError(
                "a sheet is archived by force only for a reason",
                cure="Say why, with --reason; it is kept in the ledger",
            )
        if confirmed is not True:
            raise UsageError(
                "a sheet is archived by force only once that is confirmed",
                cure="Look at what will not be stored, then confirm it (--yes in a script)",
            )

    def to_json(self) -> dict[str, Any]:
        """Return the `forced` field of journal and ledger."""
        return {
            "at": self.at,
            "by": self.by,
            "reason": self.reason,
            "stored_pairs": len(self.standing.stored),
            "unstored_pairs": list(self.standing.unstored),
            "pairs_known": self.standing.pairs_known,
            "checked": self.standing.checked,
        }

    def note(self) -> str:
        """Return the line in the history."""
        return f"archived by force, by {self.by}: {self.reason}; {self.standing.told()}"


def release_to_json(release: ForcedRelease) -> dict[str, Any]:
    """Return everything about a release, for `release_from_json`."""
    return asdict(release)


def release_from_json(value: Mapping[str, Any]) -> ForcedRelease:
    """Rebuild a release from a record on disk, which is only written once it was confirmed."""
    standing = value["standing"]
    return ForcedRelease(
        sheet_sha256=value["sheet_sha256"],
        at=value["at"],
        by=value["by"],
        reason=value["reason"],
        standing=Standing(
            tuple(standing["stored"]),
            tuple(standing["unstored"]),
            standing["pairs_known"],
            standing["checked"],
            standing.get("was_read", False),
        ),
        confirmed=True,
    )
