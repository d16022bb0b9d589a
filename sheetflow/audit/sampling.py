"""Which sheets an audit of a part looks into; another part every day. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sheetflow.errors import UsageError


@dataclass(frozen=True)
class Sample:
    """A window on the circle of digests.

    A sheet's place on the circle is the first eight digits of its SHA-256, as a part of a hundred.
    Each day's window begins where that of the day before ended, so that nightly audits of N %
    have seen every sheet after 100 / N nights, rounded up, and two audits of one day look at the
    same ones. A sheet's file, its receipt and its records are in the window together.

    Attributes:
        percent: How wide the window is.
        start: Where it begins, 0 to 100.
    """

    percent: float = 100.0
    start: float = 0.0

    @classmethod
    def of_day(cls, percent: float, day: date) -> Sample:
        """Return the window of a day.

        Raises:
            UsageError: `percent` is not between 0 and 100.
        """
        if not 0 < percent <= 100:
            raise UsageError(
                f"{percent:g} % is no part of a store",
                cure="Give --sample a number above 0, up to 100",
            )
        return cls(percent, day.toordinal() * percent % 100)

    def holds(self, sha256: str) -> bool:
        """Tell whether a sheet is looked into."""
        place = int(sha256[:8], 16) / 2**32 * 100
        return (place - self.start) % 100 < self.percent
