"""The benchmarks of speed, small: they fail on a wrong result, never on a time."""

from __future__ import annotations

from pathlib import Path

import pytest
from pymongo import MongoClient

from benchmarks.measuring.sheets import tiny_sheets
from benchmarks.measuring.world import Root, World
from benchmarks.scale import one_run


@pytest.fixture
def root(tmp_path: Path, mongod_uri: str, prefect_server: str, database) -> Root:
    (tmp_path / "root" / "source").mkdir(parents=True)
    here = World(tmp_path, mongod_uri, prefect_server, mongod_pid=0, server_pid=0)
    return Root(here, tmp_path / "root", database.name)


def test_a_queue_of_tiny_sheets_is_stored_whole(root: Root, mongod_uri: str) -> None:
    files = tiny_sheets(root.inbox, count=6)
    row = one_run(root)
    assert (row["sheets"], row["archived"], row["completed"]) == (6, 6, True)
    assert sorted(path.name for path in (root.path / "images_old").iterdir()) == sorted(
        path.name for path in files
    )
    with MongoClient(mongod_uri) as client:
        found = client[root.database_name].codes_images.find({}, {"code": 1})
        assert {record["code"] for record in found} == {f"S01-{n:07d}" for n in range(6)}
        assert client[root.database_name].sheets.count_documents({"state": "archived"}) == 6
