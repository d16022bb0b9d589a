"""The tables of docs/reliability.md: what was measured, when, and with which versions."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.torturing.faults import Trial

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def two_columns(rows: Mapping[str, object]) -> str:
    """Return a table without a head, a row for each item."""
    return "\n".join(
        ["| | |", "|---|---|", *(f"| {name} | {told} |" for name, told in rows.items())]
    )


def trials_table(trials: Sequence[Trial]) -> str:
    """Return the table of the faults, a row for each kind of them."""
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        kinds.setdefault(trial.kind, []).append(trial)
    lines = [
        "| fault | trials | runs under it ended | lost, doubled, unconfirmed, not healed |",
        "|---|---|---|---|",
    ]
    for kind, of_kind in kinds.items():
        tried = [trial for trial in of_kind if not trial.skipped]
        ends = Counter(_end(trial) for trial in tried)
        told = ", ".join(f"{end}: {number}" for end, number in sorted(ends.items()))
        untried = {trial.skipped for trial in of_kind if trial.skipped}
        violations = sum(len(trial.violations) for trial in tried)
        ended = told or f"not tried here: {'; '.join(sorted(untried))}"
        lines.append(f"| {kind} | {len(tried)} | {ended} | {violations if tried else ''} |")
    tried = [trial for trial in trials if not trial.skipped]
    slowest = max((trial.seconds for trial in tried), default=0)
    return "\n".join([*lines, "", f"{len(tried)} trials; the longest run took {slowest:.0f} s."])


def heading(command: str, seconds: float) -> str:
    """Return the line above a table: the date, the command and the versions."""
    told = ", ".join(f"{name} {version}" for name, version in versions().items())
    minutes = f"{seconds / 60:.0f} minutes on {os.cpu_count()} cores"
    return f"{datetime.now(UTC).date().isoformat()}, `{command}`, {minutes}; {told}."


def versions() -> dict[str, str]:
    """Return the versions of what was measured."""
    import prefect
    import pymongo

    import sheetflow
    from sheetflow.servers.mongod_binary import find_mongod

    version = find_mongod().version or (0, 0)
    return {
        "sheetflow": sheetflow.__version__,
        "Python": platform.python_version(),
        "Prefect": prefect.__version__,
        "pymongo": pymongo.version,
        "MongoDB": ".".join(map(str, version)),
        platform.system(): platform.release(),
    }


def write_section(name: str, text: str, page: Path = PAGE) -> None:
    """Put a text in the place of the one between the page's two marks of that name."""
    begin, end = f"<!-- torture: {name} -->", f"<!-- end of {name} -->"
    whole = page.read_text()
    before, rest = whole.split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _end(trial: Trial) -> str:
    if trial.status is None:
        return "not at all"
    return "killed" if trial.status < 0 else f"exit {trial.status}"
