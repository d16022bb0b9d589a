"""The scenes in which runs are killed: which sheets wait in the inbox, and what was before."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from benchmarks.torturing.checker import REVIEWER, check_settled
from benchmarks.torturing.sheets import (
    TestSheet,
    doubtful_sheet,
    junk,
    plain_sheet,
    revised_sheet,
)
from benchmarks.torturing.stage import Stage

AWAY = {"MONGODB_URI": "mongodb://127.0.0.1:9/?directConnection=true"}
_PLAIN = 6
_TYPED = "4006381333931"
_UNREAD = 4  # the number of the picture whose code nobody can read, behind the three pairs


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
                f"undisturbed, the run ended {run.status}: {run.told} {run.errors[:800]}"
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


def hold(stage: Stage, players: Cast, dice: random.Random) -> None:
    """Have a run hold the doubtful sheet, some of it stored or nothing."""
    if dice.random() < 0.5:
        stage.settings["SHEETFLOW_ON_DOUBT"] = "store-certain"
    stage.drop(players.doubtful)
    stage.run()


def review_order(players: Cast, *more: str) -> tuple[str, ...]:
    """Return the command by which a person types in the code that could not be read."""
    code = ("--code", f"{_UNREAD}={_TYPED}")
    return ("review", players.doubtful.name, *code, "--by", REVIEWER, *more)


def expect_reviewed(stage: Stage) -> None:
    """From now on the held sheet is to be stored as the person decided, and that on record."""
    stage.scene.dropped = [
        replace(item, kind="good", codes=item.codes | {_TYPED}, reviewed=True)
        if item.kind == "doubtful"
        else item
        for item in stage.scene.dropped
    ]


def reviewed(stage: Stage, players: Cast, dice: random.Random) -> None:
    """Have a person review a held sheet."""
    hold(stage, players, dice)
    stage.run(argv=review_order(players))
    expect_reviewed(stage)


def fail_for_once(stage: Stage) -> None:
    """Make a run without MongoDB: what is staged has failed then, with all its work done."""
    stage.run(environment=AWAY)


def _reviewed(stage: Stage, players: Cast, dice: random.Random) -> None:
    reviewed(stage, players, dice)
    if dice.random() < 0.5:
        fail_for_once(stage)
        stage.run(argv=("retry", players.doubtful.name))
    stage.drop(dice.choice(players.plain))


SCENES: dict[str, Prepare] = {
    "one sheet": _one,
    "two sheets": _two,
    "same bytes twice": _same_bytes,
    "same name, other bytes": _same_name,
    "same bytes as archived": _archived_before,
    "codes with other pictures": _revision,
    "no image beside a sheet": _junk,
    "doubtful beside a sheet": _doubtful,
    "reviewed beside a sheet": _reviewed,
}
