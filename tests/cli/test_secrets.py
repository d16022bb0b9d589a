"""A password in MONGODB_URI reaches MongoDB and nothing else."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL, temporary_settings
from pymongo import MongoClient

SECRET = f"hunter2-{uuid4().hex}"


@pytest.fixture
def with_password(mongod_uri: str, database):
    """An address with the name and the password of a user who may read and write, no more."""
    with MongoClient(mongod_uri) as client:
        role = {"role": "readWrite", "db": database.name}
        client.admin.command("createUser", "shop", pwd=SECRET, roles=[role])
        server = urlsplit(mongod_uri).netloc
        yield f"mongodb://shop:{SECRET}@{server}/?directConnection=true&authSource=admin"
        client.admin.command("dropUser", "shop")


class CommandLines(threading.Thread):
    """Collects the command lines of all processes of the machine, as any account can read them."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.over = threading.Event()

    def run(self) -> None:
        while not self.over.wait(0.02):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(process.read_bytes())
                except OSError:
                    continue  # it has ended


def everything_prefect_knows(api_url: str, root: Path) -> str:
    with temporary_settings({PREFECT_API_URL: api_url}), get_client(sync_client=True) as client:
        runs = [run for run in client.read_flow_runs(limit=200) if str(root) in str(run.parameters)]
        assert runs, "the run is not known by its parameters"
        ids = {run.id for run in runs}
        tasks = [run for run in client.read_task_runs(limit=200) if run.flow_run_id in ids]
        logs = [log for log in client.read_logs(limit=200) if log.flow_run_id in ids]
        artifacts = [item for item in client.read_artifacts(limit=200) if item.flow_run_id in ids]
    return repr((runs, tasks, logs, artifacts))


def test_a_password_is_in_no_output_no_file_no_command_line_and_nothing_that_prefect_keeps(
    sheetflow, with_password: str, prefect_server: str, folders, drawn, settings
) -> None:
    watch = CommandLines()
    watch.start()
    told = ""
    for number, uri in enumerate((with_password, with_password.replace(SECRET, f"{SECRET}?"))):
        (folders.inbox / f"{number}.png").write_bytes(drawn(number + 1)[0])
        done = sheetflow("ingest", "--root", str(settings.root), "--json", MONGODB_URI=uri)
        assert done.returncode == number, done.stderr
        told += done.stdout + done.stderr
    watch.over.set()
    watch.join()
    assert "password" in told  # the second run's was wrong, which was said
    assert any(b"ingest" in line for line in watch.seen)
    assert not any(SECRET.encode() in line for line in watch.seen)
    assert SECRET not in told
    files = [path for path in settings.root.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not any(SECRET.encode() in path.read_bytes() for path in files)
    deadline = time.monotonic() + 30
    while "Failed" not in (known := everything_prefect_knows(prefect_server, settings.root)):
        assert time.monotonic() < deadline, "Prefect has not recorded the run"
        time.sleep(0.3)
    assert SECRET not in known
