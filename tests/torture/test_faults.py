"""Some real faults for every day; `benchmarks/torture.py --faults all` has them all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from benchmarks.torturing import faults_rights
from benchmarks.torturing.disks import Refused, small_disk
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.faults import ANY, Playground
from benchmarks.torturing.proxy import BadLine
from benchmarks.torturing.scenes import Cast, cast
from benchmarks.torturing.stage import Stage, stage


@pytest.fixture(scope="module")
def play(
    tmp_path_factory: pytest.TempPathFactory, mongod_uri: str, prefect_server: str
) -> Iterator[Playground]:
    folder = tmp_path_factory.mktemp("faults")
    players: Cast = cast()
    with stage(folder, mongod_uri, prefect_server, name="faults") as set_up:
        yield Playground(set_up, players)


def port_of(set_up: Stage) -> int:
    return urlsplit(set_up.uri).port or 0


def test_a_line_cut_in_the_upload(play: Playground) -> None:
    with (
        play.trial("line cut", ANY) as trial,
        BadLine(port_of(play.stage), up_bytes=15_000) as line,
    ):
        play.strike(trial, environment={"MONGODB_URI": line.uri})
        trial.healed(play.stage)
    assert trial.violations == []


@pytest.mark.parametrize("door", ["write .sheetflow/work", "link images_old"])
def test_a_disk_that_refuses(play: Playground, door: str) -> None:
    with play.trial(door) as trial:
        harm = Harm(door=1, when=f"errno:{errno.ENOSPC}", repeat=True, only=door)
        play.strike(trial, harm=harm)
        trial.healed(play.stage)
    assert trial.violations == []


def test_a_disk_with_little_room(play: Playground, tmp_path: Path) -> None:
    stage = play.stage
    root, state = stage.root, stage.scene.state
    try:
        with small_disk(tmp_path / "small", "2m") as disk:
            stage.root, stage.scene.state = disk / "root", disk / "root" / ".sheetflow"
            with play.trial("little room") as trial:
                (disk / "filler").write_bytes(b"\0" * (2**21 - 300_000))
                stage.settings["SHEETFLOW_MIN_FREE_BYTES"] = "0"
                play.strike(trial)
                (disk / "filler").unlink()
                trial.healed(stage)
            assert trial.violations == []
    except Refused as refused:
        pytest.skip(f"no mount here: {refused}")
    finally:
        stage.root, stage.scene.state = root, state


@pytest.fixture
def without_rights(mongod_uri: str, prefect_server: str) -> Iterator[Playground]:
    """A stage whose runs have an account without rights; not below a folder of root's alone."""
    with TemporaryDirectory(prefix="rights-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            faults_rights.check_account(folder)
        except Refused as refused:
            pytest.skip(f"NOT TRIED, rights withheld for real: {refused}")
        nobody = faults_rights.NOBODY
        with stage(folder, mongod_uri, prefect_server, name="rights", account=nobody) as set_up:
            yield Playground(set_up, cast())


def test_sheets_of_another_account(without_rights: Playground) -> None:
    faults_rights.sheets_of_another_account(without_rights)
    assert [trial.violations for trial in without_rights.trials] == [[], [], []]
