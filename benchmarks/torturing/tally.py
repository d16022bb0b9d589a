"""What was done to sheetflow, and what did not hold."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.torturing.victims import Run

WORKERS = "worker processes, as users' runs do"
KEPT = "kept from an earlier run"
NO_READING = "no reading in this command"
_WORDS = {
    "LOST": "lost",
    "TWICE": "duplicated (records, revisions, archive copies, events)",
    "UNCONFIRMED": "archived and not confirmed",
    "PLACES": "in no or two places after the next run",
}


@dataclass
class Tally:
    """What was done, and what did not hold.

    Attributes:
        kills: Runs that were killed.
        runs: Runs of the command line that were begun with a harm, or to heal one.
        rounds: Scenes that were played to their end.
        again: Rounds whose last run was made once more, to see that it changes nothing.
        where: Kills by the kind of door.
        scenes: Kills by scene.
        reading: Kills by how sheets were read in that run.
        violations: What did not hold, a sentence each.
        slowest_s: The longest run.
    """

    kills: int = 0
    runs: int = 0
    rounds: int = 0
    again: int = 0
    where: Counter[str] = field(default_factory=Counter)
    scenes: Counter[str] = field(default_factory=Counter)
    reading: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def note(self, run: Run, scene: str, *, reading: str) -> None:
        """Count a run."""
        self.runs += 1
        self.slowest_s = max(self.slowest_s, run.seconds)
        if run.killed:
            self.kills += 1
            self.scenes[scene] += 1
            self.reading[reading] += 1
            self.where[kind_of(run.last_door)] += 1
        if run.hung:
            self.violations.append(f"HUNG in {scene} behind {run.last_door}")

    def add(self, other: Tally) -> None:
        """Take another tally in."""
        self.kills += other.kills
        self.runs += other.runs
        self.rounds += other.rounds
        self.again += other.again
        self.where += other.where
        self.scenes += other.scenes
        self.reading += other.reading
        self.violations += other.violations
        self.slowest_s = max(self.slowest_s, other.slowest_s)

    def table(self) -> dict[str, object]:
        """Return the rows of the table, in words."""
        return {
            "kills": f"{self.kills} in {self.runs} runs and {self.rounds} rounds; "
            f"{self.again} rounds run once more",
            **{told: self._count(word) for word, told in _WORDS.items()},
            "anything else (a red or hung next run, ledger, leftovers)": len(self.violations)
            - sum(map(self._count, _WORDS)),
            "killed at": _listed(self.where),
            "scenes": _listed(self.scenes),
            "sheets were read by": _listed(self.reading),
            "slowest run": f"{self.slowest_s:.1f} s",
        }

    def _count(self, word: str) -> int:
        return sum(f" {word} " in f" {violation}" for violation in self.violations)


def kind_of(door: str) -> str:
    """Return the kind of a door: the call, without the file or the collection."""
    words = door.split(" ")
    return " ".join(words[:2]) if words[0] == "mongo" else words[0]


def _listed(counts: Counter[str]) -> str:
    grouped: Counter[str] = Counter()
    for name, number in counts.items():
        grouped["MongoDB commands" if name.startswith("mongo ") else name] += number
    return ", ".join(f"{name} {number}" for name, number in grouped.most_common())
