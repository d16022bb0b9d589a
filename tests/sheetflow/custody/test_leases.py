"""One owner at a time: on one machine by the kernel's lock, between machines by the lease alone."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sheetflow.custody import lease_files, leases
from sheetflow.custody.archive import archive_sheet
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.custody.leases import LeaseLost, check_lease, owned
from sheetflow.custody.staging import stage_sheet
from sheetflow.errors import SheetBusy
from sheetflow.sheets import Sheet

SHA = digest_bytes(b"one")

# Another machine, as far as files can tell: another boot id, and no locks on the mount.
WORKER = """
import errno, sys, time
from pathlib import Path
from sheetflow.custody import lease_files
from sheetflow.settings import load_settings
from sheetflow.custody.leases import owned, check_lease
root, sha256, lease_s, apart = sys.argv[1:5]
if apart == "apart":
    lease_files.boot_id = lambda: "machine-b"
    def no_locks(descriptor):
        raise OSError(errno.ENOLCK, "No locks available")
    lease_files.flock = no_locks
folders = load_settings(root=Path(root)).folders
with owned(folders, sha256, lease_s=float(lease_s)):
    print("mine", flush=True)
    for line in sys.stdin:
        try:
            check_lease(folders, sha256)
            print("still mine", flush=True)
        except Exception as error:
            print(type(error).__name__, flush=True)
"""


@pytest.fixture
def worker(folders: Folders) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a process that owns the sheet, and answers each line with whether it still does."""
    started: list[subprocess.Popen[str]] = []

    def start(*, lease_s: float, apart: bool) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", WORKER, str(folders.state.parent), SHA, str(lease_s)),
                "apart" if apart else "here",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "mine\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def asked(process: subprocess.Popen[str]) -> str:
    process.stdin.write("still?\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.fixture
def mount_without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(_descriptor: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lease_files, "flock", no_locks)


@contextmanager
def stopped(process: subprocess.Popen[str]) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


def test_a_living_owner_on_another_machine_is_never_taken_over(
    folders: Folders, worker, mount_without_locks
) -> None:
    other = worker(lease_s=1, apart=True)
    for _ in range(6):  # three times as long as its lease: the heartbeat keeps it
        with pytest.raises(SheetBusy, match="process"), owned(folders, SHA):
            pass
        time.sleep(0.5)
    assert asked(other) == "still mine"


def test_a_dead_owner_on_another_machine_is_taken_over_after_its_lease(
    folders: Folders, worker, mount_without_locks
) -> None:
    worker(lease_s=1.5, apart=True).kill()
    with pytest.raises(SheetBusy), owned(folders, SHA):
        pass
    time.sleep(1.7)
    with owned(folders, SHA):
        check_lease(folders, SHA)


def test_a_dead_owner_on_this_machine_is_taken_over_at_once(folders: Folders, worker) -> None:
    other = worker(lease_s=600, apart=False)
    with pytest.raises(SheetBusy), owned(folders, SHA):
        pass
    other.kill()
    other.wait()
    with owned(folders, SHA):
        check_lease(folders, SHA)


def test_a_stopped_owner_finds_out_that_it_was_taken_over(
    folders: Folders, worker, mount_without_locks
) -> None:
    other = worker(lease_s=1, apart=True)
    with stopped(other):
        time.sleep(1.3)
        with owned(folders, SHA):
            pass
    assert asked(other) == "LeaseLost"
    with owned(folders, SHA):
        assert asked(other) == "LeaseLost"
        check_lease(folders, SHA)  # its late heartbeat has not touched our lease


def test_an_owner_stopped_past_its_lease_stops_though_nobody_came(folders: Folders, worker) -> None:
    other = worker(lease_s=1, apart=False)
    with stopped(other):
        time.sleep(1.3)
    assert asked(other) == "LeaseLost"


def test_a_lock_holds_a_stopped_owners_sheet_on_one_machine(folders: Folders, worker) -> None:
    other = worker(lease_s=1, apart=False)
    with stopped(other):
        time.sleep(1.3)
        with pytest.raises(SheetBusy), owned(folders, SHA):
            pass


def no_links(source: Path, *_: object, **__: object) -> None:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM), source)


