"""The scenes in which runs are killed: which sheets wait in the inbox, and what was before."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.torturing.checker import check_settled
from benchmarks.torturing.sheets import (
    TestSheet,
    doubtful_sheet,
    junk,
    plain_sheet,
    revised_sheet,
)
from benchmarks.torturing.stage import Stage

_PLAIN = 6


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
