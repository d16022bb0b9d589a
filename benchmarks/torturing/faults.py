"""What every fault has in common: it strikes, the run ends red and soon, the next one heals."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from benchmarks.torturing.checker import check_now, check_settled, conserved
from benchmarks.torturing.scenes import Cast
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.victims import Run

BOUND_S = 75.0
"""With the short waits of the stage; a run under a fault must not take longer."""

RED = (1, 2)
ANY = (0, 1, 2)


@dataclass
class Trial:
    """One fault, and what came of it.

    Attributes:
        name: The fault; what stands before a colon is its kind, by which tables are made.
        expected: The exit codes that a run under it may have.
        status: The exit code that it had.
        seconds: How long that run took.
        said: The first error that it told.
        violations: What did not hold.
        skipped: Why it was not tried.
    """

    name: str
    expected: tuple[int, ...] = RED
    status: int | None = None
    seconds: float = 0.0
    said: str = ""
    violations: list[str] = field(default_factory=list)
    skipped: str = ""

    @property
    def kind(self) -> str:
        """The kind of fault."""
        return self.name.partition(": ")[0]

    def struck(self, run: Run, stage: Stage) -> None:
        """Note a run under the fault; what MongoDB has is not asked, it may be away."""
        self.status, self.seconds = run.status, run.seconds
        errors = [item["error"] for item in (run.answer or {}).get("sheets", []) if item["error"]]
        self.said = (errors or [run.errors.strip().split("\n")[-1]])[0][:200]
        if run.hung or run.seconds > BOUND_S:
            self.violations.append(f"HUNG for {run.seconds:.0f} s")
        elif run.status not in self.expected:
            self.violations.append(f"STATUS {run.status}, not one of {self.expected}: {self.said}")
        if "Traceback" in run.errors:
            self.violations.append(f"TRACEBACK {run.errors[-600:]}")
        if "unexpectedly" in self.said:
            self.violations.append(f"UNEXPECTED {self.said}")
        self.violations += conserved(stage.scene)

    def healed(self, stage: Stage) -> None:
        """Check the promises, run once more undisturbed, and check that all is well."""
        self.violations += check_now(stage.scene)
        run = stage.run()
        if run.status != 0:
            self.violations.append(f"UNHEALED the next run ended {run.status}: {run.answer}")
        self.violations += check_settled(stage.scene)


@dataclass
class Playground:
    """A stage with its sheets, on which faults are tried one after the other."""

    stage: Stage
    players: Cast
    trials: list[Trial] = field(default_factory=list)
    tell: Callable[[Trial], None] = lambda trial: None  # noqa: ARG005

    @contextlib.contextmanager
    def trial(
        self, name: str, expected: tuple[int, ...] = RED, *, apart: tuple[str, ...] = ()
    ) -> Iterator[Trial]:
        """Set two sheets out for a fault; whatever breaks in the harness counts as a violation."""
        trial = Trial(name, expected)
        self.trials.append(trial)
        started = time.monotonic()
        try:
            self.stage.clear(apart=apart)
            self.stage.drop(self.players.plain[0])
            self.stage.drop(self.players.plain[1])
            yield trial
        except Exception as error:  # noqa: BLE001 - the other faults go on
            trial.violations.append(f"HARNESS {type(error).__name__}: {error}")
        if not trial.seconds:
            trial.seconds = time.monotonic() - started
        self.tell(trial)

    def skip(self, name: str, reason: str) -> None:
        """Note a fault that cannot be tried here."""
        trial = Trial(name, skipped=reason)
        self.trials.append(trial)
        self.tell(trial)

    def strike(self, trial: Trial, **options: Any) -> None:
        """Run under the fault and note how it ended."""
        trial.struck(self.stage.run(timeout_s=BOUND_S + 15, **options), self.stage)
