"""Why a mongod does not serve: its exit code and log, turned into an error with a cure."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sheetflow.errors import ConfigurationError, SheetflowError, StoreUnavailable
from sheetflow.servers.companion_service import PortTaken, last_lines

# Source: ldd of the wheel's mongod 6.0.5, and the Debian 12 packages that hold these files.
_DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
}
# A journal file; less room than that is no room.
_ROOM_TO_START_BYTES = 16 * 1024 * 1024


def explain(log: Path, exit_code: int | None, *, data: Path, waited_s: float) -> SheetflowError:
    """Return the error to raise for a mongod that ended, or was not ready in time.

    Args:
        log: What it, or the system's loader, wrote.
        exit_code: With what it ended; None if it still runs.
        data: Its data folder.
        waited_s: How long it was waited for.
    """
    lines = last_lines(log, 200)
    text = "\n".join(lines)
    reason = _reason(lines)
    missing = re.search(r"error while loading shared libraries: (?:\S*/)?(\S+?):", text)
    if missing or exit_code == -signal.SIGILL:
        return _unfit_machine(missing.group(1) if missing else None)
    if "Address already in use" in text:
        return PortTaken("MongoDB's port was taken just now", cure="Try again")
    if "DBPathInUse" in text:
        return ConfigurationError(
            f"another mongod uses the data folder {data}",
            cure="Stop that mongod, or set MONGODB_URI to use it",
        )
    if re.search(r"featureCompatibilityVersion|Wrong mongod version", reason):
        return ConfigurationError(
            f"the data in {data} is of another version of MongoDB ({reason})",
            cure="Put that version's mongod first on PATH, or set MONGODB_URI to one that runs",
        )
    if exit_code is None:
        return StoreUnavailable(
            f"MongoDB was not ready in {waited_s:.0f} s ({reason})",
            cure=f"Try again; if it stays so, see {log}",
        )
    # Its log is on the same disk and may have lost just the line that says so.
    full = shutil.disk_usage(log.parent).free < _ROOM_TO_START_BYTES
    if full or "No space left on device" in text:
        return StoreUnavailable(
            f"MongoDB ended: its disk is full ({reason})",
            cure=f"Make room on the disk of {log.parent} and try again",
        )
    return ConfigurationError(
        f"MongoDB ended with exit code {exit_code} ({reason})",
        cure=f"See {log}; or set MONGODB_URI to a MongoDB of your own",
    )


def _reason(lines: Sequence[str]) -> str:
    """Return the last line that tells why, in mongod's JSON log or in the loader's words."""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            # A line that a full disk cut short says nothing; one that is no JSON is the loader's.
            if not line.startswith("{"):
                return line.strip()
            continue
        if entry.get("s") in {"E", "F"}:
            return f"{entry.get('msg', '')}: {_detail(entry.get('attr', {}))}".strip(": ")
    return "its log says nothing"


def _detail(attributes: Mapping[str, Any]) -> str:
    """Return the words of a log entry, which has them in one of three places."""
    words = attributes.get("error", "")
    if isinstance(words, dict):
        return str(words.get("errmsg", ""))
    message = attributes.get("message")
    if isinstance(message, dict):
        return str(message.get("error_str") or message.get("msg", ""))
    return str(words)


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
