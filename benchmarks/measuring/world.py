"""A world to measure in: servers of its own, data roots, sheets, and runs of the real flow."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymongo import MongoClient

from deployments.local_server import PrefectServer
from flows.outcomes import Outcome
from sheetflow.servers.companions import Companion
from sheetflow.servers.mongod import embedded_mongod


@dataclass
class World:
    """Running servers, and where things are.

    Attributes:
        folder: A temporary folder.
        mongodb_uri: The address of a mongod.
        api_url: The address of a Prefect server with our settings.
        mongod_pid: Its process.
        server_pid: Its process.
    """

    folder: Path
    mongodb_uri: str
    api_url: str
    mongod_pid: int
    server_pid: int

    def root(self) -> Root:
        """Return a new, empty data root with a database of its own."""
        name = f"bench_{uuid4().hex[:8]}"
        (self.folder / name / "source").mkdir(parents=True)
        return Root(self, self.folder / name, name)


@dataclass
class Root:
    """A data root and its database."""

    world: World
    path: Path
    database_name: str

    @property
    def inbox(self) -> Path:
        """Where sheets are dropped."""
        return self.path / "source"

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a run here."""
        return {
            "SHEETFLOW_ROOT": str(self.path),
            "MONGODB_URI": self.world.mongodb_uri,
            "DATABASE_NAME": self.database_name,
            "SHEETFLOW_SETTLE_S": "0",
            "PREFECT_API_URL": self.world.api_url,
            **more,
        }

    def records(self) -> int:
        """Return how many records there are."""
        with MongoClient[dict[str, Any]](self.world.mongodb_uri) as client:
            return client[self.database_name].codes_images.count_documents({})

    def remove(self) -> None:
        """Remove folder and database."""
        with MongoClient[dict[str, Any]](self.world.mongodb_uri) as client:
            client.drop_database(self.database_name)
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def world(api: PrefectServer | None = None) -> Iterator[World]:
    """Start the servers, and stop them at the end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        prefect = Companion(folder / "prefect", api or OnItsOwnPort())
        mongod = embedded_mongod(folder / "mongod")
        with prefect.joining() as membership, mongod.joined() as uri:
            yield World(
                folder, uri, membership.address(), _pid(folder / "mongod"), _pid(folder / "prefect")
            )
            _forget_server()


def _forget_server() -> None:
    """End Prefect's senders, which would go on trying to reach this server beside the next one."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=30, at_exit=False)


class OnItsOwnPort(PrefectServer):
    """Our Prefect server, on a port that no person's begins with."""

    def first_port(self, folder: Path) -> int:
        """Return a port that depends on the folder."""
        return 27200 + zlib.crc32(str(folder).encode()) % 800


class PlainPrefect(OnItsOwnPort):
    """A Prefect server as it comes, without any of our settings."""

    def environment(self, folder: Path, port: int) -> dict[str, str]:
        """Return Prefect's home and port alone."""
        ours = super().environment(folder, port)
        own = ("PREFECT_HOME", "PREFECT_SERVER_API_HOST", "PREFECT_SERVER_API_PORT")
        kept = {name: value for name, value in ours.items() if not name.startswith("PREFECT_")}
        return {**kept, **{name: ours[name] for name in own}, "DO_NOT_TRACK": "1"}


class Collector:
    """Listens to a run and keeps its outcomes."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self.first_s = self.last_s = 0.0

    def expecting(self, sheets: int) -> None:  # noqa: ARG002 - of the protocol
        """Note when the first sheet begins."""
        self.first_s = time.perf_counter()

    def heard(self, outcome: Outcome) -> None:
        """Note an outcome, and when the last one came."""
        self.outcomes.append(outcome)
        self.last_s = time.perf_counter()


@contextlib.contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def copy_into(inbox: Path, files: Sequence[Path]) -> None:
    """Drop copies of files into an inbox."""
    for file in files:
        shutil.copyfile(file, inbox / file.name)


def _pid(state_dir: Path) -> int:
    import json

    return int(json.loads((state_dir / "state.json").read_text())["pid"])
