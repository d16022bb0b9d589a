"""Faults of disks: full, read-only, refused, gone, changed under the run's hands."""

from __future__ import annotations

import errno
import shutil
import time
from pathlib import Path

from benchmarks.torturing.disks import Refused, set_read_only, small_disk
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.faults import ANY, Playground

_PATIENCE_S = 30.0
_ROOMY = {"SHEETFLOW_MIN_FREE_BYTES": "0"}
_ROOM = "little room under the data root (tmpfs)"
_TAKEN = "a sheet taken away or changed by its owner"
_WRITING = ("open", "write", "create", "mkdir", "link", "fsync", "replace", "rename", "unlink")


def all_of(play: Playground, folder: Path, *, stride: int = 1) -> None:
    """Try every fault of the disks.

    Args:
        play: Where.
        folder: For the small disks.
        stride: Of the doors at which the system refuses, try every so many.
    """
    _other_disk(play)
    _refused_at_every_door(play, stride)
    _full_places(play, folder)
    _full_root(play, folder)
    _read_only(play, folder)
    _gone_folders(play)
    _gone_files(play)


def _other_disk(play: Playground) -> None:
    for apart in (("archive",), ("staging",), ("inbox", "archive")):
        with play.trial(
            f"folders on other disks (EXDEV): {'+'.join(apart)}", (0,), apart=apart
        ) as trial:
            play.strike(trial)
            trial.healed(play.stage)


def _refused_at_every_door(play: Playground, stride: int) -> None:
    """Let the system refuse one call after the other, once and for good, as it would refuse it."""
    stage = play.stage
    for apart in ((), ("archive", "staging")):
        stage.clear(apart=apart)
        stage.drop(play.players.plain[0])
        labels = stage.run().doors
        doors = [n for n, label in enumerate(labels, 1) if label.split()[0] in _WRITING]
        for turn, door in enumerate(doors[::stride]):
            number = (errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EDQUOT)[turn % 5]
            where = " on two disks" if apart else ""
            refused = f"{errno.errorcode[number]} at door {door}, {labels[door - 1][:40]}{where}"
            name = f"ENOSPC, EIO, EACCES, EROFS, EDQUOT at a door, once or for good: {refused}"
            with play.trial(name, ANY, apart=apart) as trial:
                play.strike(
                    trial, harm=Harm(door=door, when=f"errno:{number}", repeat=turn % 2 > 0)
                )
                trial.healed(stage)


def _full_places(play: Playground, folder: Path) -> None:
    for place in ("archive", "staging", "quarantine"):
        name = f"a place on a full disk (tmpfs): {place}"
        try:
            with (
                small_disk(folder / f"full-{place}", "64k") as disk,
                play.trial(name, (0,) if place == "quarantine" else (1,)) as trial,
            ):
                _set_apart(play, place, disk)
                (disk / ".filler").write_bytes(b"\0" * 40_000)
                play.strike(trial, environment=_ROOMY)
                (disk / ".filler").unlink()
                _set_apart(play, place, None)
                _carry_over(disk, play.stage.scene.places[place])
                trial.healed(play.stage)
        except Refused as refused:
            play.skip(name, str(refused))


def _full_root(play: Playground, folder: Path) -> None:
    """Fill the disk of the data root to the brim, by a little more each time: every write once."""
    stage = play.stage
    try:
        with small_disk(folder / "full-root", "6m") as disk:
            root, state = stage.root, stage.scene.state
            stage.root, stage.scene.state = disk / "root", disk / "root" / ".sheetflow"
            try:
                for free_kib in (0, 4, 8, 12, 16, 24, 40, 64, 96, 128, 192):
                    with play.trial(f"{_ROOM}: {free_kib} KiB free", ANY) as trial:
                        filler = disk / "filler"
                        _fill(filler, free_kib * 1024)
                        play.strike(trial, environment=_ROOMY)
                        filler.unlink()
                        stage.settings.update(_ROOMY)
                        trial.healed(stage)
                with play.trial(f"{_ROOM}: less than SHEETFLOW_MIN_FREE_BYTES") as trial:
                    play.strike(trial, environment={"SHEETFLOW_MIN_FREE_BYTES": "100000000"})
                    stage.settings.update(_ROOMY)
                    trial.healed(stage)
            finally:
                stage.root, stage.scene.state = root, state
    except Refused as refused:
        play.skip(_ROOM, str(refused))


def _read_only(play: Playground, folder: Path) -> None:
    for place in ("archive", "staging", "inbox"):
        name = f"a place on a read-only disk (remounted): {place}"
        try:
            with (
                small_disk(folder / f"ro-{place}", "4m") as disk,
                play.trial(name) as trial,
            ):
                _set_apart(play, place, disk)
                set_read_only(disk, read_only=True)
                play.strike(trial, environment=_ROOMY)
                set_read_only(disk, read_only=False)
                play.stage.settings.update(_ROOMY)
                trial.healed(play.stage)
        except Refused as refused:
            play.skip(name, str(refused))


