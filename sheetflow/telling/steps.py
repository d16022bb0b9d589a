"""Which step of which sheet is being done: what log lines and figures have to know of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field

from sheetflow.custody.names import shown_name
from sheetflow.sheets import Sheet
from sheetflow.telling.figures import FIGURES


@dataclass(frozen=True)
class Step:
    """A step that is being done.

    Attributes:
        name: `stage`, `process`, `upload`, `archive` or `quarantine`.
        sheet: The sheet it is done on.
        began_s: When it began, by the clock that only measures.
    """

    name: str
    sheet: Sheet
    began_s: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.began_s

    def fields(self) -> dict[str, object]:
        """Return what a log line that is written now says of it."""
        return {**_whose(self.sheet), "step": self.name, "duration": round(self.seconds, 6)}


_CURRENT: ContextVar[Step | None] = ContextVar("sheetflow_step", default=None)


def current_step() -> Step | None:
    """Return the step that this thread is doing, None between steps."""
    return _CURRENT.get()


def about(event: str, sheet: Sheet | None = None, **figures: object) -> dict[str, object]:
    """Return what a log line says besides its text, for `extra=`.

    Args:
        event: What happened, one word; docs/logs.md lists them.
        sheet: The sheet that it happened to.
        figures: What else there is to say, under names that docs/logs.md tells of.
    """
    return {"event": event, **(_whose(sheet) if sheet else {}), **figures}


def _whose(sheet: Sheet) -> dict[str, object]:
    return {"sheet": shown_name(sheet.name), "digest": sheet.sha256[:8]}


@contextlib.contextmanager
def step(name: str, sheet: Sheet) -> Iterator[None]:
    """Say what the block does: its log lines bear it, its duration and its failure are counted."""
    now = Step(name, sheet)
    token = _CURRENT.set(now)
    try:
        yield
    except Exception as error:
        FIGURES.count("step_failures", step=name, cause=type(error).__name__)
        raise
    finally:
        FIGURES.observe("step_seconds", now.seconds, step=name)
        _CURRENT.reset(token)
