"""What an audit looked at, what it found, and what it mended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sheetflow.custody.names import shown_name
from sheetflow.errors import SheetBusy, SheetflowError
from sheetflow.telling.steps import about

logger = logging.getLogger(__name__)

LISTED_AT_MOST = 10_000
"""Further problems are counted and not listed, so that a lost database does not fill the memory."""


class Unknown(StrEnum):
    """What a repair does with sheets in the archive that neither ledger nor records know."""

    LEAVE = "leave"
    RESTAGE = "restage"


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        kind: What kind of trouble; docs/decisions/0007-audit-and-force-archive.md lists them.
        sheet: The name of the sheet, or of what else it is about.
        detail: What was found.
        cure: What a person can do.
        sha256: The sheet's digest, if it is about a sheet that is known.
        mend: Mends it and returns what was done; None if that cannot be done safely.
    """

    kind: str
    sheet: str
    detail: str
    cure: str
    sha256: str | None = None
    mend: Callable[[], str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow audit --json` prints it."""
        return {
            "kind": self.kind,
            "sheet": shown_name(self.sheet),
            "detail": self.detail,
            "cure": self.cure,
        }


@dataclass(frozen=True)
class Repair:
    """Something that was mended."""

    kind: str
    sheet: str
    what: str

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow audit --json` prints it."""
        return {"kind": self.kind, "sheet": shown_name(self.sheet), "what": self.what}


@dataclass
class Report:
    """Collects what an audit finds, and mends it where that is asked for.

    Attributes:
        repair: Whether to mend.
        unknown: What to do with sheets in the archive that nothing is known of.
        checked: How many of what was looked at.
        problems: What is wrong, and was not mended.
        repaired: What was mended.
    """

    repair: bool = False
    unknown: Unknown = Unknown.LEAVE
    checked: Counter[str] = field(default_factory=Counter)
    problems: list[Problem] = field(default_factory=list)
    repaired: list[Repair] = field(default_factory=list)
    _about: set[str] = field(default_factory=set)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong, or everything was mended."""
        return not self.problems

    def count(self, what: str, number: int = 1) -> None:
        """Note that so many were looked at."""
        self.checked[what] += number

    def add(self, problems: Iterable[Problem]) -> None:
        """Take in what a check found, and mend it if that is asked for and possible."""
        for problem in problems:
            if problem.sha256 is not None:
                self._about.add(problem.sha256)
            if not (self.repair and problem.mend is not None and self._mended(problem)):
                self._keep(problem)

    def is_about(self, sha256: str) -> bool:
        """Tell whether something was found about a sheet already, so that it is not told twice."""
        return sha256 in self._about

    def to_json(self) -> dict[str, Any]:
        """Return it as `sheetflow audit --json` prints it."""
        value: dict[str, Any] = {
            "ok": self.ok,
            "checked": dict(sorted(self.checked.items())),
            "problems": [problem.to_json() for problem in self.problems],
        }
        if self.repair:
            value["repaired"] = [repair.to_json() for repair in self.repaired]
        return value

    def _keep(self, problem: Problem) -> None:
        logger.warning(
            "%s: %s: %s",
            shown_name(problem.sheet),
            problem.kind,
            problem.detail,
            extra=about("problem", cause=problem.kind),
        )
        if len(self.problems) < LISTED_AT_MOST:
            self.problems.append(problem)
        else:
            self.count("problems_not_listed")

    def _mended(self, problem: Problem) -> bool:
        if problem.mend is None:
            return False
        try:
            what = problem.mend()
        except SheetBusy:
            self.count("busy")
            return True  # a run is working on it: it is that run's to bring in order
        except (SheetflowError, FileNotFoundError) as error:
            logger.warning("%s: not mended: %s", shown_name(problem.sheet), error)
            return False
        logger.info(
            "%s: %s: %s",
            shown_name(problem.sheet),
            problem.kind,
            what,
            extra=about("mended", cause=problem.kind),
        )
        if len(self.repaired) < LISTED_AT_MOST:
            self.repaired.append(Repair(problem.kind, problem.sheet, what))
        else:
            self.count("repairs_not_listed")
        return True
