"""Two machines on one folder: no sheet is worked on twice, none is lost, one of them is killed."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.torturing.checker import Scene, check_now, check_settled
from benchmarks.torturing.sheets import TestSheet
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.victims import Victims

_LEASE_S = 5  # long enough for a busy machine's heartbeat
_PATIENCE_S = 60.0


def two_machines(
    stage: Stage, other: Victims, sheets: Sequence[TestSheet], *, kill_after_s: float | None = None
) -> tuple[list[str], bool]:
    """Let two machines drain one inbox at once.

    To the leases they are two: each has a boot id of its own, and the mount passes no locks on.

    Args:
        stage: The folders, and the first machine.
        other: The second machine's launcher.
        sheets: What is dropped; good ones all.
        kill_after_s: When the first machine is killed; None for never.

    Returns:
        What did not hold, and whether the first machine was killed before it had ended.
    """
    stage.clear()
    for sheet in sheets:
        stage.drop(sheet)
    stage.settings["SHEETFLOW_LEASE_S"] = str(_LEASE_S)
    machines = {"machine-a": stage.victims, "machine-b": other}
    for name, victims in machines.items():
        doomed = {"kill_after_s": kill_after_s} if name == "machine-a" and kill_after_s else {}
        victims.begin(stage.environment, stage.roots, machine=name, **doomed)
    runs = [victims.finish() for victims in machines.values()]
    problems = [f"HUNG {run.last_door}" for run in runs if run.hung]
    problems += check_now(stage.scene)
    deadline = time.monotonic() + _PATIENCE_S
    last = other.run(stage.environment, stage.roots, machine="machine-b")
    while unfinished(stage.scene) and time.monotonic() < deadline:
        time.sleep(1)  # what the dead one held is taken over once its lease has run out
        last = other.run(stage.environment, stage.roots, machine="machine-b")
    if last.status != 0:
        problems.append(f"the last run ended {last.status}: {last.told}")
    problems += check_settled(stage.scene)
    problems += worked_on_twice(stage.scene, every_step=kill_after_s is None)
    return problems, runs[0].killed


def second_machine(folder: Path, api_url: str) -> Victims:
    """Return the launcher of the second machine, to be entered."""
    return Victims(folder / "second.scratch", api_url)


def unfinished(scene: Scene) -> list[str]:
    """Return what is left to do for the next run: sheets on their way, and claims on them.

    The claim of a machine that died has to run out first, wherever its sheet was by then.
    """
    folders = (scene.places["inbox"], scene.places["staging"], scene.state / "claims")
    return [
        f"{folder.name}/{path.name}"
        for folder in folders
        for path in sorted(folder.iterdir())
        if folder.name == "claims" or not path.name.startswith(".")
    ]


def worked_on_twice(scene: Scene, *, every_step: bool) -> list[str]:
    """Return which sheets were archived twice, or, with `every_step`, took any step twice."""
    steps = ("staged", "processed", "archived") if every_step else ("archived",)
    problems = []
    for document in scene.database.sheets.find():
        counts = Counter(event["state"] for event in document["history"])
        problems += [
            f"TWICE {document['name']} was {step} {counts[step]} times"
            for step in steps
            if counts[step] != 1
        ]
    return problems
