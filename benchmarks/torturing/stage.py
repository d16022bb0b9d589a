"""The stage of the torture: servers, a data root and a database, emptied between the rounds."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from benchmarks.torturing.checker import PLACES, Dropped, Scene
from benchmarks.torturing.sheets import TestSheet
from benchmarks.torturing.victims import Run, Victims

NAMES = {
    "inbox": "source",
    "staging": "images_sources",
    "archive": "images_old",
    "quarantine": "images_rejected",
}
VARIABLES = {
    "inbox": "SHEETFLOW_SOURCE_DIR",
    "staging": "SHEETFLOW_STAGING_DIR",
    "archive": "SHEETFLOW_ARCHIVE_DIR",
    "quarantine": "SHEETFLOW_REJECTED_DIR",
}
COLLECTIONS = (
    "codes_images",
    "codes_images_revisions",
    "codes_images.files",
    "codes_images.chunks",
    "sheets",
)


@dataclass
class Stage:
    """One data root with its database and its launcher of victims.

    Attributes:
        root: The data root.
        elsewhere: A folder on another file system, None where there is none.
        uri: The address of MongoDB.
        name: The database.
        victims: The launcher.
        scene: What the checker looks at.
        account: The user and group id that runs have, None for the harness's own.
        settings: More variables for the next runs.
    """

    root: Path
    elsewhere: Path | None
    uri: str
    name: str
    victims: Victims
    account: int | None = None
    client: Any = None
    scene: Scene = field(init=False)
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.client is None:
            self.client = MongoClient(self.uri, tz_aware=True, serverSelectionTimeoutMS=20_000)
        self.scene = Scene({}, self.root / ".sheetflow", self.client[self.name])
        self.clear()

    def clear(self, *, apart: tuple[str, ...] = (), drop: bool = False) -> None:
        """Empty root and database, and set some of the four places apart on another disk.

        Args:
            apart: Which of the places are on the other file system.
            drop: Drop the database, instead of emptying its collections.
        """
        shutil.rmtree(self.root, ignore_errors=True)
        self.root.mkdir(parents=True)
        if self.elsewhere is not None:
            shutil.rmtree(self.elsewhere, ignore_errors=True)
        self.settings = {}
        for place in PLACES:
            folder = self.root / NAMES[place]
            if place in apart and self.elsewhere is not None:
                folder = self.elsewhere / NAMES[place]
                self.settings[VARIABLES[place]] = str(folder)
            folder.mkdir(parents=True)
            self.scene.places[place] = folder
        for folder in (self.root, *self.scene.places.values()):
            self.give(folder)
        self.scene.dropped = []
        self.scene.harmed = set()
        if drop:
            self.client.drop_database(self.name)
        else:
            for collection in COLLECTIONS:
                self.client[self.name][collection].delete_many({})

    def drop(self, sheet: TestSheet, name: str | None = None) -> None:
        """Put a sheet into the inbox, whole at once."""
        name = name or sheet.name
        part = self.root / "arriving"
        part.write_bytes(sheet.data)
        target = self.scene.places["inbox"] / name
        shutil.copyfile(part, target.with_name(f".{name}"))
        self.give(target.with_name(f".{name}"))
        target.with_name(f".{name}").rename(target)
        part.unlink()
        self.scene.dropped.append(Dropped(name, sheet.sha256, sheet.codes, sheet.kind))

    def give(self, path: Path) -> None:
        """Let a file or folder belong to the account that runs have."""
        if self.account is not None:
            os.chown(path, self.account, self.account)

    @property
    def roots(self) -> list[str]:
        """The folders whose doors count."""
        return [str(self.root), *([str(self.elsewhere)] if self.elsewhere else [])]

    @property
    def environment(self) -> dict[str, str]:
        """The settings of a run: short waits, and this stage's places and database."""
        return {
            "SHEETFLOW_ROOT": str(self.root),
            "MONGODB_URI": self.uri,
            "DATABASE_NAME": self.name,
            "SHEETFLOW_SETTLE_S": "0",
            "SHEETFLOW_RETRIES": "1",
            "SHEETFLOW_RETRY_DELAY_S": "0.05",
            "SHEETFLOW_MONGODB_CONNECT_TIMEOUT_S": "2",
            "SHEETFLOW_MONGODB_TIMEOUT_S": "4",
            **self.settings,
        }

    def run(self, **options: Any) -> Run:
        """Run `sheetflow ingest --json`, as a victim of `options`."""
        environment = {**self.environment, **options.pop("environment", {})}
        return self.victims.run(environment, self.roots, **options)

    def learn(self, sheets: list[TestSheet]) -> None:
        """Note which pictures an undisturbed run stores, to hold others against them."""
        for collection in (self.scene.database[name] for name in COLLECTIONS[:2]):
            for document in collection.find({}, {"code": 1, "image_sha256": 1, "source_image": 1}):
                key = (document["source_image"]["sha256"], document["code"])
                self.scene.pictures[key] = document["image_sha256"]
        for sheet in sheets:
            missing = [c for c in sheet.codes if (sheet.sha256, c) not in self.scene.pictures]
            if missing and sheet.kind == "good":
                raise RuntimeError(f"undisturbed, {sheet.name} was not stored whole: {missing}")


@contextlib.contextmanager
def servers(folder: Path) -> Iterator[tuple[str, str]]:
    """Run a MongoDB and a Prefect server; yield their addresses, (MongoDB, Prefect)."""
    from deployments.local_server import PrefectServer
    from sheetflow.servers.companions import Companion
    from sheetflow.servers.mongod import embedded_mongod

    class OfItsOwn(PrefectServer):
        """On a port that no other harness, test session or person begins with."""

        def first_port(self, folder: Path) -> int:
            return 26200 + zlib.crc32(str(folder).encode()) % 800

    with (
        Companion(folder / "prefect", OfItsOwn()).joining() as api,
        embedded_mongod(folder / "mongod").joined() as uri,
    ):
        yield uri, api.address()


@contextlib.contextmanager
def stage(
    folder: Path, uri: str, api_url: str, *, name: str, account: int | None = None
) -> Iterator[Stage]:
    """Set a stage up below `folder`, with a place on another file system where there is one.

    Args:
        folder: Where.
        uri: The address of MongoDB.
        api_url: The Prefect server.
        name: Tells this stage from others.
        account: The user and group id that runs have, None for the harness's own.
    """
    shared_memory = Path("/dev/shm")  # noqa: S108 - on purpose another file system
    other = shared_memory.is_dir() and shared_memory.stat().st_dev != folder.stat().st_dev
    elsewhere = Path(tempfile.mkdtemp(dir=shared_memory, prefix="torture-")) if other else None
    try:
        scratch = folder / f"{name}.scratch"
        with Victims(scratch, api_url, account, as_account(account)) as victims:
            yield Stage(folder / name, elsewhere, uri, f"torture_{name}", victims, account)
    finally:
        if elsewhere is not None:
            shutil.rmtree(elsewhere, ignore_errors=True)


def as_account(account: int | None) -> tuple[str, ...]:
    """Return the start of a command line that has another account, and no privileges."""
    if account is None:
        return ()
    ids = (f"--reuid={account}", f"--regid={account}", "--clear-groups")
    return ("setpriv", *ids, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs")
