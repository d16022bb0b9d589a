"""Pace: a run that works faster than Prefect can be told of it waits; its memory stays small."""

from __future__ import annotations

import threading

from prefect.events.worker import EventsWorker

_SHEETS = 50
_PATIENCE_S = 60.0


class Pace:
    """Has a run wait, every so many sheets, until what it told Prefect has been sent.

    Prefect sends the states of task runs in the background, one by one, from a queue that grows
    without an end if the sheets are small. Sheets of an ordinary size never wait here.
    """

    def __init__(self) -> None:
        self._begun = 0

    def keep(self) -> None:
        """Count a sheet that is about to begin; now and then, wait. Bounded: sheets come first."""
        self._begun += 1
        if self._begun % _SHEETS == 0:
            sent = threading.Thread(target=EventsWorker.instance().wait_until_empty, daemon=True)
            sent.start()
            sent.join(_PATIENCE_S)
