"""Two machines on one folder, which only the leases keep apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.torturing.disks import Refused
from benchmarks.torturing.hosts import LOCAL, two_hosts
from benchmarks.torturing.scenes import cast
from benchmarks.torturing.stage import stage
from benchmarks.torturing.two import second_machine, two_machines


def test_two_machines_share_the_work_and_no_sheet_though_one_is_killed(
    tmp_path: Path, mongod_uri: str, prefect_server: str
) -> None:
    with (
        stage(tmp_path, mongod_uri, prefect_server, name="first") as first,
        second_machine(tmp_path, prefect_server) as second,
    ):
        sheets = cast().plain[:3]
        for kill_after_s in (None, 0.7):
            problems, _ = two_machines(first, second, sheets, kill_after_s=kill_after_s)
            assert problems == []


def test_two_hosts_on_a_network_share_a_folder_and_one_loses_its_power(
    tmp_path: Path, prefect_server: str
) -> None:
    # The mount over sshfs is for the long form: it remembers times for 20 s, and a lease has to be
    # longer than that.
    told: list[str] = []
    try:
        outcome = two_hosts(
            tmp_path / "net", prefect_server, cast().plain[:4], LOCAL, told.append, lease_s=5
        )
    except Refused as refused:
        pytest.skip(f"NOT TRIED, two hosts on a network: {refused}")
    assert outcome.problems == [], told
