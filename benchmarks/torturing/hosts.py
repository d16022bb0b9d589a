"""Two hosts on a network drain one shared inbox; one of them loses its power in the midst."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.torturing.checker import Scene, check_now, check_settled
from benchmarks.torturing.mongods import replica_set
from benchmarks.torturing.network import HARNESS, STORAGE, Network, network
from benchmarks.torturing.proxy import BadLine
from benchmarks.torturing.shares import by_sshfs, by_the_same_folder
from benchmarks.torturing.sheets import TestSheet
from benchmarks.torturing.stage import Stage
from benchmarks.torturing.two import unfinished, worked_on_twice
from benchmarks.torturing.victims import Run, Victims

_HOSTS = ("north", "south")
_PATIENCE_S = 3600.0
LOCAL = "one local folder, common locks"
SHARES = {"sshfs over the network, no common locks": by_sshfs, LOCAL: by_the_same_folder}


@dataclass
class Outcome:
    """What came of one share."""

    table: dict[str, object] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def two_hosts(
    folder: Path,
    api_url: str,
    sheets: Sequence[TestSheet],
    share: str,
    tell: Callable[[str], None],
    *,
    lease_s: float = 60,
) -> Outcome:
    """Let two hosts drain an inbox, pull the plug of one, boot it again, and check.

    Args:
        folder: For everything.
        api_url: The Prefect server, on this machine; the hosts see it through a relay.
        sheets: What is dropped, good ones all.
        share: A key of `SHARES`.
        tell: Hears how it goes on.
        lease_s: How long the others wait for a host that has fallen silent.

    Raises:
        Refused: This machine does not let us make such hosts or such a share.
    """
    folder.mkdir()
    shared, mount = folder / "shared", folder / "mount"
    mount.mkdir()
    with (
        network(folder, _HOSTS) as wires,
        SHARES[share](wires, shared, mount) as command,
        replica_set(folder / "mongod", 1, address=STORAGE, within=wires.storage) as members,
        BadLine(urlsplit(api_url).port or 0, address=HARNESS) as prefect,
    ):
        uri, api_url = members[0].uri, f"http://{prefect.host}/api"
        stage = Stage(shared, None, uri, "torture_hosts", Victims(folder / "none", api_url))
        hosts = {name: _Host(wires, name, command, api_url) for name in _HOSTS}
        settings = {
            **stage.environment,
            "SHEETFLOW_ROOT": str(mount),
            "SHEETFLOW_MONGODB_TIMEOUT_S": "30",
            "SHEETFLOW_LEASE_S": str(lease_s),
        }
        return _drain(stage, settings, hosts, sheets, tell)


def _drain(
    stage: Stage,
    settings: dict[str, str],
    hosts: dict[str, _Host],
    sheets: Sequence[TestSheet],
    tell: Callable[[str], None],
) -> Outcome:
    for sheet in sheets:
        stage.drop(sheet)
    outcome = Outcome()
    started = time.monotonic()
    north, south = hosts.values()
    try:
        for host in hosts.values():
            host.boot()
            host.begin(settings)
        while _count(stage, "archive") < len(sheets) // 4 and time.monotonic() < started + 1800:
            time.sleep(0.1)
        archived = _count(stage, "archive")
        north.lose_power()
        in_work = _count(stage, "staging")
        tell(f"{north.name} lost its power: {archived} of {len(sheets)} sheets were archived")
        outcome.problems += check_now(stage.scene)
        north.boot()
        north.begin(settings)
        runs = [_finish(host, outcome) for host in (south, north)]
        while (left := unfinished(stage.scene)) and time.monotonic() < started + _PATIENCE_S:
            tell(f"left, until the dead owner's leases have run out: {', '.join(left[:5])}")
            time.sleep(5)
            south.begin(settings)
            runs.append(_finish(south, outcome))
    finally:
        for host in hosts.values():
            host.lose_power()
    outcome.problems += check_settled(stage.scene)
    outcome.problems += worked_on_twice(stage.scene, every_step=False)
    outcome.table = {
        "sheets": len(sheets),
        "archived, and in work, when one host lost its power": f"{archived}, {in_work}",
        "runs of the hosts after that": len(runs),
        "steps taken by each host": _steps(stage.scene),
        "sheets whose steps were taken up by another": _taken_over(stage.scene),
        "lost, archived twice or unconfirmed, left": len(outcome.problems),
        "all archived after": f"{time.monotonic() - started:.0f} s",
    }
    return outcome


@dataclass
class _Host:
    """A host that runs sheetflow, until its plug is pulled."""

    wires: Network
    name: str
    mount: str
    api_url: str
    _victims: Victims | None = None

    def boot(self) -> None:
        scratch = self.wires.folder / f"{self.name}.scratch"
        within = self.wires.boot(self.name, self.mount)
        self._victims = Victims(scratch, self.api_url, within=within)
        self._victims.__enter__()

    def begin(self, settings: dict[str, str]) -> None:
        assert self._victims is not None
        self._victims.begin(settings, [], real_workers=True, timeout_s=_PATIENCE_S)

    def finish(self) -> Run:
        assert self._victims is not None
        return self._victims.finish()

    def lose_power(self) -> None:
        if self._victims is not None:
            self._victims.lose_power()
            self._victims = None


def _finish(host: _Host, outcome: Outcome) -> Run:
    run = host.finish()
    failed = [
        f"{item['name']}: {item['error']}"
        for item in (run.answer or {}).get("sheets", [])
        if item["state"] == "failed"
    ]
    if run.hung or run.answer is None:
        outcome.problems.append(f"a run on {host.name} ended {run.status}: {run.told}")
    outcome.problems += [f"FAILED on {host.name}: {item}" for item in failed]
    return run


def _count(stage: Stage, *places: str) -> int:
    folders = [stage.scene.places[place] for place in places]
    return sum(not path.name.startswith(".") for folder in folders for path in folder.iterdir())


def _steps(scene: Scene) -> str:
    taken: Counter[str] = Counter()
    for document in scene.database.sheets.find():
        for event in document["history"]:
            taken[f"{event['by'].partition('@')[2]} {event['state']}"] += 1
    return ", ".join(f"{name} {number}" for name, number in sorted(taken.items()))


def _taken_over(scene: Scene) -> int:
    histories = (document["history"] for document in scene.database.sheets.find())
    return sum(len({event["by"] for event in history}) > 1 for history in histories)
