"""Kill the ways back, too: retry, review, force-archive, its undo, the audit's repair, by SIGKILL.

Each begins with a state that undisturbed runs made, and perhaps with harm that the harness itself
did to files or records. The command is killed at its doors, up to three times; then the next run
starts, or the same command is given again, as people would; and in the end every file must be in
the place that the command is for.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from benchmarks.torturing.checker import check_now, check_settled, counted, files_found
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.kills import Way, at, draw_harm
from benchmarks.torturing.scenes import (
    AWAY,
    Cast,
    expect_reviewed,
    fail_for_once,
    hold,
    review_order,
    reviewed,
)
from benchmarks.torturing.sheets import TestSheet
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.tally import NO_READING, Tally
from benchmarks.torturing.victims import Run

_KILLS_A_ROUND = 3
_REASON = ("--reason", "the shop opens at nine")


@dataclass(frozen=True)
class Order:
    """A command that a person gives.

    Attributes:
        argv: Its arguments.
        sheet: The sheet that it is about; None if it is about all.
        home: The place in which it puts that sheet.
        doors: How many doors it passes, about.
        environment: Settings of the command alone.
        resumed: Whether the next run finishes what it began, and must have its turn first.
    """

    argv: tuple[str, ...]
    sheet: TestSheet | None = None
    home: str = ""
    doors: int = 50
    environment: dict[str, str] = field(default_factory=dict)
    resumed: bool = False

    def is_done(self, stage: Stage) -> bool:
        """Tell, by the folders alone, whether the sheet is where it should be."""
        wanted = self.sheet.sha256 if self.sheet else None
        return any(item.sha256 == wanted for item in files_found(stage.scene, self.home))


def _retry_rejected(stage: Stage, players: Cast, _dice: random.Random) -> Order:
    stage.drop(players.junk)
    stage.run()
    return Order(("retry", players.junk.name), players.junk, "inbox", doors=35)


def _retry_held(stage: Stage, players: Cast, dice: random.Random) -> Order:
    hold(stage, players, dice)
    return Order(("retry", players.doubtful.name), players.doubtful, "staging", doors=40)


def _retry_reviewed(stage: Stage, players: Cast, dice: random.Random) -> Order:
    reviewed(stage, players, dice)
    fail_for_once(stage)
    # Given again or not, the next run is to store what the person decided.
    return Order(("retry", players.doubtful.name), players.doubtful, doors=40)


def _review(stage: Stage, players: Cast, dice: random.Random) -> Order:
    hold(stage, players, dice)
    expect_reviewed(stage)
    argv = review_order(players, "--ingest")
    return Order(argv, players.doubtful, "archive", doors=170, resumed=True)


def _force(stage: Stage, players: Cast, dice: random.Random) -> Order:
    hold(stage, players, dice)
    _now(stage, "forced")
    away = AWAY if dice.random() < 0.3 else {}
    argv = ("force-archive", players.doubtful.name, *_REASON, "--yes")
    return Order(argv, players.doubtful, "archive", environment=away)


def _undo(stage: Stage, players: Cast, dice: random.Random) -> Order:
    order = _force(stage, players, dice)
    stage.run(argv=order.argv, environment=order.environment)
    _now(stage, "undone")
    return replace(order, argv=("force-archive", "--undo", *order.argv[1:]), home="staging")


def _repair(stage: Stage, players: Cast, dice: random.Random) -> Order:
    """Store two sheets and spoil, in two ways, what an audit can mend."""
    for sheet in (*dice.sample(list(players.plain[:4]), 2), players.junk):
        stage.drop(sheet)
    stage.run()
    stage.scene.harmed = {item.sha256 for item in stage.scene.dropped}
    for harm in dice.sample(_HARMS, 2):
        harm(stage, players, dice)
    return Order(("audit", "--repair", "--unknown", "restage"), doors=90)


def _now(stage: Stage, kind: str) -> None:
    stage.scene.dropped = [replace(item, kind=kind) for item in stage.scene.dropped]


def _record_gone(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    stage.scene.database.codes_images.find_one_and_delete({})


def _picture_spoiled(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    harm = {"$set": {"image_bytes": b"rotten"}}
    stage.scene.database.codes_images.find_one_and_update({}, harm)


def _entry_gone(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    stage.scene.database.sheets.find_one_and_delete({"state": "archived"})


def _ledger_gone(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    stage.scene.database.sheets.delete_many({})


def _receipt_gone(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    harm = {"$unset": {"receipt": 1}}
    stage.scene.database.sheets.find_one_and_update({"state": "archived"}, harm)


def _ledger_set_back(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    harm = {"$set": {"state": "processed"}}
    stage.scene.database.sheets.find_one_and_update({"state": "archived"}, harm)


def _renamed(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    path = min(stage.scene.places["archive"].iterdir())
    path.rename(path.with_name(f"renamed-{path.name}"))


def _stranger(stage: Stage, players: Cast, dice: random.Random) -> None:
    sheet = dice.choice(players.plain[4:])
    stage.drop(sheet)
    inbox, archive = stage.scene.places["inbox"], stage.scene.places["archive"]
    shutil.move(inbox / sheet.name, archive / sheet.name)
    stage.scene.harmed.add(sheet.sha256)


def _reason_gone(stage: Stage, _players: Cast, _dice: random.Random) -> None:
    for reason in stage.scene.places["quarantine"].glob("*.json"):
        reason.unlink()


_HARMS: Sequence[Callable[[Stage, Cast, random.Random], None]] = (
    _record_gone,
    _picture_spoiled,
    _entry_gone,
    _ledger_gone,
    _receipt_gone,
    _ledger_set_back,
    _renamed,
    _stranger,
    _reason_gone,
)
WAYS: dict[str, Callable[[Stage, Cast, random.Random], Order]] = {
    "retry of a rejected sheet": _retry_rejected,
    "retry of a held sheet": _retry_held,
    "retry of a reviewed sheet": _retry_reviewed,
    "review": _review,
    "force-archive": _force,
    "force-archive --undo": _undo,
    "audit --repair": _repair,
}


def play_way_back(
    stage: Stage, players: Cast, dice: random.Random, tally: Tally, name: str | None = None
) -> None:
    """Play one round: a state, a command that is killed at doors drawn by lot, the checks."""
    name = name or dice.choice(list(WAYS))
    way = Way.drawn(dice, workers_share=0)
    stage.clear(apart=way.apart)
    order = WAYS[name](stage, players, dice)
    harms = [draw_harm(dice, order.doors) for _ in range(_KILLS_A_ROUND)]
    _play(stage, name, order, way, dice, tally, harms)


def sweep_way_back(stage: Stage, players: Cast, tally: Tally, name: str, *, stride: int = 1) -> int:
    """Kill a command at each of its doors in turn; return how many it has."""
    way = Way()

    def begin() -> tuple[Order, random.Random]:
        dice = random.Random(name)  # noqa: S311 - the same state each time, on purpose
        stage.clear()
        return WAYS[name](stage, players, dice), dice

    order, _ = begin()
    doors = len(_give(stage, order, way).doors)
    for door in range(1, doors + 1, stride):
        # Where a call has no midst, that is behind it, which is before the next.
        for when in ("during", "after"):
            order, dice = begin()
            _play(stage, name, order, way, dice, tally, [(Harm(door=door, when=when), {})])
    return doors


def _play(
    stage: Stage,
    name: str,
    order: Order,
    way: Way,
    dice: random.Random,
    tally: Tally,
    harms: Sequence[tuple[Harm, dict[str, float]]],
) -> None:
    label = f"{name}{way}"
    for harm, options in harms:
        run = _give(stage, order, way, harm=harm, **options)
        tally.note(run, name, reading=NO_READING)
        found = check_now(stage.scene)
        tally.violations += [f"{label}: {problem} [{at(run, harm)}]" for problem in found]
        if not run.killed:
            break
    where = f"[{at(run, harm)}]"
    tally.violations += [f"{label}: {item} {where}" for item in _heal(stage, order, way, dice)]
    tally.rounds += 1


def _give(stage: Stage, order: Order, way: Way, **options: Any) -> Run:
    return stage.run(argv=order.argv, environment=order.environment, **options, **way.order)


def _heal(stage: Stage, order: Order, way: Way, dice: random.Random) -> list[str]:
    problems = []
    if order.resumed or dice.random() < 0.5:
        stage.run(**way.order)
        problems += [f"{item} [after the next start]" for item in counted(stage.scene)]
    if not order.is_done(stage):
        # Its own start may finish what the killed one began, and then there is nothing left to do.
        run = _give(stage, order, way)
        if not order.is_done(stage) if order.home else run.status != 0:
            problems.append(f"UNDONE once more, the command ended {run.status}: {run.told}")
    stage.run(**way.order)
    stage.scene.harmed.clear()
    problems += [f"{item} [in the end]" for item in check_settled(stage.scene)]
    run = stage.run(argv=("audit",))
    if run.status != 0:
        problems.append(f"AUDIT ended {run.status}: {run.told}")
    return problems
