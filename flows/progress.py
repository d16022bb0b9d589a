"""How a long run gets on, as a bar on its page."""

from __future__ import annotations

import time
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

_WORTH_A_BAR = 10
_MOVES_EVERY_S = 3.0


class ProgressBar:
    """A progress artifact that moves every few seconds; none for a run that is soon over.

    Args:
        total: How many sheets there are.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._artifact: UUID | None = None
        self._moved_at = time.monotonic()
        if total >= _WORTH_A_BAR:
            made = create_progress_artifact(
                progress=0.0, key="ingest-progress", description=self._told()
            )
            self._artifact = made if isinstance(made, UUID) else None

    def advance(self) -> None:
        """Count one sheet more; the page hears of it now and then, and of the last one."""
        self._done += 1
        now = time.monotonic()
        last = self._done == self._total
        if self._artifact is None or (now - self._moved_at < _MOVES_EVERY_S and not last):
            return
        self._moved_at = now
        update_progress_artifact(
            artifact_id=self._artifact,
            progress=100.0 * self._done / self._total,
            description=self._told(),
        )

    def _told(self) -> str:
        return f"{self._done} of {self._total} sheets done"
