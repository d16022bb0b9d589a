from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.custody.staging import stage_sheet
from sheetflow.errors import SheetBusy
from tests.sheetflow.custody.test_staging import sheet_at


def test_a_claimed_sheet_is_nobody_elses(folders: Folders, drop) -> None:
    path = drop("mugs.png", b"one")
    twin = drop("twin.png", b"one")
    with claimed_sheet(folders, path):
        for other in (path, twin):
            with pytest.raises(SheetBusy), claimed_sheet(folders, other):
                pass
    with claimed_sheet(folders, path) as sheet:
        assert sheet.sha256 == digest_bytes(b"one")
    assert list(folders.claims.iterdir()) == []


@contextmanager
def another_process_that_owns(folders: Folders, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process claim a sheet; at the end it is killed."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from sheetflow.custody.claims import claimed_sheet\n"
        "from sheetflow.settings import load_settings\n"
        "with claimed_sheet(load_settings(root=Path(sys.argv[1])).folders, Path(sys.argv[2])):\n"
        "    print('mine', flush=True); sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script, folders.state.parent, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert owner.stdout.readline() == "mine\n"
        yield owner
    finally:
        owner.kill()
        owner.communicate()


def test_a_killed_owners_claim_ends_with_it(folders: Folders, drop) -> None:
    path = drop("mugs.png", b"one")
    with (
        another_process_that_owns(folders, path),
        pytest.raises(SheetBusy),
        claimed_sheet(folders, path),
    ):
        pass
    with claimed_sheet(folders, path):
        pass


def test_that_a_sheet_was_taken_over_is_in_its_history(folders: Folders, drop) -> None:
    sheet = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    with another_process_that_owns(folders, sheet.path) as owner:
        pass
    for _ in range(2):
        with claimed_sheet(folders, sheet.path):
            pass
    told = [event for event in load_entry(folders, sheet.sha256).history if event.note]
    assert [event.state for event in told] == ["taken over"]
    assert f"process {owner.pid}," in told[0].note


def test_a_sheet_that_was_finished_meanwhile_leaves_no_claim(
    folders: Folders, drop, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop("mugs.png", b"one")

    def digest_and_lose(path: Path) -> str:
        digest = digest_bytes(path.read_bytes())
        path.unlink()  # the other run archives it between our hashing and our claim
        return digest

    monkeypatch.setattr("sheetflow.custody.claims.digest_file", digest_and_lose)
    with pytest.raises(FileNotFoundError), claimed_sheet(folders, path):
        pass
    assert list(folders.claims.iterdir()) == []
