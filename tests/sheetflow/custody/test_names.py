from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sheetflow.custody.names import (
    MAX_NAME_BYTES,
    is_ignored,
    name_with_mark,
    portable_name,
    shown_name,
)


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".DS_Store",
            "._scan.jpg",
            ".syncthing.scan.jpg.tmp",
            ".scan.jpg.sb-1a2b",
            ".~lock.a.png#",
        ),
        *("scan.jpg.part", "scan.partial", "scan.filepart", "x.crdownload", "scan.jpg.download"),
        *("~lock.png", "~$scan.tif", "scan.png~", "a.TMP", "a.temp", "Thumbs.db", "desktop.ini"),
    ],
)
def test_names_of_files_that_are_no_sheets_yet_are_ignored(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize("name", ["scan.jpg", "part.png", "a~b.png", "-rf.png", "tmp", "ü ö.tif"])
def test_ordinary_names_are_not_ignored(name: str) -> None:
    assert not is_ignored(name)


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_a_portable_name_can_always_be_encoded(raw: bytes) -> None:
    name = portable_name(os.fsdecode(raw))
    assert name.encode("utf-8")
    assert json.loads(json.dumps(name)) == name


def test_a_portable_name_keeps_what_unicode_can_hold() -> None:
    assert portable_name("Größe\n1.png") == "Größe\n1.png"
    assert portable_name(os.fsdecode(b"caf\xe9.png")) == "caf\\xe9.png"


def test_a_shown_name_stays_on_one_line() -> None:
    assert shown_name("two\nlines\x1b[31m.png") == "two\\nlines\\x1b[31m.png"


def test_a_mark_stands_before_the_suffix() -> None:
    assert name_with_mark("mugs.tar.gz", "2") == "mugs.tar~2.gz"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1))
def test_a_marked_name_always_fits_a_file_system(stem: str) -> None:
    assert len(os.fsencode(name_with_mark(stem * 9 + ".png", "1a2b3c4d"))) <= MAX_NAME_BYTES
