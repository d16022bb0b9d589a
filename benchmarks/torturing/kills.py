"""Kill anywhere: rounds of sheets whose runs are killed, again and again, until one may finish."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.torturing.checker import check_now, check_settled, snapshot
from benchmarks.torturing.doors import WHENS, Harm
from benchmarks.torturing.scenes import SCENES, Cast
from benchmarks.torturing.sheets import TestSheet
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.tally import KEPT, WORKERS, Tally
from benchmarks.torturing.victims import Run

_KILLS_A_ROUND = 5
_APART: tuple[tuple[str, ...], ...] = (
    (),
    (),
    ("archive",),
    ("staging",),
    ("staging", "quarantine"),
)


@dataclass(frozen=True)
class Way:
    """How the runs of a round are made.

    Attributes:
        apart: Which of the four places are on another disk.
        workers: Whether sheets are read in worker processes, as users' runs do.
        options: Further fields of the order.
    """

    apart: tuple[str, ...] = ()
    workers: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def drawn(cls, dice: random.Random, *, workers_share: float) -> Way:
        """Draw a way by lot."""
        options: dict[str, Any] = {"inline_bytes": 2000} if dice.random() < 0.2 else {}
        if dice.random() < 0.15:
            options["no_links"] = True
        return cls(dice.choice(_APART), dice.random() < workers_share, options)

    @property
    def order(self) -> dict[str, Any]:
        """The fields of an order."""
        return {**self.options, "real_workers": self.workers}

    @property
    def reading(self) -> str:
        """How sheets are read, for the tally."""
        return WORKERS if self.workers else KEPT

    def __str__(self) -> str:
        disk = f", other disk: {'+'.join(self.apart)}" if self.apart else ""
        return disk + "".join(f", {name}" for name in self.options)


def play_round(
    stage: Stage, players: Cast, dice: random.Random, tally: Tally, *, workers_share: float
) -> None:
    """Play one round: a scene, some kills at doors drawn by lot, a whole run, the checks."""
    scene = dice.choice(list(SCENES))
    way = Way.drawn(dice, workers_share=workers_share)
    stage.clear(apart=way.apart)
    SCENES[scene](stage, players, dice)
    journey = 150
    for _ in range(_KILLS_A_ROUND):
        harm, options = draw_harm(dice, journey)
        run = stage.run(harm=harm, **options, **way.order)
        tally.note(run, scene, reading=way.reading)
        where = at(run, harm)
        tally.violations += [f"{scene}{way}: {item} [{where}]" for item in check_now(stage.scene)]
        if not run.killed:
            break
        journey = max(30, journey - len(run.doors) + 30)
    finish_round(stage, tally, scene, way, again=dice.random() < 0.15)


def finish_round(stage: Stage, tally: Tally, scene: str, way: Way = Way(), *, again: bool) -> None:
    """Run undisturbed and check everything; perhaps run once more, which must change nothing."""
    run = stage.run(**way.order)
    tally.note(run, scene, reading=way.reading)
    tally.rounds += 1
    label = f"{scene}{way}"
    trouble = any(item.kind != "good" for item in stage.scene.dropped)
    if run.status != 0 and not (trouble and run.status == 1):
        tally.violations.append(f"{label}: the next run ended {run.status}: {run.told}")
    problems = check_settled(stage.scene)
    if problems and any("PLACES" in problem for problem in problems):
        problems = [*problems, f"(it said {run.told})"]
    tally.violations += [f"{label}: {problem} [after the next run]" for problem in problems]
    if again:
        before = snapshot(stage.scene)
        stage.run(**way.order)
        tally.again += 1
        if snapshot(stage.scene) != before:
            tally.violations.append(f"{label}: TWICE one run more changed something")


def sweep(
    stage: Stage,
    sheet: TestSheet,
    tally: Tally,
    *,
    apart: tuple[str, ...],
    whens: Sequence[str] = WHENS,
    stride: int = 1,
) -> int:
    """Kill at every door of one sheet's journey in turn; return how many doors it has."""
    way = Way(apart)
    stage.clear(apart=apart)
    stage.drop(sheet)
    doors = len(stage.run().doors)
    for door in range(1, doors + 1, stride):
        for when in whens:
            stage.clear(apart=apart)
            stage.drop(sheet)
            harm = Harm(door=door, when=when)
            run = stage.run(harm=harm)
            scene = "two disks" if apart else "one disk"
            tally.note(run, scene, reading=KEPT)
            label = f"sweep, {scene}, {at(run, harm)}"
            tally.violations += [f"{label}: {problem}" for problem in check_now(stage.scene)]
            finish_round(stage, tally, label, way, again=False)
    return doors


def draw_harm(dice: random.Random, journey: int) -> tuple[Harm, dict[str, float]]:
    """Draw when a run is killed: at one of so many doors, or now and then by the clock."""
    if dice.random() < 0.1:
        return Harm(), {"kill_after_s": dice.uniform(0.05, 1.2)}
    return Harm(door=dice.randint(1, journey), when=dice.choice(WHENS)), {}


def at(run: Run, harm: Harm) -> str:
    """Say where a run was killed."""
    return f"killed {harm.when} door {len(run.doors)}: {run.last_door}"
