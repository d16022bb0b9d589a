"""What the tests share: a real mongod, a real Prefect server, folders and small drawn sheets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pymongo import MongoClient

from deployments.server import prefect_server as prefect_server_companion
from sheetflow.custody.folders import Folders, prepare_folders
from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import sheet_bytes
from sheetflow.samples.spec import SheetSpec
from sheetflow.servers.mongod import embedded_mongod
from sheetflow.settings import Settings


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # Neither a developer's settings nor a `.env` in the work tree may reach a test.
    for name in ("MONGODB_URI", "DATABASE_NAME", "COLLECTION_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def mongod_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real mongod, a replica set of one, for the whole session."""
    with embedded_mongod(tmp_path_factory.mktemp("mongod")).joined() as uri:
        yield uri


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prefect server for the whole session; the address of its API."""
    with prefect_server_companion(tmp_path_factory.mktemp("prefect")).joined() as url:
        yield url


@pytest.fixture
def database(mongod_uri: str) -> Iterator[Any]:
    """A database of the test's own, seen through plain pymongo and not through our code."""
    client: MongoClient[dict[str, Any]] = MongoClient(mongod_uri, tz_aware=True)
    name = f"test_{uuid4().hex[:12]}"
    yield client[name]
    client.drop_database(name)
    client.close()


@pytest.fixture
def settings(tmp_path: Path, mongod_uri: str, database: Any) -> Settings:
    """Settings of a data root and a database of the test's own, with short waits."""
    return Settings(
        root=tmp_path / "root",
        mongodb_uri=mongod_uri,
        database_name=database.name,
        settle_s=0.05,
        retries=1,
        retry_delay_s=0.05,
        mongodb_connect_timeout_s=1.0,
    )


@pytest.fixture
def folders(settings: Settings) -> Folders:
    """The four places, made and empty."""
    prepare_folders(settings.folders)
    return settings.folders


@pytest.fixture
def drop(folders: Folders) -> Callable[[str, bytes], Path]:
    """Put a file into the inbox."""

    def put(name: str, data: bytes) -> Path:
        path = folders.inbox / name
        path.write_bytes(data)
        return path

    return put


@pytest.fixture(scope="session")
def drawn() -> Callable[..., tuple[bytes, dict[str, Any]]]:
    """Draw a small sheet, once a session for a spec; return its file's bytes and its truth."""
    made: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def draw(seed: int = 1, **options: Any) -> tuple[bytes, dict[str, Any]]:
        spec = SheetSpec(
            **{"page": "A5", "rows": 2, "columns": 2, "frame": "cell", "seed": seed, **options}
        )
        if repr(spec) not in made:
            sheet = draw_sheet(spec)
            made[repr(spec)] = (sheet_bytes(sheet, spec), sheet.truth)
        return made[repr(spec)]

    return draw


@pytest.fixture(scope="session")
def several(drawn: Callable[..., Any]) -> list[tuple[bytes, dict[str, Any]]]:
    """Four different sheets."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(drawn, range(1, 5)))
