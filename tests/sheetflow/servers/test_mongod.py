"""The embedded MongoDB, with real mongod processes."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

import sheetflow
from sheetflow.errors import ConfigurationError, StoreUnavailable
from sheetflow.servers.companion_service import PortTaken
from sheetflow.servers.companions import Companion
from sheetflow.servers.mongod import EmbeddedMongod, embedded_mongod
from sheetflow.servers.mongod_binary import find_mongod

REPOSITORY = Path(sheetflow.__file__).parents[1]
USER = """
import sys
from pathlib import Path
from sheetflow.servers.mongod import embedded_mongod
with embedded_mongod(Path(sys.argv[1])).joined() as uri:
    print(uri, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dépôt de données"


@pytest.fixture
def mongod(folder: Path) -> Iterator[Companion]:
    mongod = embedded_mongod(folder)
    yield mongod
    assert mongod.stop(force=True)


def write(uri: str, number: int) -> None:
    durable = WriteConcern("majority", j=True)
    with MongoClient[dict[str, Any]](uri) as client:
        client.get_database("test", write_concern=durable).numbers.insert_one({"_id": number})


def written(uri: str) -> list[int]:
    with MongoClient[dict[str, Any]](uri) as client:
        return sorted(document["_id"] for document in client.test.numbers.find())


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "state.json").read_text())["pid"])


