"""The memory of what people were told, shared by the runs of one data root."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sheetflow.custody.files import write_file
from sheetflow.custody.folders import Folders
from sheetflow.telling.notices import Told

_FILE = "told.json"
_LOCK = "told.lock"


@dataclass
class Memory:
    """What was told, to be changed by whoever tells more.

    Attributes:
        told: The troubles that people know of, by their keys.
        at: When a run looked last; None if none ever did.
        kept: Whether it can be kept; not where the state folder itself is the trouble.
    """

    told: dict[str, Told] = field(default_factory=dict)
    at: datetime | None = None
    kept: bool = True


@contextlib.contextmanager
def remembering(folders: Folders) -> Iterator[Memory]:
    """Yield the memory, alone, and keep it if the block ends well.

    It is written whole, after the telling: a run that is killed in between tells it again, which
    is better than never. So is what two machines may do that end at the same instant.
    """
    try:
        lock = (folders.state / _LOCK).open("a")
    except OSError:
        lock = None
    if lock is None:
        yield Memory(kept=False)
        return
    with lock:
        # A mount without locks is no reason to tell nobody.
        with contextlib.suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        before = _load(folders)
        memory = Memory(dict(before.told), before.at)
        yield memory
        if memory != before:
            write_file(folders.state / _FILE, json.dumps(_to_json(memory), indent=1).encode())


def _load(folders: Folders) -> Memory:
    try:
        value = json.loads((folders.state / _FILE).read_bytes())
        told = {key: _told(fields) for key, fields in value["told"].items()}
        return Memory(told, datetime.fromisoformat(value["at"]) if value["at"] else None)
    except (OSError, ValueError, TypeError, KeyError):
        return Memory()  # never written, or not by this version: everything is told afresh


def _told(fields: dict[str, Any]) -> Told:
    return Told(
        cause=fields["cause"],
        since=datetime.fromisoformat(fields["since"]),
        last=datetime.fromisoformat(fields["last"]),
        sheets=tuple(fields["sheets"]),
    )


def _to_json(memory: Memory) -> dict[str, Any]:
    return {
        "at": memory.at.isoformat() if memory.at else None,
        "told": {
            key: {**asdict(told), "since": told.since.isoformat(), "last": told.last.isoformat()}
            for key, told in memory.told.items()
        },
    }