def _gone_folders(play: Playground) -> None:
    stage = play.stage
    for place, door in (
        ("archive", "link images_old"),
        ("staging", "mongo update codes_images"),
        ("staging", "link images_sources"),
        ("inbox", "link images_sources"),
    ):
        with play.trial(
            f"a folder gone in the midst of a run, and back: {place} at door {door}", ANY
        ) as trial:
            folder = stage.scene.places[place]
            away = folder.with_name(f"{folder.name}.away")
            harm = Harm(door=1, when="pause", only=door)
            with stage.victims.paused(stage.environment, stage.roots, harm=harm):
                folder.rename(away)
            run = stage.victims.finish()
            if folder.exists():
                _carry_over(folder, away)
                shutil.rmtree(folder)
            away.rename(folder)
            trial.struck(run, stage)
            trial.healed(stage)
    with play.trial("work products removed in the upload", ANY) as trial:
        harm = Harm(door=1, when="pause", only="mongo update codes_images")
        with stage.victims.paused(stage.environment, stage.roots, harm=harm):
            shutil.rmtree(stage.scene.state / "work")
        trial.struck(stage.victims.finish(), stage)
        trial.healed(stage)


def _gone_files(play: Playground) -> None:
    stage = play.stage
    for door in ("create .sheetflow/claims", "link images_sources"):
        with play.trial(f"{_TAKEN}: at door {door}", ANY) as trial:
            harm = Harm(door=1, when="pause", only=door)
            with stage.victims.paused(stage.environment, stage.roots, harm=harm):
                gone = _only_one_left(stage.scene.places["inbox"])
                gone.unlink()
                left = [item for item in stage.scene.dropped if item.name != gone.name]
                stage.scene.dropped = left
            trial.struck(stage.victims.finish(), stage)
            trial.healed(stage)
    with play.trial(f"{_TAKEN}: staged, in the upload", ANY) as trial:
        harm = Harm(door=1, when="pause", only="mongo update codes_images")
        with stage.victims.paused(stage.environment, stage.roots, harm=harm):
            taken = list(stage.scene.places["staging"].iterdir())
            away = stage.root / "away"
            away.mkdir()
            for path in taken:
                path.rename(away / path.name)
        run = stage.victims.finish()
        _carry_over(away, stage.scene.places["inbox"])  # the person drops it once more
        trial.struck(run, stage)
        trial.healed(stage)
    with play.trial(f"{_TAKEN}: it changes while it is staged", ANY) as trial:
        harm = Harm(door=1, when="pause", only="link images_sources")
        with stage.victims.paused(stage.environment, stage.roots, harm=harm):
            for sheet in (play.players.plain[0], play.players.plain[1]):
                path = stage.scene.places["inbox"] / sheet.name
                if path.exists():
                    path.write_bytes(sheet.data[: len(sheet.data) // 2])
        run = stage.victims.finish()
        for sheet in (play.players.plain[0], play.players.plain[1]):
            for place in ("inbox", "staging"):
                path = stage.scene.places[place] / sheet.name
                if path.exists() and path.read_bytes() != sheet.data:
                    path.unlink()
                    (stage.scene.places["inbox"] / sheet.name).write_bytes(sheet.data)
        trial.struck(run, stage)
        trial.healed(stage)


def _only_one_left(inbox: Path) -> Path:
    """Wait until the sheet that is held at its door is the only one left, and return it."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        (first, *others) = sorted(path for path in inbox.iterdir() if path.name[0] != ".")
        if not others:
            return first
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(others) + 1} sheets are still in {inbox}")
        time.sleep(0.05)


def _set_apart(play: Playground, place: str, disk: Path | None) -> None:
    from benchmarks.torturing.stage import NAMES, VARIABLES

    stage = play.stage
    folder = stage.root / NAMES[place] if disk is None else disk / NAMES[place]
    folder.mkdir(exist_ok=True)
    before = stage.scene.places[place]
    _carry_over(before, folder)
    stage.scene.places[place] = folder
    if disk is None:
        stage.settings.pop(VARIABLES[place], None)
    else:
        stage.settings[VARIABLES[place]] = str(folder)


def _carry_over(source: Path, target: Path) -> None:
    if source == target or not source.is_dir():
        return
    for path in source.iterdir():
        shutil.move(path, target / path.name)


def _fill(filler: Path, leave_bytes: int) -> None:
    free = shutil.disk_usage(filler.parent).free
    filler.write_bytes(b"\0" * max(0, free - leave_bytes))
