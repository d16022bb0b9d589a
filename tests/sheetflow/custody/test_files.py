from __future__ import annotations

import os
from pathlib import Path

import pytest

from sheetflow.custody import files
from sheetflow.custody.files import digest_file, write_file
from sheetflow.errors import CustodyError, FolderUnavailable

DATA = b"a sheet" * 1000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.png"
    path.write_bytes(DATA)
    return path


def test_a_full_disk_is_told_with_its_cure_and_nothing_moves(source) -> None:
    # /dev/full is a file that every write to fails with ENOSPC: the real thing.
    with (
        pytest.raises(FolderUnavailable, match="Free some disk space"),
        files.translated_errors(source),
        open("/dev/full", "wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert source.read_bytes() == DATA


def test_a_link_is_not_followed(source, tmp_path: Path) -> None:
    link = tmp_path / "link.png"
    link.symlink_to(source)
    with pytest.raises(CustodyError, match="link"):
        digest_file(link)


def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(CustodyError, match="not a file"):
        digest_file(pipe)


def test_a_written_file_replaces_the_old_one_whole(tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    write_file(path, b"old")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["entry.json"]
