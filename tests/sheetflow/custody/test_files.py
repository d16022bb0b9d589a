from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sheetflow.custody import files
from sheetflow.custody.files import (
    copy_file,
    digest_bytes,
    digest_file,
    free_name,
    move_file,
    unused_name,
    write_file,
)
from sheetflow.errors import CustodyError, DigestMismatch, FolderUnavailable, NameTaken

DATA = b"a sheet" * 1000
SHA = digest_bytes(DATA)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "from").mkdir()
    (tmp_path / "to").mkdir()
    path = tmp_path / "from" / "sheet.png"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "to" / "sheet.png"


@pytest.fixture
def other_disk(source: Path, target: Path) -> Path:
    """A target on another file system: /dev/shm, which Linux machines have."""
    folder = Path("/dev/shm") / f"sheetflow-test-{os.getpid()}"
    folder.mkdir()
    assert folder.stat().st_dev != source.stat().st_dev, "the test needs two file systems"
    yield folder / "sheet.png"
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def test_a_moved_file_is_whole_at_its_target_and_gone_from_its_source(source, target) -> None:
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA
    assert not source.exists()


def test_a_move_runs_again_without_harm(source, target) -> None:
    move_file(source, target, sha256=SHA)
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA


def test_a_move_never_replaces_another_file(source, target) -> None:
    target.write_bytes(b"something else")
    with pytest.raises(NameTaken, match="already holds another file"):
        move_file(source, target, sha256=SHA)
    assert target.read_bytes() == b"something else"
    assert source.read_bytes() == DATA


def test_a_move_refuses_bytes_that_changed(source, target) -> None:
    source.write_bytes(DATA + b"more")
    with pytest.raises(DigestMismatch, match="changed"):
        move_file(source, target, sha256=SHA)
    assert source.exists()
    assert not target.exists()


def test_a_move_of_nothing_says_that_the_file_is_in_neither_place(source, target) -> None:
    source.unlink()
    with pytest.raises(CustodyError, match="neither"):
        move_file(source, target, sha256=SHA)


def test_a_move_that_was_killed_between_link_and_removal_is_finished(source, target) -> None:
    os.link(source, target)
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA
    assert not source.exists()


def test_a_move_to_another_disk_copies_verifies_and_removes(source, other_disk) -> None:
    move_file(source, other_disk, sha256=SHA)
    assert other_disk.read_bytes() == DATA
    assert not source.exists()
    assert os.listdir(other_disk.parent) == ["sheet.png"]


def test_a_half_copy_on_another_disk_is_made_again(source, other_disk) -> None:
    (other_disk.parent / f".{SHA}.sheetflow.part").write_bytes(DATA[:10])
    move_file(source, other_disk, sha256=SHA)
    assert other_disk.read_bytes() == DATA
    assert os.listdir(other_disk.parent) == ["sheet.png"]


def test_a_copy_that_was_killed_before_the_source_went_is_finished(source, other_disk) -> None:
    other_disk.write_bytes(DATA)
    move_file(source, other_disk, sha256=SHA)
    assert not source.exists()


def test_a_file_system_without_hard_links_still_never_replaces(
    source, target, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(files.os, "link", no_links)
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA
    again = source.with_name("again.png")
    again.write_bytes(DATA + b"!")
    with pytest.raises(NameTaken):
        move_file(again, target, sha256=digest_bytes(DATA + b"!"))
    assert target.read_bytes() == DATA


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


def test_a_free_name_tells_two_sheets_of_one_name_apart(tmp_path: Path) -> None:
    assert free_name(tmp_path, "a.png", sha256=SHA) == "a.png"
    (tmp_path / "a.png").write_bytes(DATA)
    assert free_name(tmp_path, "a.png", sha256=SHA) == "a.png"
    other = digest_bytes(b"other")
    assert free_name(tmp_path, "a.png", sha256=other) == f"a~{other[:8]}.png"


def test_an_unused_name_counts_up(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(DATA)
    (tmp_path / "a~2.png").write_bytes(DATA)
    assert unused_name(tmp_path, "a.png") == "a~3.png"


def test_a_copy_leaves_the_original_and_finds_an_equal_one(source, target) -> None:
    assert copy_file(source, target.parent) == target
    assert copy_file(source, target.parent) == target
    assert source.read_bytes() == target.read_bytes() == DATA
