"""Companions with real processes; the server is a small one that starts in a moment."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

import sheetflow
from sheetflow.errors import ConfigurationError, FolderUnavailable
from sheetflow.servers.companion_service import last_lines
from sheetflow.servers.companions import Companion

REPOSITORY = Path(sheetflow.__file__).parents[1]
SERVER = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("serving", flush=True)
while True:
    server.accept()[0].close()
"""


class SmallServer:
    """A service that listens, and nothing more."""

    name = "The small server"
    start_timeout_s = 20.0
    stop_timeout_s = 20.0
    may_be_killed = True

    def __init__(self, program: str = SERVER) -> None:
        self.program = program

    def first_port(self, folder):  # noqa: ARG002 - of the protocol
        return 28100

    def address(self, port):
        return f"127.0.0.1:{port}"

    def port(self, address):
        return int(address.rpartition(":")[2])

    def command(self, folder, port):  # noqa: ARG002 - of the protocol
        return [sys.executable, "-c", self.program, str(port)]

    def environment(self, folder, port):  # noqa: ARG002 - of the protocol
        return dict(os.environ)

    def ready(self, folder, address):  # noqa: ARG002 - of the protocol
        try:
            socket.create_connection(("127.0.0.1", self.port(address)), timeout=1).close()
        except OSError:
            return False
        return True

    def explain(self, log, exit_code):
        return ConfigurationError(f"ended with {exit_code}: {last_lines(log, 1)}", cure="Mend it")

    def before_stop(self, address):
        pass


USER = """
import importlib.util, sys
from pathlib import Path
from sheetflow.servers.companions import Companion
spec = importlib.util.spec_from_file_location("companion_tests", sys.argv[1])
tests = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tests)
with Companion(Path(sys.argv[2]), tests.SmallServer()).joined() as address:
    print(address, flush=True)
    sys.stdin.read()
"""


