"""Names of files: as people gave them, as records can hold them, as a terminal can show them."""

from __future__ import annotations

import fnmatch
import os
import re
from pathlib import PurePath

MAX_NAME_BYTES = 255
"""What the usual file systems allow; counted in bytes, so 85 Chinese characters fill it."""

IGNORED_PATTERNS = (
    ".*",  # hidden files: .DS_Store, .syncthing.*, our own half copies
    "~*",  # Office lock files and some scanners' scratch files
    "*~",
    "*.part",
    "*.partial",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "*.filepart",
    "thumbs.db",
    "desktop.ini",
)
"""Names that scanners, browsers, sync tools and file managers give to what is not a sheet (yet)."""


# One expression: pattern by pattern, a folder of 100,000 names would take a second.
_IGNORED = re.compile("|".join(map(fnmatch.translate, IGNORED_PATTERNS)))


def is_ignored(name: str) -> bool:
    """Tell whether a file's name says that it is not a sheet, or not one yet."""
    return _IGNORED.match(name.lower()) is not None


def portable_name(name: str) -> str:
    r"""Return a file's name as Unicode that JSON, BSON and Prefect can hold.

    Bytes that are not UTF-8 reach Python as lone surrogates, which none of those can encode; they
    are spelled `\xNN`. Every other name comes back as it is, newlines included.
    """
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def names_on_disk(portable: str) -> tuple[str, ...]:
    """Return the names that a file may have on disk whose portable name is `portable`."""
    spelled = re.sub(
        r"\\x([89a-f][0-9a-f])", lambda match: chr(0xDC00 + int(match[1], 16)), portable
    )
    return (portable,) if spelled == portable else (portable, spelled)


def shown_name(name: str) -> str:
    """Return a file's name on one line, safe for a log, a table and a terminal."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in portable_name(name)
    )


def name_with_mark(name: str, mark: str) -> str:
    """Return `name` with `~mark` before its suffix: `mugs.jpg`, `2` gives `mugs~2.jpg`.

    A stem that would make the name too long for a file system gives up its end, not the mark.
    """
    path = PurePath(name)
    ending = f"~{mark}{path.suffix}"
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    return os.fsdecode(os.fsencode(path.stem)[: max(room, 0)]) + ending
