"""What became of each sheet in a run, and what that makes of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from sheetflow.custody.names import portable_name, shown_name
from sheetflow.errors import Failure
from sheetflow.sheets import Counts
from sheetflow.sheets import State as SheetState

_NAMED_AT_MOST = 20


@dataclass(frozen=True)
class Outcome:
    """What became of one sheet.

    Attributes:
        name: Its name on disk.
        sha256: Its digest; None if its bytes could not be read.
        state: Where it is now, or `failed` if this attempt did not bring it on.
        counts: What was found on it.
        error: The cause and the cure, if there is anything to say.
        failure: The same in parts, where an attempt failed.
        step_run_id: The task run that failed, if it was one.
        seconds: How long this attempt took.
        old_news: It waited for a person before this run, and still does.
        busy: Another thread or run owns it, or a file with the same bytes, at the moment.
        note: What is worth knowing though nothing is wrong.
    """

    name: str
    sha256: str | None
    state: SheetState
    counts: Counts | None = None
    error: str | None = None
    seconds: float = 0.0
    old_news: bool = False
    busy: bool = False
    note: str | None = None
    failure: Failure | None = None
    step_run_id: UUID | None = None

    @property
    def ok(self) -> bool:
        """Whether nobody has to do anything about it."""
        return self.error is None

    def to_json(self) -> dict[str, Any]:
        """Return what `sheetflow ingest --json` prints of it."""
        return {
            "name": portable_name(self.name),
            "sha256": self.sha256,
            "state": str(self.state),
            "pairs": self.counts.pairs if self.counts else 0,
            "error": self.error,
            "seconds": round(self.seconds, 3),
        }


class Listener(Protocol):
    """Whoever wants to know how a run goes on; called from the flow's own thread."""

    def expecting(self, sheets: int) -> None:
        """Hear how many sheets the run has before it."""

    def heard(self, outcome: Outcome) -> None:
        """Hear what became of one."""


_LISTENER: ContextVar[Listener | None] = ContextVar("outcome_listener", default=None)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` how the flows go on that run inside the block."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


def expect(sheets: int) -> None:
    """Tell whoever listens to this run how many sheets it has before it."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.expecting(sheets)


def announce(outcome: Outcome) -> None:
    """Tell whoever listens to this run what became of a sheet."""
    listener = _LISTENER.get()
    if listener is not None:
        listener.heard(outcome)


def verdict(outcomes: Sequence[Outcome]) -> State[None]:
    """Return the state of a run: red, with the names, if any sheet in it came to grief.

    The name stays `Failed`, which automations go by.
    """
    news = [outcome for outcome in outcomes if not outcome.ok and not outcome.old_news]
    message = summary(outcomes)
    return Failed(message=message) if news else Completed(message=message)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Return a run's outcome in a sentence or two that name every sheet in trouble."""
    if not outcomes:
        return "Nothing to do: the inbox is empty."
    total = len(outcomes)
    clauses = [f"{_count(outcomes, SheetState.ARCHIVED)} of {total} sheets archived"]
    for state, words in (
        (SheetState.FAILED, "failed, kept for the next run"),
        (SheetState.NEEDS_REVIEW, "need a review"),
        (SheetState.REJECTED, "rejected, see images_rejected"),
        (SheetState.WAITING, "left in the inbox"),
    ):
        names = [shown_name(item.name) for item in outcomes if item.state is state]
        if names:
            shown = ", ".join(names[:_NAMED_AT_MOST])
            more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
            clauses.append(f"{len(names)} {words}: {shown}{more}")
    news_first = sorted(outcomes, key=lambda item: item.old_news)
    causes = list(dict.fromkeys(item.error for item in news_first if item.error))
    cause = f" First cause: {causes[0]}" if causes else ""
    return "; ".join(clauses) + "." + cause


def _count(outcomes: Sequence[Outcome], state: SheetState) -> int:
    return sum(outcome.state is state for outcome in outcomes)
