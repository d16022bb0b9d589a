"""Faults of permissions, real ones: runs have an account that may not do what is forbidden it.

Whoever is root is stopped by no permission; so these need a root that can give its runs another
account.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.torturing.disks import Refused
from benchmarks.torturing.doors import Harm
from benchmarks.torturing.faults import ANY, Playground, Trial
from benchmarks.torturing.stage import as_account

NOBODY = 65534
"""The account without rights, by its number on every Linux."""

_FORBIDDEN = "rights withheld from an account without privileges"
_FOREIGN = "sheets of another account"


def check_account(folder: Path) -> None:
    """Find out whether runs can have the account without rights here.

    Raises:
        Refused: We are not root, or the account cannot reach the interpreter or the folder.
    """
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        raise Refused("to give a run another account takes root and setpriv")
    probe = [*as_account(NOBODY), sys.executable, "-c", "import os, sheetflow; os.stat('.')"]
    done = subprocess.run(probe, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"the account {NOBODY} cannot run here: {done.stderr.strip()[-200:]}")


def all_of(play: Playground) -> None:
    """Forbid a run one thing after the other, before it starts and in its midst."""
    _forbidden_from_the_start(play)
    _forbidden_in_the_midst(play)
    sheets_of_another_account(play)


def sheets_of_another_account(play: Playground) -> None:
    """Let a sheet belong to another account: unreadable, readable, and not to be removed."""
    _unreadable_sheet(play)
    _foreign_sheet(play, sticky=False)
    _foreign_sheet(play, sticky=True)


def _forbidden_from_the_start(play: Playground) -> None:
    for place in ("inbox", "staging", "archive", "quarantine"):
        with play.trial(f"{_FORBIDDEN}: to write into {place}", (2,)) as trial:
            folder = play.stage.scene.places[place]
            folder.chmod(0o555)
            play.strike(trial)
            folder.chmod(0o755)
            trial.healed(play.stage)


def _forbidden_in_the_midst(play: Playground) -> None:
    stage = play.stage
    state = stage.scene.state
    for what, door in (
        ("inbox", "link images_sources"),
        ("staging", "link images_sources"),
        ("staging", "link images_old"),
        ("archive", "link images_old"),
        ("claims", "create .sheetflow/claims"),
        ("work", "mkdir .sheetflow/work/"),
        ("work", "mongo update codes_images"),
    ):
        with play.trial(
            f"{_FORBIDDEN}: to write into {what}, from {door.strip('/')} on", ANY
        ) as trial:
            folder = stage.scene.places.get(what, state / what)
            harm = Harm(door=1, when="pause", only=door)
            with stage.victims.paused(stage.environment, stage.roots, harm=harm):
                folder.chmod(0o555)
            trial.struck(stage.victims.finish(), stage)
            folder.chmod(0o755)
            trial.healed(stage)


def _unreadable_sheet(play: Playground) -> None:
    with play.trial(f"{_FOREIGN}: one that may not be read") as trial:
        sheet = _of_root(play, 0o600)
        play.strike(trial)
        _the_other_one_is_archived(play, trial)
        sheet.chmod(0o644)
        trial.healed(play.stage)


def _foreign_sheet(play: Playground, *, sticky: bool) -> None:
    """Let a sheet belong to another account, as those of a scanner do."""
    where = "one that may not be removed, in a sticky inbox" if sticky else "one that may be read"
    with play.trial(f"{_FOREIGN}: {where}", (1,) if sticky else (0,)) as trial:
        inbox = play.stage.scene.places["inbox"]
        _of_root(play, 0o644)
        if sticky:
            os.chown(inbox, 0, 0)
            inbox.chmod(0o1777)
        for _ in range(2 if sticky else 1):  # what is left in both places stops no later run
            play.strike(trial)
            _the_other_one_is_archived(play, trial)
        inbox.chmod(0o755)
        play.stage.give(inbox)
        trial.healed(play.stage)


def _of_root(play: Playground, mode: int) -> Path:
    path = play.stage.scene.places["inbox"] / play.players.plain[0].name
    os.chown(path, 0, 0)
    path.chmod(mode)
    return path


def _the_other_one_is_archived(play: Playground, trial: Trial) -> None:
    if not (play.stage.scene.places["archive"] / play.players.plain[1].name).exists():
        trial.violations.append("STOPPED the other sheet was not archived")
