"""Kill anywhere: rounds of sheets whose runs are killed, again and again, until one may finish."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.torturing.checker import check_now, check_settled, snapshot
from benchmarks.torturing.doors import WHENS, Harm
from benchmarks.torturing.sheets import (
    TestSheet,
    doubtful_sheet,
    junk,
    plain_sheet,
    revised_sheet,
)
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.victims import Run

_KILLS_A_ROUND = 5
_PLAIN = 6


@dataclass
class Tally:
    """What was done, and what did not hold."""

    kills: int = 0
    runs: int = 0
    rounds: int = 0
    again: int = 0
    where: Counter[str] = field(default_factory=Counter)
    scenes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def note(self, run: Run, scene: str) -> None:
        """Count a run."""
        self.runs += 1
        self.slowest_s = max(self.slowest_s, run.seconds)
        if run.killed:
            self.kills += 1
            self.scenes[scene] += 1
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
        self.violations += other.violations
        self.slowest_s = max(self.slowest_s, other.slowest_s)


def kind_of(door: str) -> str:
    """Return the kind of a door: the call, without the file or the collection."""
    words = door.split(" ")
    return " ".join(words[:2]) if words[0] == "mongo" else words[0]


@dataclass(frozen=True)
class Cast:
    """The sheets that the rounds play with."""

    plain: Sequence[TestSheet]
    revised: Sequence[TestSheet]
    doubtful: TestSheet
    junk: TestSheet

    @property
    def good(self) -> list[TestSheet]:
        """Those that end in the archive."""
        return [*self.plain, *self.revised]


def cast() -> Cast:
    """Draw the sheets, or take them from the cache."""
    return Cast(
        [plain_sheet(seed) for seed in range(1, _PLAIN + 1)],
        [revised_sheet(seed) for seed in (1, 2)],
        doubtful_sheet(1),
        junk(1),
    )


def learn(stage: Stage, players: Cast) -> None:
    """Let every sheet through undisturbed, and note what is stored."""
    stage.clear(drop=True)
    for batch in (players.plain, players.revised):
        for sheet in batch:
            stage.drop(sheet)
        run = stage.run()
        if run.status != 0:
            raise RuntimeError(
                f"undisturbed, the run ended {run.status}: {_errors(run)} {run.errors[:800]}"
            )
    stage.learn(players.good)
    problems = check_settled(stage.scene)
    if problems:
        raise RuntimeError(f"undisturbed, the promises do not hold: {problems}")


Prepare = Callable[[Stage, Cast, random.Random], None]


def _one(stage: Stage, players: Cast, dice: random.Random) -> None:
    stage.drop(dice.choice(players.plain))


def _two(stage: Stage, players: Cast, dice: random.Random) -> None:
    for sheet in dice.sample(list(players.plain), 2):
        stage.drop(sheet)


def _same_bytes(stage: Stage, players: Cast, dice: random.Random) -> None:
    sheet = dice.choice(players.plain)
    stage.drop(sheet)
    stage.drop(sheet, "again.png")


def _same_name(stage: Stage, players: Cast, dice: random.Random) -> None:
    first, second = dice.sample(list(players.plain), 2)
    stage.drop(first, "page.png")
    stage.run()
    stage.drop(second, "page.png")


def _archived_before(stage: Stage, players: Cast, dice: random.Random) -> None:
    sheet = dice.choice(players.plain)
    stage.drop(sheet)
    stage.run()
    stage.drop(sheet, "later.png")


def _revision(stage: Stage, players: Cast, dice: random.Random) -> None:
    number = dice.randrange(len(players.revised))
    stage.drop(players.plain[number])
    if dice.random() < 0.7:
        stage.run()
    stage.drop(players.revised[number])


def _junk(stage: Stage, players: Cast, dice: random.Random) -> None:
    stage.drop(players.junk)
    stage.drop(dice.choice(players.plain))


def _doubtful(stage: Stage, players: Cast, dice: random.Random) -> None:
    stage.drop(players.doubtful)
    stage.drop(dice.choice(players.plain))
    if dice.random() < 0.5:
        stage.settings["SHEETFLOW_ON_DOUBT"] = "store-certain"


SCENES: dict[str, Prepare] = {
    "one sheet": _one,
    "two sheets": _two,
    "same bytes twice": _same_bytes,
    "same name, other bytes": _same_name,
    "same bytes as archived": _archived_before,
    "codes with other pictures": _revision,
    "no image beside a sheet": _junk,
    "doubtful beside a sheet": _doubtful,
}
APART: tuple[tuple[str, ...], ...] = ((), (), ("archive",), ("staging",), ("staging", "quarantine"))


def play_round(stage: Stage, players: Cast, dice: random.Random, tally: Tally) -> None:
    """Play one round: a scene, some kills at doors drawn by lot, a whole run, the checks."""
    scene = dice.choice(list(SCENES))
    apart = dice.choice(APART)
    more: dict[str, object] = {"inline_bytes": 2000} if dice.random() < 0.2 else {}
    if dice.random() < 0.04:
        more["real_workers"] = True
    stage.clear(apart=apart)
    SCENES[scene](stage, players, dice)
    label = f"{scene}{', other disk: ' + '+'.join(apart) if apart else ''}"
    journey = 150
    for _ in range(_KILLS_A_ROUND):
        harm, options = _lot(dice, journey)
        run = stage.run(harm=harm, **options, **more)
        tally.note(run, scene)
        tally.violations += [f"{label}: {p} [{_at(run, harm)}]" for p in check_now(stage.scene)]
        if not run.killed:
            break
        journey = max(30, journey - len(run.doors) + 30)
    finish_round(stage, tally, label, again=dice.random() < 0.15, **more)


def finish_round(stage: Stage, tally: Tally, label: str, *, again: bool, **more: object) -> None:
    """Run undisturbed and check everything; perhaps run once more, which must change nothing."""
    run = stage.run(**more)
    tally.note(run, label)
    tally.rounds += 1
    trouble = any(item.kind != "good" for item in stage.scene.dropped)
    if run.status != 0 and not (trouble and run.status == 1):
        tally.violations.append(f"{label}: the next run ended {run.status}: {_errors(run)}")
    problems = check_settled(stage.scene)
    if problems and any("PLACES" in problem for problem in problems):
        problems = [*problems, f"(it said {_errors(run)})"]
    tally.violations += [f"{label}: {problem} [after the next run]" for problem in problems]
    if again:
        before = snapshot(stage.scene)
        stage.run(**more)
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
    stage.clear(apart=apart)
    stage.drop(sheet)
    doors = len(stage.run().doors)
    for door in range(1, doors + 1, stride):
        for when in whens:
            stage.clear(apart=apart)
            stage.drop(sheet)
            harm = Harm(door=door, when=when)
            run = stage.run(harm=harm)
            tally.note(run, "sweep")
            label = f"sweep {_at(run, harm)}"
            tally.violations += [f"{label}: {problem}" for problem in check_now(stage.scene)]
            finish_round(stage, tally, label, again=False)
    return doors


def _lot(dice: random.Random, journey: int) -> tuple[Harm, dict[str, float]]:
    if dice.random() < 0.1:
        return Harm(), {"kill_after_s": dice.uniform(0.05, 1.2)}
    return Harm(door=dice.randint(1, journey), when=dice.choice(WHENS)), {}


def _at(run: Run, harm: Harm) -> str:
    return f"killed {harm.when} door {len(run.doors)}: {run.last_door}"


def _errors(run: Run) -> str:
    sheets = run.answer["sheets"] if run.answer else []
    told = [f"{item['name']}: {item['state']}: {item['error']}" for item in sheets]
    return "; ".join(told) or run.errors[-400:]
