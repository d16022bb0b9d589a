"""Prefect's server as it grows: on PostgreSQL, with Redis between its parts, in several processes.

PostgreSQL and Redis run already, on this machine, so that their CPU can be seen; each measurement
takes a new database there and removes it, and leaves Redis as empty as it must find it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks.measuring.environments import OUR_PREFECT, environment
from benchmarks.measuring.processes import snapshot
from benchmarks.measuring.world import OnItsOwnPort, world
from sheetflow.servers.companions import Companion

_REDIS_PACKAGES = ("prefect-redis==0.3.0", "redis==8.1.0")
_REDIS_SETTINGS = {
    "PREFECT_SERVER_EVENTS_MESSAGING_BROKER": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_MESSAGING_CACHE": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
}


@dataclass(frozen=True)
class Running:
    """A Prefect server, and the processes that it is made of."""

    api_url: str
    pids: Mapping[str, int]


@contextlib.contextmanager
def on_postgresql(address: str) -> Iterator[Running]:
    """Run our server with a PostgreSQL, `postgresql://user@host:port`, instead of SQLite."""
    with _database(address) as (database, database_pid), world(_OnPostgres(database)) as here:
        yield Running(here.api_url, {"server": here.server_pid, "database": database_pid})


@contextlib.contextmanager
def with_redis(postgresql: str, redis: str, web_servers: int) -> Iterator[Running]:
    """Run Prefect's server with both; with `web_servers` of 0 all of it is a single process.

    Otherwise so many processes answer requests, and one more has the services, as the recorder.
    """
    with (
        environment(*OUR_PREFECT, *_REDIS_PACKAGES) as python,
        _database(postgresql) as (database, database_pid),
        _empty(redis) as redis_pid,
    ):
        server = _WithRedis(database, redis, python, web_servers)
        _started_once(database)
        with world(server) as here, _services(server, here.folder, web_servers) as services:
            pids = {"server": here.server_pid, "database": database_pid, "redis": redis_pid}
            yield Running(here.api_url, {**pids, **services})


def _started_once(database: str) -> None:
    """Have one process make the tables and name the blocks: several would disturb each other."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Companion(Path(name), _OnPostgres(database)).joined(),
    ):
        pass


class _OnPostgres(OnItsOwnPort):
    def __init__(self, database: str) -> None:
        self._database = database

    def environment(self, folder: Path, port: int) -> dict[str, str]:
        database = {"PREFECT_SERVER_DATABASE_CONNECTION_URL": self._database}
        return {**super().environment(folder, port), **database}


class _WithRedis(_OnPostgres):
    def __init__(self, database: str, redis: str, python: Path, web_servers: int) -> None:
        super().__init__(database)
        self.python = python
        self._redis = redis
        self._web_servers = web_servers

    def command(self, folder: Path, port: int) -> Sequence[str]:
        _python, _module, _ours, *start = super().command(folder, port)
        several = ["--workers", str(self._web_servers), "--no-services"]
        return [str(self.python), "-m", "prefect", *start, *(several if self._web_servers else ())]

    def environment(self, folder: Path, port: int) -> dict[str, str]:
        ours = super().environment(folder, port)
        return {
            **ours,
            **_REDIS_SETTINGS,
            "PREFECT_REDIS_MESSAGING_URL": self._redis,
            "PREFECT_SERVER_DOCKET_URL": self._redis,
        }


@contextlib.contextmanager
def _services(server: _WithRedis, folder: Path, web_servers: int) -> Iterator[dict[str, int]]:
    if not web_servers:
        yield {}
        return
    command = [str(server.python), "-m", "prefect", "server", "services", "start"]
    with (folder / "services.log").open("w") as log:
        process = subprocess.Popen(
            command, env=server.environment(folder / "prefect", 0), stdout=log, stderr=log
        )
        try:
            yield {"services": process.pid}
            assert process.poll() is None, (folder / "services.log").read_text()
        finally:
            process.terminate()
            process.wait(timeout=60)


@contextlib.contextmanager
def _database(address: str) -> Iterator[tuple[str, int]]:
    """Make a database; yield its address for SQLAlchemy and the process of PostgreSQL."""
    name = f"bench_{uuid4().hex[:8]}"
    backend = asyncio.run(_asked(address, f"CREATE DATABASE {name}"))
    url = urlsplit(address)._replace(scheme="postgresql+asyncpg", path=f"/{name}").geturl()
    try:
        yield url, backend
    finally:
        asyncio.run(_asked(address, f"DROP DATABASE {name} WITH (FORCE)"))


async def _asked(address: str, command: str) -> int:
    """Have PostgreSQL do something, and return its first process."""
    import asyncpg

    connection = await asyncpg.connect(address)
    try:
        await connection.execute(command)
        return snapshot()[connection.get_server_pid()].parent
    finally:
        await connection.close()


@contextlib.contextmanager
def _empty(address: str) -> Iterator[int]:
    """Yield the process of Redis, and empty that database of it at the end."""
    from redis import Redis

    with Redis.from_url(address) as redis:
        assert not redis.dbsize(), f"{address} is not empty"
        try:
            yield int(redis.info("server")["process_id"])
        finally:
            redis.flushdb()
