"""Two machines on one folder, which only the leases keep apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.torturing.kills import cast
from benchmarks.torturing.stage import stage
from benchmarks.torturing.two import second_machine, two_machines


@pytest.mark.parametrize("kill_after_s", [None, 0.9])
def test_two_machines_share_the_work_and_no_sheet(
    tmp_path: Path, mongod_uri: str, prefect_server: str, kill_after_s: float | None
) -> None:
    with (
        stage(tmp_path, mongod_uri, prefect_server, name="first") as first,
        second_machine(tmp_path, prefect_server) as second,
    ):
        assert two_machines(first, second, cast(), kill_after_s=kill_after_s) == []
