from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sheetflow.custody import renaming
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.renaming import rename_without_replacing
from sheetflow.custody.transfers import copy_file, free_name, move_file, unused_name
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


def refused(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


@pytest.fixture(params=["renameat2", "neither"])
def no_links(request, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without hard links; without renameat2, too, the second time."""
    monkeypatch.setattr(os, "link", refused(errno.EPERM))
    if request.param == "neither":
        monkeypatch.setattr(renaming, "rename_in_one_step", refused(errno.EINVAL))


def test_a_file_system_without_hard_links_still_never_replaces(source, target, no_links) -> None:
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA
    again = source.with_name("again.png")
    again.write_bytes(DATA + b"!")
    with pytest.raises(NameTaken):
        rename_without_replacing(again, target, sha256=digest_bytes(DATA + b"!"))
    assert target.read_bytes() == DATA
    assert again.exists()


def test_a_name_that_a_killed_try_reserved_is_taken_by_that_file_alone(source, target) -> None:
    target.write_text(SHA)  # as it stands between the reservation and the rename
    other = digest_bytes(b"other")
    assert free_name(target.parent, target.name, sha256=SHA) == "sheet.png"
    assert free_name(target.parent, target.name, sha256=other) == f"sheet~{other[:8]}.png"
    move_file(source, target, sha256=SHA)
    assert target.read_bytes() == DATA


def test_a_reservation_goes_if_the_rename_is_refused(source, target, monkeypatch) -> None:
    monkeypatch.setattr(os, "link", refused(errno.EPERM))
    monkeypatch.setattr(renaming, "rename_in_one_step", refused(errno.ENOSYS))
    monkeypatch.setattr(Path, "replace", refused(errno.EACCES))
    with pytest.raises(FolderUnavailable):
        move_file(source, target, sha256=SHA)
    assert source.read_bytes() == DATA
    assert not target.exists()


def test_the_new_name_is_synced_before_the_old_one_goes(source, target, monkeypatch) -> None:
    steps = []
    fsync, unlink = os.fsync, Path.unlink

    def synced(descriptor: int) -> None:
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def removed(path: Path, **options: bool) -> None:
        steps.append(f"remove {path.parent.name}")
        unlink(path, **options)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "unlink", removed)
    move_file(source, target, sha256=SHA)
    assert steps == ["sync to", "remove from", "sync from"]


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


def test_the_number_of_an_unused_name_is_the_next_one(tmp_path: Path) -> None:
    for number in range(1, 40):
        (tmp_path / unused_name(tmp_path, "a.png")).touch()
        assert sorted(os.listdir(tmp_path)) == sorted(
            ["a.png", *(f"a~{earlier}.png" for earlier in range(2, number + 1))]
        )


def test_a_copy_leaves_the_original_and_finds_an_equal_one(source, target) -> None:
    assert copy_file(source, target.parent) == target
    assert copy_file(source, target.parent) == target
    assert source.read_bytes() == target.read_bytes() == DATA