@pytest.mark.parametrize("links", [True, False])
def test_of_two_that_take_over_at_once_one_is_refused(
    folders: Folders, mount_without_locks, monkeypatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    with owned(folders, SHA, lease_s=1) as late:
        old = time.time() - 10
        os.utime(late.descriptor, (old, old))
        real, second = Path.rename, []

        def overtaken(path: Path, target: Path) -> Path:
            if path.suffix == ".lease" and not second:
                # In between, another machine moves the old lease aside and takes its place.
                second.append(1)
                path.unlink()
                other = lease_files.Owner("b", "machine-b", 1, 0.0, 60.0, "token-b")
                path.write_text(json.dumps(lease_files.asdict(other)))
            return real(path, target)

        monkeypatch.setattr(Path, "rename", overtaken)
        with pytest.raises(SheetBusy), owned(folders, SHA):
            pass
        assert json.loads((folders.claims / f"{SHA}.lease").read_text())["token"] == "token-b"


def test_a_lease_runs_out_on_a_mount_without_links(
    folders: Folders, mount_without_locks, monkeypatch
) -> None:
    monkeypatch.setattr(os, "link", no_links)
    lease = folders.claims / f"{SHA}.lease"
    dead = lease_files.Owner("a", "machine-a", 1, 0.0, 60.0, "token-a")
    lease.write_text(json.dumps(lease_files.asdict(dead)))
    with pytest.raises(SheetBusy), owned(folders, SHA):
        pass
    os.utime(lease, (0, 0))
    with owned(folders, SHA):
        check_lease(folders, SHA)


def test_a_torn_lease_runs_out_like_any_other(folders: Folders, mount_without_locks) -> None:
    lease = folders.claims / f"{SHA}.lease"
    lease.write_bytes(b'{"host": "a')
    with pytest.raises(SheetBusy), owned(folders, SHA):
        pass
    os.utime(lease, (0, 0))
    with owned(folders, SHA):
        check_lease(folders, SHA)


def test_a_worker_that_lost_its_lease_moves_nothing(folders: Folders, drop, monkeypatch) -> None:
    path = drop("mugs.png", b"one")
    with claimed_sheet(folders, path, lease_s=1) as sheet:
        monkeypatch.setattr(leases, "_clock_s", lambda: time.monotonic() + 10**6)
        with pytest.raises(LeaseLost, match="held up"):
            stage_sheet(folders, sheet)
    assert path.read_bytes() == b"one"
    assert load_entry(folders, SHA) is None


def test_the_fence_stands_inside_archive(folders: Folders, drop, monkeypatch) -> None:
    from tests.sheetflow.custody.test_archive import receipt_for

    staged = stage_sheet(folders, Sheet("mugs.png", SHA, drop("mugs.png", b"one")))
    with claimed_sheet(folders, staged.path) as sheet:
        (folders.claims / f"{SHA}.lease").rename(folders.claims / "taken-away")
        with pytest.raises(LeaseLost):
            archive_sheet(folders, sheet, receipt_for(sheet))
    assert staged.path.exists()
    assert list(folders.archive.iterdir()) == []


def test_a_claim_that_the_mount_believes_in_and_its_server_has_not_is_anothers(
    folders: Folders,
) -> None:
    # A link that leads nowhere is opened as such a file is: it is there, and cannot be made.
    lock = folders.claims / f"{SHA}.lock"
    lock.symlink_to(folders.claims / "nowhere" / "file")
    with pytest.raises(SheetBusy), owned(folders, SHA):
        pass


def test_claims_leave_nothing_behind(folders: Folders, drop) -> None:
    with claimed_sheet(folders, drop("mugs.png", b"one")):
        pass
    assert list(folders.claims.iterdir()) == []


def test_many_processes_own_a_sheet_one_after_the_other(folders: Folders, tmp_path: Path) -> None:
    script = """
import errno, os, sys, time, contextlib
from pathlib import Path
from sheetflow.custody import lease_files
from sheetflow.errors import SheetBusy
from sheetflow.custody.leases import owned
from sheetflow.settings import load_settings
folders, inside = load_settings(root=Path(sys.argv[1])).folders, Path(sys.argv[2])
lease_files.boot_id = lambda: f"machine-{os.getpid()}"
def no_locks(descriptor):
    raise OSError(errno.ENOLCK, "No locks available")
lease_files.flock = no_locks
turns = 0
while turns < 15:
    with contextlib.suppress(SheetBusy):
        with owned(folders, "0" * 64):
            inside.mkdir()  # fails if another is inside
            time.sleep(0.001)
            inside.rmdir()
            turns += 1
    time.sleep(0.002)
"""
    arguments = [sys.executable, "-c", script, str(folders.state.parent), str(tmp_path / "inside")]
    crowd = [subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    told = [process.communicate(timeout=60) for process in crowd]
    assert [process.returncode for process in crowd] == [0] * 4, told
