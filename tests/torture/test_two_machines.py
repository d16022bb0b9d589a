"""Two machines on one folder, which only the leases keep apart."""

from __future__ import annotations

from pathlib import Path

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