class User:
    """Another process that uses the companion until it is told to leave."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, __file__, str(folder)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def address(self) -> str:
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "a folder, né ici"


@pytest.fixture
def companion(folder: Path) -> Iterator[Companion]:
    companion = Companion(folder, SmallServer())
    yield companion
    assert companion.stop(force=True)


@pytest.fixture
def users(folder: Path, companion: Companion) -> Iterator[list[User]]:
    users = [User(folder), User(folder)]
    yield users
    for user in users:
        user.kill()


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "state.json").read_text())["pid"])


def test_the_last_one_out_stops_it(companion: Companion) -> None:
    with companion.joined() as address:
        assert companion.peek() == address
    assert companion.peek() is None


def test_peeking_starts_nothing_and_makes_nothing(companion: Companion, folder: Path) -> None:
    assert companion.peek() is None
    assert not folder.exists()


def test_its_folder_and_files_are_for_their_owner_alone(companion: Companion, folder: Path) -> None:
    with companion.joined():
        assert folder.stat().st_mode & 0o777 == 0o700
        assert companion.log.stat().st_mode & 0o777 == 0o600


def test_ctrl_c_in_the_terminal_does_not_reach_it(companion: Companion, folder: Path) -> None:
    with companion.joined():
        assert os.getsid(pid_of(folder)) == pid_of(folder)


def test_uses_nest(companion: Companion) -> None:
    with companion.joined() as address:
        with companion.joined() as again:
            assert again == address
        assert companion.peek() == address
    assert companion.peek() is None


def test_threads_that_join_and_leave_never_find_it_stopped(companion: Companion) -> None:
    def use(_: int) -> bool:
        with companion.joined() as address:
            return companion.service.ready(companion.log.parent, address)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(12)))
    assert companion.peek() is None


def test_two_processes_that_start_at_once_share_one(
    users: list[User], companion: Companion, folder: Path
) -> None:
    assert users[0].address() == users[1].address()
    users[0].leave()
    assert companion.peek() is not None
    users[1].leave()
    assert companion.peek() is None


def test_a_killed_owner_leaves_it_running_for_the_next_who_stops_it(
    users: list[User], companion: Companion, folder: Path
) -> None:
    address = users[0].address()
    users[1].address()
    started = pid_of(folder)
    for user in users:
        user.kill()
    assert companion.peek() == address
    with companion.joined() as joined:
        assert joined == address
        assert pid_of(folder) == started
    assert companion.peek() is None


def test_a_killed_companion_is_started_again_at_its_address(
    companion: Companion, folder: Path
) -> None:
    with companion.joined() as address:
        os.kill(pid_of(folder), signal.SIGKILL)
        while companion.peek():
            pass
        with companion.joined() as again:
            assert again == address
        assert companion.peek() == address
    assert companion.peek() is None


def test_a_stale_state_file_with_a_strangers_process_id_hurts_nobody(
    companion: Companion, folder: Path
) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with companion.joined():
        state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "pid": stranger.pid}))
    assert companion.peek() is None
    assert companion.stop()
    with companion.joined():
        assert pid_of(folder) != stranger.pid
    assert stranger.poll() is None
    stranger.communicate()


def test_one_in_another_container_is_neither_used_nor_stopped(
    companion: Companion, folder: Path
) -> None:
    with companion.joined():
        here = (folder / "state.json").read_text()
        there = json.dumps({**json.loads(here), "place": "another boot, another namespace"})
        (folder / "state.json").write_text(there)
        assert companion.peek() is None
        with pytest.raises(ConfigurationError, match="another container"), companion.joined():
            pass
        (folder / "state.json").write_text(here)
        assert companion.peek()


def test_a_taken_port_is_left_alone(companion: Companion) -> None:
    with companion.joined() as address:
        port = companion.service.port(address)
    with socket.create_server(("127.0.0.1", port)), companion.joined() as other:
        assert other != address


def test_a_forked_child_that_leaves_stops_nothing(companion: Companion) -> None:
    with ExitStack() as uses:
        address = uses.enter_context(companion.joined())
        child = os.fork()
        if child == 0:
            uses.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert companion.peek() == address
        other = Companion(companion.log.parent, SmallServer())
        assert not other.stop()
    assert companion.peek() is None


def test_a_forked_child_that_stays_does_not_keep_it_alive(companion: Companion) -> None:
    reader, writer = os.pipe()
    with companion.joined():
        child = os.fork()
        if child == 0:
            os.close(writer)
            os.read(reader, 1)
            os._exit(0)
    assert companion.peek() is None
    os.close(writer)
    os.close(reader)
    os.waitpid(child, 0)
    with companion.joined():
        assert companion.peek()


def test_a_server_that_ends_at_once_is_told_with_its_last_words(folder: Path) -> None:
    broken = Companion(folder, SmallServer("raise SystemExit('no teapot')"))
    with pytest.raises(ConfigurationError, match="no teapot"), broken.joined():
        pass
    assert broken.peek() is None


def test_it_starts_while_its_user_does_something_else(companion: Companion) -> None:
    with companion.joining() as membership:
        assert membership.address() == companion.peek()


def test_stop_leaves_one_that_is_in_use(companion: Companion, folder: Path) -> None:
    other = Companion(folder, SmallServer())
    with companion.joined():
        assert not other.stop()
        assert other.peek()
        assert other.stop(force=True)
        assert other.peek() is None


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    companion = Companion(tmp_path / "file" / "state", SmallServer())
    with pytest.raises(FolderUnavailable, match="cannot be used"), companion.joined():
        pass
    assert companion.peek() is None


def test_the_last_thread_out_stops_it(companion: Companion) -> None:
    left = threading.Event()

    def use() -> None:
        with companion.joined():
            left.wait()

    thread = threading.Thread(target=use)
    thread.start()
    with companion.joined() as address:
        left.set()
        thread.join()
        assert companion.peek() == address
    assert companion.peek() is None
