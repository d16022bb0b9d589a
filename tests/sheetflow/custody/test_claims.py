from __future__ import annotations

import subprocess
import sys

import pytest

from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.errors import (
    SheetBusy,
)


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


def test_a_killed_owners_claim_ends_with_it(folders: Folders, drop) -> None:
    path = drop("mugs.png", b"one")
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
        with pytest.raises(SheetBusy), claimed_sheet(folders, path):
            pass
    finally:
        owner.kill()
        owner.communicate()
    with claimed_sheet(folders, path):
        pass
