"""What a person may decide about a sheet, as values that outlive a new reading of it.

A decision speaks of a region by its place on the image and not by its number alone, so that it
still finds the region after the sheet was read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sheetflow.regions import Kind, Region, on_page

if TYPE_CHECKING:
    from sheetflow.vision.geometry import Quad

_TOLD_AT_MOST = 6


class Action(StrEnum):
    """What a decision does."""

    ACCEPT = "accept"
    """The doubtful pair is right as it is."""
    CODE = "code"
    """The picture has this code, typed in by a person."""
    ASSIGN = "assign"
    """The picture belongs to that code on the sheet."""
    DISCARD = "discard"
    """The region is not to be stored."""
    COMPLETE = "complete"
    """The doubts about the sheet as a whole are unfounded."""


@dataclass(frozen=True)
class Mark:
    """The region that a decision speaks of.

    Attributes:
        kind: What it was when the decision was made.
        number: Its number on the overlay that the person saw.
        quad: Its corners; a pair's are its picture's. In pixels of the image as displayed.
        page: On which page of its file it is, from 1; None where the file has one.
    """

    kind: Kind
    number: int
    quad: Quad
    page: int | None = None

    @classmethod
    def of(cls, region: Region) -> Mark:
        """Mark a region."""
        return cls(region.kind, region.number, region.quad, region.page)

    @property
    def label(self) -> str:
        """What the person called it."""
        return f"{self.kind} {self.number}{on_page(self.page)}"


@dataclass(frozen=True)
class Decision:
    """One thing that was decided.

    Attributes:
        action: What to do.
        region: With which region; None for the sheet as a whole.
        partner: The code that the picture is assigned to.
        code: The code that the pair has by this decision.
        symbology: Its kind.
        reason: Why a region is discarded.
        settles: The doubts about the sheet as a whole that are unfounded.
    """

    action: Action
    region: Mark | None = None
    partner: Mark | None = None
    code: str = ""
    symbology: str = ""
    reason: str = ""
    settles: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The decision in a few words."""
        label = self.region.label if self.region is not None else "the sheet"
        match self.action:
            case Action.ACCEPT:
                return f"{label} accepted as {self.code}"
            case Action.CODE:
                return f"{label} is {self.code} ({self.symbology})"
            case Action.ASSIGN:
                partner = self.partner.label if self.partner is not None else "a code"
                return f"{label} belongs to {partner}, {self.code}"
            case Action.DISCARD:
                return f"{label} discarded: {self.reason}"
            case Action.COMPLETE:
                return f"{label} is complete"


class Verdict(StrEnum):
    """What becomes of the sheet by a review."""

    SETTLED = "settled"
    REJECTED = "rejected"
    REREAD = "reread"


@dataclass(frozen=True)
class Review:
    """One review of a sheet, whole: a later one takes the place of all its decisions.

    Attributes:
        id: Tells it from every other review.
        at: When, UTC, ISO 8601.
        by: Who.
        verdict: What becomes of the sheet.
        decisions: What was decided about its regions; none unless it is settled.
        note: What the person had to say; the reason of a rejection.
        flow_run_id: The Prefect run through which it came, if it was one.
        sheetflow_version: What had read the sheet.
    """

    id: str
    at: str
    by: str
    verdict: Verdict
    decisions: tuple[Decision, ...] = field(default=())
    note: str = ""
    flow_run_id: str | None = None
    sheetflow_version: str = ""

    @property
    def told(self) -> str:
        """The review in a line, for the sheet's history."""
        note = f": {self.note}" if self.note else ""
        if self.verdict is Verdict.REJECTED:
            return f"rejected in a review{note}"
        if self.verdict is Verdict.REREAD:
            return f"to be read again{note}"
        told = [decision.told for decision in self.decisions[:_TOLD_AT_MOST]]
        more = len(self.decisions) - len(told)
        told += [f"and {more} more decisions"] if more else []
        return f"reviewed{note}: {'; '.join(told)}"

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values that `from_json` takes back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Review:
        """Rebuild a review from what `to_json` returned, from JSON or from the ledger."""
        at = value["at"]
        told = at.isoformat(timespec="milliseconds") if isinstance(at, datetime) else str(at)
        return cls(
            **{
                **value,
                "at": told,
                "verdict": Verdict(value["verdict"]),
                "decisions": tuple(_decision(decision) for decision in value["decisions"]),
            }
        )


def _decision(value: Mapping[str, Any]) -> Decision:
    return Decision(
        **{
            **value,
            "action": Action(value["action"]),
            "region": _mark(value["region"]),
            "partner": _mark(value["partner"]),
            "settles": tuple(value["settles"]),
        }
    )


def _mark(value: Mapping[str, Any] | None) -> Mark | None:
    if value is None:
        return None
    first, second, third, fourth = ((float(x), float(y)) for x, y in value["quad"])
    quad, page = (first, second, third, fourth), value.get("page")
    return Mark(Kind(value["kind"]), int(value["number"]), quad, page)
