from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from sheetflow.custody.inbox import look_into_inbox, waiting_names


def test_settled_files_are_ready_oldest_first(folders, drop) -> None:
    for name, age in (("young.png", 10), ("old.png", 1000), ("middle.png", 100)):
        path = drop(name, b"x")
        os.utime(path, (time.time() - age, time.time() - age))
    inbox = look_into_inbox(folders, settle_s=0.05)
    assert [path.name for path in inbox.ready] == ["old.png", "middle.png", "young.png"]
    assert inbox.left == ()


def test_a_growing_file_is_left_alone_and_said_so(folders, drop) -> None:
    path = drop("growing.png", b"x")
    drop("still.png", b"y")
    done = threading.Event()

    def write_on() -> None:
        with path.open("ab") as file:
            while not done.is_set():
                file.write(b"more")
                file.flush()
                time.sleep(0.01)

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        inbox = look_into_inbox(folders, settle_s=0.3)
    finally:
        done.set()
        writer.join()
    assert [ready.name for ready in inbox.ready] == ["still.png"]
    assert [(left.path.name, left.cure) for left in inbox.left] == [("growing.png", None)]
    assert "still being written" in inbox.left[0].cause


def test_what_is_no_file_is_left_with_its_cure(folders, drop, tmp_path: Path) -> None:
    (folders.inbox / "folder.png").mkdir()
    (tmp_path / "outside.png").write_bytes(b"secret")
    (folders.inbox / "link.png").symlink_to(tmp_path / "outside.png")
    os.mkfifo(folders.inbox / "pipe.png")
    inbox = look_into_inbox(folders, settle_s=0)
    assert inbox.ready == ()
    assert [left.path.name for left in inbox.left] == ["folder.png", "link.png", "pipe.png"]
    assert all(left.cure for left in inbox.left)


def test_temporary_names_are_not_seen_at_all(folders, drop) -> None:
    for name in (".hidden.png", ".syncthing.a.png.tmp", "scan.png.part", "scan.tmp", "a.png~"):
        drop(name, b"x")
    inbox = look_into_inbox(folders, settle_s=0)
    assert (inbox.ready, inbox.left) == ((), ())
    assert waiting_names(folders) == []


def test_one_file_can_be_asked_for_alone(folders, drop) -> None:
    drop("a.png", b"a")
    drop("b.png", b"b")
    inbox = look_into_inbox(folders, settle_s=0, only="b.png")
    assert [path.name for path in inbox.ready] == ["b.png"]


def test_a_file_that_is_held_open_for_writing_has_not_settled(folders, drop) -> None:
    path = drop("paused.png", b"half of it")
    with path.open("ab"):
        inbox = look_into_inbox(folders, settle_s=0.05)
        assert [left.path.name for left in inbox.left] == ["paused.png"]
    assert look_into_inbox(folders, settle_s=0.05).ready == (path,)


def test_a_file_that_is_held_open_for_reading_is_ready(folders, drop) -> None:
    path = drop("seen.png", b"all of it")
    with path.open("rb"):
        assert look_into_inbox(folders, settle_s=0.05).ready == (path,)


def test_with_done_files_a_sheet_waits_for_its_own(folders, drop) -> None:
    first, _ = drop("a.png", b"a"), drop("b.png", b"b")
    drop("a.png.done", b"")
    inbox = look_into_inbox(folders, settle_s=0, done_suffix=".done")
    assert inbox.ready == (first,)
    assert [(left.path.name, left.cure) for left in inbox.left] == [("b.png", None)]
    assert "b.png.done" in inbox.left[0].cause
