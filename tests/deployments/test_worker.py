"""A process work pool and its worker, real ones, as prefect.yaml offers them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType

from sheetflow.custody.folders import prepare_folders
from sheetflow.settings import Settings
from tests.deployments.serving import Api, Shop, command, engine_of, prefect, wait_for

POOL = "sheetflow"
PREFECT_YAML = Path(__file__).parents[2] / "deployments" / "prefect.yaml"


@pytest.fixture(scope="module")
def shop(
    prefect_server: str,
    mongod_uri: str,
    several: list[Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    """A data root whose deployments belong to a work pool."""
    settings = Settings(
        root=tmp_path_factory.mktemp("pooled") / "root",
        mongodb_uri=mongod_uri,
        database_name=f"test_{uuid4().hex[:12]}",
    )
    prepare_folders(settings.folders)
    prefect(prefect_server, "work-pool", "create", POOL, "--type", "process", "--overwrite")
    prefect(prefect_server, "deploy", "--all", "--prefect-file", str(PREFECT_YAML))
    api = Api(prefect_server)
    yield Shop(settings, api, several)
    with api.client() as client:
        for deployment in client.read_deployments():
            client.delete_deployment(deployment.id)
        client.delete_work_pool(POOL)


@contextlib.contextmanager
def worker(shop: Shop) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of the pool, with the data root and MongoDB in its environment."""
    with command(
        "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process",
        program=[sys.executable],
        settings=shop.settings,
        cwd=shop.settings.root,
        PREFECT_API_URL=shop.api.url,
        PREFECT_WORKER_QUERY_SECONDS="1",
    ) as process:  # fmt: skip
        yield process


def test_a_worker_runs_what_its_pool_is_asked_for(shop: Shop):
    names = shop.drop(2)
    with worker(shop):
        asked = shop.api.ask("ingest-sheets", on_doubt="store-certain")
        ended = wait_for(lambda: shop.api.ended(asked.id), "the run's end")
    assert ended.state.type is StateType.COMPLETED, ended.state.message
    assert ended.name == "ingest sheets: 2 archived"
    assert shop.archived(names)


def test_what_a_killed_worker_leaves_is_taken_up_by_the_next(shop: Shop):
    names = shop.drop(6)
    with worker(shop) as first:
        asked = shop.api.ask("ingest-sheets")
        engine = wait_for(lambda: engine_of(asked.id), "its process")
        wait_for(lambda: list(shop.folders.staging.iterdir()), "a staged sheet")
        for pid in (first.pid, engine):
            os.kill(pid, signal.SIGKILL)
        first.wait()
    assert not shop.archived(names)
    beside = {"PREFECT_API_URL": shop.api.url}
    with (
        command("watch", settings=shop.settings, cwd=shop.settings.root, **beside),
        worker(shop),
    ):
        ended = wait_for(lambda: shop.api.ended(asked.id), "the killed run's end")
        assert ended.state.type is StateType.CRASHED
        shop.api.ask("ingest-sheets")
        wait_for(lambda: shop.archived(names), "all archived, by the next worker")
