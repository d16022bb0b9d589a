"""The embedded MongoDB: a real mongod, on loopback, its data under the data root.

A one-member replica set, so that majority writes, sessions and transactions behave as on a real
one. The mongod on PATH serves if it is new enough, else the one from the `embedded` extra.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sheetflow.errors import FolderUnavailable, SheetflowError
from sheetflow.servers.companions import Companion
from sheetflow.servers.mongod_binary import find_mongod
from sheetflow.servers.mongod_log import explain

logger = logging.getLogger(__name__)

REPLICA_SET = "sheetflow"
_ENVIRONMENT = ("HOME", "PATH", "TMPDIR", "TZ", "LD_LIBRARY_PATH")
_INVALID_REPLICA_SET_CONFIG = 93


def embedded_mongod(state_dir: Path, *, cache_gb: float = 0.25) -> Companion:
    """Return the embedded MongoDB of a state folder; `joined()` starts or joins it.

    Its address is a URI for pymongo, such as `mongodb://127.0.0.1:27117/?directConnection=true`.

    Args:
        state_dir: Folder for data, log and locks, on a local disk.
        cache_gb: Memory for WiredTiger's cache, at least 0.25.

    Raises:
        ConfigurationError: This platform cannot run companions.
    """
    return Companion(state_dir, EmbeddedMongod(cache_gb=cache_gb))


class EmbeddedMongod:
    """How to run mongod as a companion.

    Args:
        cache_gb: Memory for WiredTiger's cache, at least 0.25.
    """

    name: str = "MongoDB"
    # After a kill in a long run it recovers its journal first; and when its last port is taken, it
    # asks whoever has it for 30 s whether that is perhaps itself.
    start_timeout_s: float = 90.0
    stop_timeout_s: float = 60.0
    may_be_killed: bool = False

    def __init__(self, *, cache_gb: float) -> None:
        self._cache_gb = cache_gb

    def first_port(self, folder: Path) -> int:
        """Return a port that stays the same for a folder, and differs between most of them.

        It is below the range that outgoing connections take theirs from.
        """
        return 27100 + zlib.crc32(os.fsencode(folder)) % 800

    def address(self, port: int) -> str:
        """Return the URI; a direct one, which keeps working when the member's port changes."""
        return f"mongodb://127.0.0.1:{port}/?directConnection=true"

    def port(self, address: str) -> int:
        """Return the port of such a URI."""
        return urlsplit(address).port or 0

    def command(self, folder: Path, port: int) -> Sequence[str]:
        """Make the data folder and return the command line.

        Raises:
            ConfigurationError: There is no mongod.
            FolderUnavailable: The data folder cannot be made.
        """
        binary = find_mongod()
        try:
            _data(folder).mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FolderUnavailable(
                f"the data folder {_data(folder)} cannot be made ({error.strerror})",
                cure="Make room on its disk, and let the user who runs sheetflow write to it",
            ) from error
        network = ["--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
        storage = ["--dbpath", str(_data(folder)), "--wiredTigerCacheSizeGB", str(self._cache_gb)]
        # Three journal files are made ahead of use: 48 MB instead of 300 MB for an empty database.
        storage += ["--wiredTigerEngineConfigString", "log=(file_max=16MB)"]
        replication = ["--replSet", REPLICA_SET, "--oplogSize", "256"]
        quiet = ["--quiet", "--slowms", "1000"]
        quiet += ["--setParameter", "diagnosticDataCollectionEnabled=false"]
        # A single member has nobody to hand over to, so that 15 s of waiting for it serve nobody.
        hurry = ["--setParameter", "shutdownTimeoutMillisForSignaledShutdown=0"]
        return [str(binary.path), *network, *storage, *replication, *quiet, *hurry]

    def environment(self, folder: Path, port: int) -> Mapping[str, str]:  # noqa: ARG002 - of the protocol
        """Return the little that mongod needs: our secrets are not among it."""
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        # It refuses to start with a locale that the machine does not have.
        return {**kept, "LC_ALL": "C"}

    def ready(self, folder: Path, address: str) -> bool:
        """Make the replica set if need be, and tell whether it takes writes."""
        from pymongo import MongoClient
        from pymongo.errors import OperationFailure, PyMongoError

        client: MongoClient[dict[str, Any]] = MongoClient(
            address, serverSelectionTimeoutMS=200, connectTimeoutMS=1000, socketTimeoutMS=5000
        )
        try:
            with client:
                if not _is_ours(client, folder):
                    return False
                hello = client.admin.command("hello")
                if not hello.get("isWritablePrimary"):
                    _complete_replica_set(client, member=f"127.0.0.1:{self.port(address)}")
                    hello = client.admin.command("hello")
                return bool(hello.get("isWritablePrimary"))
        except OperationFailure as error:
            # The other process that joins at this moment may have done the same just before.
            logger.debug("MongoDB: set-up is not finished: %s", error.details)
            return False
        except PyMongoError:
            return False

    def explain(self, log: Path, exit_code: int | None) -> SheetflowError:
        """Turn the log of a mongod that does not serve into an error with a cure."""
        return explain(log, exit_code, data=_data(log.parent), waited_s=self.start_timeout_s)

    def before_stop(self, address: str) -> None:
        """Do nothing: mongod itself finishes what it took on before it stops."""


def _data(folder: Path) -> Path:
    return folder / "db"


def _is_ours(client: Any, folder: Path) -> bool:
    """Tell whether it is the mongod of this folder, not one that took the port before ours."""
    options = client.admin.command("getCmdLineOpts")
    return bool(options["parsed"]["storage"]["dbPath"] == str(_data(folder)))


def _complete_replica_set(client: Any, *, member: str) -> None:
    """Make the set at the first start; move its one member when the port is another one."""
    from pymongo.errors import OperationFailure

    try:
        client.admin.command("replSetGetStatus")
    except OperationFailure as error:
        if error.code == _INVALID_REPLICA_SET_CONFIG:
            # Its own configuration names a port that it no longer has: it stands aside until told.
            answer = client.admin.command("replSetGetConfig")
            config = answer["config"]
            config["version"] += 1
            config["members"][0]["host"] = member
            client.admin.command("replSetReconfig", config, force=True)
            return
        if error.details and error.details.get("codeName") == "NotYetInitialized":
            config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": member}]}
            client.admin.command("replSetInitiate", config)
            return
        raise
