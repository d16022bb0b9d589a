"""The Prefect server for local runs: real servers, used by real processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

import sheetflow
from deployments.local_server import PrefectServer
from deployments.server import prefect_server, ui_url
from sheetflow.errors import ConfigurationError, TransientError
from sheetflow.servers.companion_service import PortTaken
from sheetflow.servers.companions import Companion

REPOSITORY = Path(sheetflow.__file__).parents[1]
IMPORTS = """
import sys, threading
from pathlib import Path
from deployments.server import configured_api, prefect_api, prefect_api_starting
state = Path(sys.argv[1])
"""
USER = """
with prefect_api(state) as url:
    print(url, flush=True)
    sys.stdin.read()
"""
QUICK_TASKS = """
with prefect_api_starting(state) as api:
    assert "prefect" not in sys.modules
    from prefect import flow, task

    @task
    def step(number):
        return number

    @flow(name="quick")
    def quick():
        for number in range(199):
            step(number)
        thread = threading.Thread(target=step, args=(199,))
        thread.start()
        thread.join()

    with api.in_use() as url:
        quick()
assert configured_api() is None
"""
COUNT = """
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
with prefect_api(state), get_client(sync_client=True) as client:
    runs = [run for page in (0, 200) for run in client.read_task_runs(limit=200, offset=page)]
    flows = client.read_flow_runs()
print(sum(run.state.type is StateType.COMPLETED for run in runs), len(runs), len(flows))
"""
THREAD = """
with prefect_api(state) as url:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(configured_api()))
    thread.start()
    thread.join()
    print(seen == [url], url)
"""


def run(program: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    """Start a program with a home of its own, so that no profile of a developer counts."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return subprocess.Popen(
        [sys.executable, "-c", IMPORTS + program, str(folder)],
        env={**kept, "PYTHONPATH": str(REPOSITORY), "HOME": str(folder.parent), **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output(program: str, folder: Path, **environment: str) -> str:
    process = run(program, folder, **environment)
    answer, _ = process.communicate()
    assert process.returncode == 0
    return answer.strip()


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "state.json").read_text())["pid"])


@pytest.fixture(scope="module")
def used_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder in which 200 quick tasks ran, and whose server was stopped."""
    folder = tmp_path_factory.mktemp("prefect") / "serveur né ici"
    output(QUICK_TASKS, folder)
    assert prefect_server(folder).stop(force=True)
    return folder


@pytest.fixture
def folder(used_before: Path, tmp_path: Path) -> Path:
    return shutil.copytree(used_before, tmp_path / "un serveur")


@pytest.fixture
def server(folder: Path) -> Iterator[Companion]:
    server = prefect_server(folder)
    yield server
    assert server.stop(force=True)


def test_every_task_run_is_kept_when_the_last_one_out_stops_it(
    server: Companion, folder: Path
) -> None:
    assert output(COUNT, folder) == "200 200 1"
    assert server.peek() is None


def test_a_killed_owner_leaves_it_for_the_next_who_stops_it(
    server: Companion, folder: Path
) -> None:
    owner = run(USER, folder)
    assert owner.stdout
    url = owner.stdout.readline().strip()
    started = pid_of(folder)
    owner.kill()
    owner.communicate()
    assert server.peek() == url
    with server.joined() as joined:
        assert joined == url
        assert pid_of(folder) == started
        with urlopen(ui_url(url), timeout=10) as page:
            assert b"Prefect" in page.read()
    assert server.peek() is None


def test_two_processes_that_start_at_once_share_one(server: Companion, folder: Path) -> None:
    users = [run(USER, folder), run(USER, folder)]
    first, second = (user.stdout.readline() for user in users if user.stdout)
    assert first == second
    assert first.startswith("http://127.0.0.1:")
    for user in users:
        user.communicate()
        assert user.returncode == 0
    assert server.peek() is None


def test_a_taken_port_is_left_alone_and_threads_see_the_server(
    server: Companion, folder: Path
) -> None:
    last = json.loads((folder / "state.json").read_text())["address"]
    port = PrefectServer().port(last)
    with contextlib.ExitStack() as taken:
        with contextlib.suppress(OSError):  # taken already, by another server of this machine
            taken.enter_context(socket.create_server(("127.0.0.1", port)))
        seen, url = output(THREAD, folder).split()
    assert seen == "True"
    assert PrefectServer().port(url) != port


def test_a_killed_server_is_started_again(server: Companion, folder: Path) -> None:
    with server.joined() as url:
        os.kill(pid_of(folder), signal.SIGKILL)
        while server.peek():
            pass
        with server.joined() as again:
            assert again == url


@pytest.mark.parametrize("way", ["environment", "profile", "prefect.toml"])
def test_a_configured_api_is_used_and_nothing_started(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "http://127.0.0.1:9/api"
    monkeypatch.chdir(tmp_path)
    environment = {}
    if way == "environment":
        environment = {"PREFECT_API_URL": url}
    elif way == "profile":
        (tmp_path / ".prefect").mkdir()
        profile = f'active = "mine"\n[profiles.mine]\nPREFECT_API_URL = "{url}"\n'
        (tmp_path / ".prefect" / "profiles.toml").write_text(profile)
    else:
        (tmp_path / "prefect.toml").write_text(f'[api]\nurl = "{url}"\n')
    assert output(USER, tmp_path / "state", **environment) == url
    assert not (tmp_path / "state").exists()


def test_the_page_of_an_api_is_beside_it() -> None:
    assert ui_url("http://127.0.0.1:4200/api") == "http://127.0.0.1:4200"
    assert ui_url("http://127.0.0.1:4200/api/") == "http://127.0.0.1:4200"


@pytest.mark.parametrize(
    ("line", "exit_code", "kind", "told"),
    [
        ("Port 4200 is already in use. Please", 1, PortTaken, "port was taken"),
        ("ImportError: no such thing", 1, ConfigurationError, "no such thing"),
        ("", None, TransientError, "not ready in 300 s"),
    ],
)
def test_the_log_becomes_an_error_with_a_cure(
    tmp_path: Path, line: str, exit_code: int | None, kind: type[Exception], told: str
) -> None:
    log = tmp_path / "server.log"
    log.write_text(line + "\n")
    error = PrefectServer().explain(log, exit_code)
    assert type(error) is kind
    assert told in str(error)


def test_two_servers_that_start_at_once_do_not_share_a_port(
    used_before: Path, tmp_path: Path
) -> None:
    folders = [shutil.copytree(used_before, tmp_path / name) for name in ("first", "second")]
    first, second = map(prefect_server, folders)
    with first.joining() as one, second.joining() as two:
        assert one.address() != two.address()
