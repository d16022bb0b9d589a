"""A slice of the torture for every day: runs killed at some doors, judged independently.

The long form, every door and a thousand kills, is `benchmarks/torture.py`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.torturing.checker import check_now
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.kills import finish_round, play_round
from benchmarks.torturing.scenes import Cast, cast, learn
from benchmarks.torturing.stage import Stage, stage
from benchmarks.torturing.tally import Tally
from benchmarks.torturing.ways_back import WAYS, play_way_back


@pytest.fixture(scope="session")
def players() -> Cast:
    return cast()


@pytest.fixture(scope="session")
def torture(
    tmp_path_factory: pytest.TempPathFactory, mongod_uri: str, prefect_server: str, players: Cast
) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("torture")
    with stage(folder, mongod_uri, prefect_server, name="slice") as set_up:
        learn(set_up, players)
        yield set_up


# Where a kill hurts most: between the two halves of a move, and around the confirmation.
@pytest.mark.parametrize(
    ("door", "apart"),
    [
        ("link images_sources", ()),
        ("link images_old", ()),
        ("fsync images_old", ("archive",)),
        ("write images_old", ("archive",)),
        ("mongo update codes_images", ()),
        ("rename .sheetflow/work/.", ()),
    ],
)
def test_a_run_killed_at_the_worst_moment_heals(
    torture: Stage, players: Cast, door: str, apart: tuple[str, ...]
) -> None:
    torture.clear(apart=apart)
    torture.drop(players.plain[0])
    run = torture.run(harm=Harm(door=1, when="after", only=door))
    assert run.killed, (run.status, run.doors[-3:], run.errors[-500:])
    assert check_now(torture.scene) == []
    tally = Tally()
    finish_round(torture, tally, door, again=True)
    assert tally.violations == []


def test_runs_killed_at_doors_drawn_by_lot_keep_every_promise(
    torture: Stage, players: Cast
) -> None:
    tally, dice = Tally(), random.Random(20)
    while tally.kills < 5:
        play_round(torture, players, dice, tally, workers_share=0)
    assert tally.violations == []


def test_ways_back_killed_at_doors_drawn_by_lot_keep_every_promise(
    torture: Stage, players: Cast
) -> None:
    tally, dice = Tally(), random.Random(3)
    for name in WAYS:
        play_way_back(torture, players, dice, tally, name)
    assert tally.violations == []
    assert tally.kills >= len(WAYS)


def test_the_checker_sees_what_is_wrong(torture: Stage, players: Cast) -> None:
    torture.clear()
    sheet = players.plain[0]
    torture.drop(sheet)
    assert torture.run().status == 0
    archive = torture.scene.places["archive"]
    database = torture.client[torture.name]
    record = database.codes_images.find_one()
    database.codes_images.update_one({"_id": record["_id"]}, {"$set": {"image_bytes": b"rotten"}})
    assert [problem.split()[0] for problem in check_now(torture.scene)] == ["UNCONFIRMED"]
    database.codes_images.delete_one({"_id": record["_id"]})
    assert [problem.split()[0] for problem in check_now(torture.scene)] == ["UNCONFIRMED"]
    Path(archive / sheet.name).unlink()
    assert [problem.split()[0] for problem in check_now(torture.scene)] == ["LOST"]
