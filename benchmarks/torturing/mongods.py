"""MongoDB servers to be mistreated: real processes, on 127.0.0.1, ended by their own handles."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from sheetflow.servers.mongod_binary import find_mongod

_SET = "torture"


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Mongod:
    """One mongod, a member of a replica set.

    Attributes:
        folder: Where its data and its log are.
        port: Where it listens.
        address: On which address.
        within: The start of a command line that puts it on another host.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    address: str = "127.0.0.1"
    within: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """Its address and port."""
        return f"{self.address}:{self.port}"

    @property
    def uri(self) -> str:
        """Its address, for itself alone."""
        return f"mongodb://{self.host}/?directConnection=true"

    def start(self) -> None:
        """Start it, on the data that it had."""
        (self.folder / "db").mkdir(parents=True, exist_ok=True)
        command = [*self.within, str(find_mongod().path)]
        command += ["--bind_ip", self.address, "--port", str(self.port)]
        command += ["--dbpath", str(self.folder / "db"), "--nounixsocket", "--quiet"]
        command += ["--replSet", _SET, "--oplogSize", "64", "--wiredTigerCacheSizeGB", "0.25"]
        command += ["--wiredTigerEngineConfigString", "log=(file_max=8MB)"]
        command += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        command += ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={"LC_ALL": "C"}, start_new_session=True
            )

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait for its end."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(number)
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


@contextlib.contextmanager
def replica_set(folder: Path, members: int, **options: Any) -> Iterator[list[Mongod]]:
    """Run a replica set and yield its members; the first is the first primary."""
    servers = [Mongod(folder / f"member{number}", **options) for number in range(members)]
    try:
        for server in servers:
            server.start()
        _initiate(servers)
        yield servers
    finally:
        for server in servers:
            server.end()


def set_uri(servers: list[Mongod]) -> str:
    """Return the address of a whole set."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"mongodb://{hosts}/?replicaSet={_SET}"


def primary_of(servers: list[Mongod], timeout_s: float = 60) -> Mongod:
    """Wait for a primary that takes writes, and return it."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        for server in servers:
            if server.process is not None and _hello(server).get("isWritablePrimary"):
                return server
        time.sleep(0.1)
    raise RuntimeError("the replica set has no primary")


def _initiate(servers: list[Mongod]) -> None:
    deadline = time.monotonic() + 60
    while not all(map(_hello, servers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    config = {
        "_id": _SET,
        "members": [
            {"_id": number, "host": server.host, "priority": 2 if not number else 1}
            for number, server in enumerate(servers)
        ],
        "settings": {"electionTimeoutMillis": 1000, "heartbeatIntervalMillis": 500},
    }
    with MongoClient(servers[0].uri, serverSelectionTimeoutMS=20_000) as client:
        client.admin.command("replSetInitiate", config)
    primary_of(servers)


def _hello(server: Mongod) -> dict[str, Any]:
    try:
        with MongoClient(server.uri, serverSelectionTimeoutMS=500, socketTimeoutMS=2000) as client:
            answer: dict[str, Any] = client.admin.command("hello")
            return answer
    except PyMongoError:
        return {}