def another_user(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_data_and_address_outlive_a_clean_stop(
    mongod: Companion, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="sheetflow.servers.companions")
    with mongod.joined() as uri:
        write(uri, 1)
    assert '"msg":"Shutting down","attr":{"exitCode":0}' in mongod.log.read_text()
    assert "stopped, exit code 0" in caplog.text
    with mongod.joined() as again:
        assert again == uri
        assert written(again) == [1]
    assert "unclean shutdown" not in mongod.log.read_text()


def test_it_is_a_replica_set_that_takes_transactions(mongod: Companion) -> None:
    with mongod.joined() as uri, MongoClient[dict[str, Any]](uri) as client:
        with client.start_session() as session, session.start_transaction():
            client.test.numbers.insert_one({"_id": 1}, session=session)
        assert written(uri) == [1]


def test_it_listens_on_loopback_alone_and_its_files_are_private(
    mongod: Companion, folder: Path
) -> None:
    with mongod.joined() as uri, MongoClient[dict[str, Any]](uri) as client:
        network = client.admin.command("getCmdLineOpts")["parsed"]["net"]
        assert network["bindIp"] == "127.0.0.1"
        assert mongod.log.stat().st_mode & 0o777 == 0o600
        assert (folder / "db").stat().st_mode & 0o777 == 0o700


def test_a_killed_mongod_comes_back_with_its_data(mongod: Companion, folder: Path) -> None:
    with mongod.joined() as uri:
        write(uri, 1)
        os.kill(pid_of(folder), signal.SIGKILL)
        while mongod.peek():
            pass
        with mongod.joined() as again:
            assert again == uri
            assert written(again) == [1]
            write(again, 2)
            assert written(again) == [1, 2]


def test_a_killed_owner_leaves_it_for_the_next(mongod: Companion, folder: Path) -> None:
    owner = another_user(folder)
    assert owner.stdout
    uri = owner.stdout.readline().strip()
    write(uri, 1)
    started = pid_of(folder)
    owner.kill()
    owner.communicate()
    with mongod.joined() as joined:
        assert pid_of(folder) == started
        assert written(joined) == [1]
    assert mongod.peek() is None


def test_two_processes_that_start_at_once_share_one(mongod: Companion, folder: Path) -> None:
    users = [another_user(folder), another_user(folder)]
    first, second = (user.stdout.readline() for user in users if user.stdout)
    assert first == second
    assert first.startswith("mongodb://127.0.0.1:")
    for user in users:
        user.communicate()
        assert user.returncode == 0
    assert mongod.peek() is None


def test_a_taken_port_moves_the_replica_set(mongod: Companion) -> None:
    with mongod.joined() as uri:
        write(uri, 1)
    with stranger(mongod.service.port(uri)), mongod.joined() as other:
        assert other != uri
        write(other, 2)
        assert written(other) == [1, 2]


@contextmanager
def stranger(port: int) -> Iterator[None]:
    """Listen on a port and hang up on everyone."""
    with socket.create_server(("127.0.0.1", port)) as server:
        thread = threading.Thread(target=hang_up, args=(server,))
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def hang_up(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            server.accept()[0].close()


def test_a_data_folder_in_use_by_another_mongod_is_a_clear_error(
    mongod: Companion, folder: Path
) -> None:
    with mongod.joined():
        data = folder / "db"
        rival = embedded_mongod(folder.with_name("rival"))
        folder.with_name("rival").mkdir()
        folder.with_name("rival").joinpath("db").symlink_to(data)
        with pytest.raises(ConfigurationError, match="another mongod uses"), rival.joined():
            pass
        assert mongod.peek()


def test_an_old_mongod_on_the_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_mongod_on_path(tmp_path, monkeypatch, "db version v4.4.29")
    assert find_mongod().path.parent != tmp_path


def test_a_new_mongod_on_the_path_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_mongod_on_path(tmp_path, monkeypatch, "db version v8.0.4")
    assert find_mongod().path == tmp_path / "mongod"
    assert find_mongod().version == (8, 0)


def test_without_any_mongod_the_error_names_three_cures(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ConfigurationError) as caught:
        find_mongod()
    assert "Set MONGODB_URI" in caught.value.cure
    assert "install mongod" in caught.value.cure
    assert "sheetflow[embedded]" in caught.value.cure


LOADER = "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object"
ILL = "Illegal instruction"
DENIED = json.dumps(
    {"s": "E", "msg": "terminating", "attr": {"error": "Location28596: Permission denied"}}
)
NO_SPACE = {"msg": "pwrite: failed", "error_str": "No space left on device"}
FULL = json.dumps({"s": "E", "msg": "WiredTiger error", "attr": {"error": 22, "message": NO_SPACE}})
PORT = json.dumps(
    {"s": "E", "msg": "listener", "attr": {"error": {"errmsg": "Address already in use"}}}
)


@pytest.mark.parametrize(
    ("line", "exit_code", "kind", "told"),
    [
        (LOADER, 127, ConfigurationError, "apt-get install libcurl4"),
        (LOADER.replace("libcurl.so.4", "libssl.so.3"), 127, ConfigurationError, "libssl3"),
        (LOADER.replace("libcurl.so.4", "libx.so.9"), 127, ConfigurationError, "holds libx.so.9"),
        (ILL, -signal.SIGILL, ConfigurationError, "AVX"),
        (LOADER.replace("libcurl", "/opt/x/libcurl"), 127, ConfigurationError, "install libcurl4"),
        (DENIED, 100, ConfigurationError, "terminating: Location28596: Permission denied"),
        (DENIED + '\n{"t":{"$da', 100, ConfigurationError, "terminating: Location28596: Perm"),
        (FULL, 14, StoreUnavailable, "disk is full (WiredTiger error: No space left"),
        (PORT, 48, PortTaken, "port was taken"),
        ("", None, StoreUnavailable, "not ready in 90 s"),
    ],
)
def test_the_log_becomes_an_error_with_a_cure(
    tmp_path: Path, line: str, exit_code: int | None, kind: type[Exception], told: str
) -> None:
    log = tmp_path / "server.log"
    log.write_text(line + "\n")
    error = EmbeddedMongod(cache_gb=0.25).explain(log, exit_code)
    assert type(error) is kind
    assert told in str(error)


def put_mongod_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    program = folder / "mongod"
    program.write_text(f"#!/bin/sh\necho '{version}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
