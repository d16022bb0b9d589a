"""Which notices to send: what is the matter now, held against what was told before.

Pure: no folder, no clock. A trouble is told once, however many sheets it hits and however many runs
it lasts; again after a while, so that it is not forgotten; and once more when it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum


class Kind(StrEnum):
    """What may be the matter."""

    RUN = "run"
    """A run ended before it could do its work."""
    FAILED = "failed"
    """Sheets that a run could not bring on, all its retries used up."""
    MISSED = "missed"
    """Files that a run could not even begin with."""
    REJECTED = "rejected"
    """Files that can never work; told once, and nothing to wait for."""
    REVIEW = "review"
    """Sheets that wait for a person."""
    LATE = "late"
    """Sheets that have been here for too long, and nothing else explains it."""
    AUDIT = "audit"
    """What the audit found."""


@dataclass(frozen=True)
class Trouble:
    """One thing that is the matter, with everything that it hits.

    Attributes:
        kind: What sort of thing.
        about: What makes it the same thing as one that was told before, within its kind.
        cause: What happened, a clause without a full stop.
        cure: What a person can do about it, a sentence without a full stop.
        sheets: The printable names of the sheets that it hits, each with what is particular to it.
        shared: Whether it hits every sheet alike: more sheets are then no news.
    """

    kind: Kind
    about: str
    cause: str
    cure: str
    sheets: Mapping[str, str] = field(default_factory=dict)
    shared: bool = False

    @property
    def key(self) -> str:
        """What it is remembered by."""
        return f"{self.kind}/{self.about}"

    @property
    def lasts(self) -> bool:
        """Whether it goes on until someone or something ends it."""
        return self.kind is not Kind.REJECTED

    def cause_of(self, sheets: Mapping[str, str]) -> str:
        """Return the cause as it is for some of the sheets."""
        own = next(iter(sheets.values()), "")
        return own if own and self.kind in {Kind.FAILED, Kind.MISSED, Kind.REJECTED} else self.cause


@dataclass(frozen=True)
class Told:
    """What was told of a trouble that still is one.

    Attributes:
        cause: Its cause, as it was told.
        since: When it was told first.
        last: When it was told last as a whole.
        sheets: The sheets that were named, or counted.
    """

    cause: str
    since: datetime
    last: datetime
    sheets: tuple[str, ...] = ()


class News(StrEnum):
    """Why a notice is sent; the end of its event's name."""

    TROUBLE = "trouble"
    REVIEW = "review"
    OVER = "over"
    """A trouble is over, and another one is not."""
    WELL = "well"
    """All is well again."""


@dataclass(frozen=True)
class Notice:
    """One message to people.

    Attributes:
        news: Why it is sent.
        about: The trouble's key; empty where it is about several.
        subject: Its first line, without the name of the program.
        cause: What happened.
        cure: What to do; empty if nothing.
        sheets: The sheets in question, each with what is particular to it.
        since: When the trouble was told first, in a reminder.
    """

    news: News
    about: str
    subject: str
    cause: str
    cure: str = ""
    sheets: Mapping[str, str] = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """The notices to send, and what is to be remembered once they are sent."""

    notices: tuple[Notice, ...]
    told: dict[str, Told]


def decide(
    troubles: Sequence[Trouble],
    told: Mapping[str, Told],
    *,
    at: datetime,
    again_after: timedelta,
    unseen: Collection[Kind] = (),
) -> Decision:
    """Decide what to tell.

    Args:
        troubles: Everything that is the matter now.
        told: What was told before, by the troubles' keys.
        at: The present moment.
        again_after: How long until a trouble that lasts is told again.
        unseen: The kinds that were not looked for this time, of which nothing can be said.
    """
    now = {trouble.key: trouble for trouble in troubles}
    notices: list[Notice] = []
    remembered: dict[str, Told] = {}
    for key, trouble in now.items():
        before = told.get(key)
        notice = _notice(trouble, before, at=at, again_after=again_after)
        if notice is not None:
            notices.append(notice)
        remembered[key] = Told(
            before.cause if before else trouble.cause,
            since=before.since if before else at,
            # A notice of some new sheets alone does not put off the reminder of the others.
            last=before.last if before and not (notice and notice.since) else at,
            sheets=() if trouble.shared else tuple(trouble.sheets),
        )
    gone = {key: before for key, before in told.items() if key not in now}
    kept = {key: before for key, before in gone.items() if _kind(key) in unseen}
    ended = {key: before for key, before in gone.items() if key not in kept}
    lasting = [key for key in (*now, *kept) if _kind(key) is not Kind.REJECTED]
    return Decision(
        notices=(*notices, *_endings(ended, lasting=bool(lasting))), told={**remembered, **kept}
    )


def _notice(
    trouble: Trouble, before: Told | None, *, at: datetime, again_after: timedelta
) -> Notice | None:
    if before is None:
        return _told_of(trouble)
    if trouble.lasts and at - before.last >= again_after:
        reminder = _told_of(trouble)
        return replace(reminder, subject=f"still: {reminder.subject}", since=before.since)
    news = {name: words for name, words in trouble.sheets.items() if name not in before.sheets}
    if news and not trouble.shared:
        return _told_of(replace(trouble, cause=trouble.cause_of(news), sheets=news))
    return None


def _told_of(trouble: Trouble) -> Notice:
    return Notice(
        News.REVIEW if trouble.kind is Kind.REVIEW else News.TROUBLE,
        trouble.key,
        _subject(trouble),
        trouble.cause,
        trouble.cure,
        trouble.sheets,
    )


def _subject(trouble: Trouble) -> str:
    names = list(trouble.sheets)
    which = names[0] if len(names) == 1 else f"{len(names)} sheets"
    needs = "needs a review" if len(names) == 1 else "need a review"
    return {
        Kind.RUN: f"a run could not do its work: {trouble.cause}",
        Kind.FAILED: f"{which} failed: {trouble.cause}",
        Kind.MISSED: f"{which} could not be taken: {trouble.cause}",
        Kind.REJECTED: f"{which} rejected",
        Kind.REVIEW: f"{which} {needs}",
        Kind.LATE: f"{which} waiting for too long",
        Kind.AUDIT: f"the audit found something: {trouble.cause}",
    }[trouble.kind]


def _endings(ended: Mapping[str, Told], *, lasting: bool) -> list[Notice]:
    # Whoever answered a review knows it: that alone is no news while something else is the matter.
    silent = {Kind.REJECTED, Kind.REVIEW} if lasting else {Kind.REJECTED}
    over = [before for key, before in ended.items() if _kind(key) not in silent]
    if not over:
        return []
    causes = "; ".join(dict.fromkeys(before.cause for before in over))
    if lasting:
        return [Notice(News.OVER, "", f"over: {causes}", f"this is over: {causes}")]
    return [Notice(News.WELL, "", "all is well again", f"this is over: {causes}")]


def _kind(key: str) -> Kind:
    return Kind(key.partition("/")[0])
