"""Killed at every change that force-archive, its undo, retry and the audit's repair make on disk.

Each way is cut off at its first rename, link, removal or sync, then at its second, and so on until
it runs through. After each the sheet must be whole in one of the four folders; after the next start
in exactly one; and after the same command once more in the right one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import pytest

from sheetflow.audit.report import Unknown
from sheetflow.audit.run import audit
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced_steps import settle_forced, tell_untold
from sheetflow.custody.forcing import force_archive, sheet_to_force, sheet_to_undo, undo_force
from sheetflow.custody.journal import load_entry
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.reconciling import reconcile
from sheetflow.custody.results import load_result, save_result
from sheetflow.custody.retrying import retry_sheet, select_for_retry
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import UnreadableImage
from sheetflow.reading import Pair, SheetReading
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import open_store
from sheetflow.store.ledger import write_entry
from sheetflow.vision.crops import Crop

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
CHANGES = ("link", "rename", "replace", "unlink", "fsync", "rmdir")


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def killed_at(monkeypatch):
    """Run something and end it at its n-th change of the disk; tell whether it came that far."""

    def run(number: int, way: Callable[[], object]) -> bool:
        count = itertools.count()
        with monkeypatch.context() as patched:
            for name in CHANGES:
                patched.setattr(os, name, _deadly(getattr(os, name), count, number))
            try:
                way()
            except Killed:
                return True
        return False

    return run


def _deadly(change, count, number):
    def deadly(*arguments, **options):
        if next(count) == number:
            raise Killed
        return change(*arguments, **options)

    return deadly


@pytest.fixture
def staged(folders: Folders, store):
    def make(name: str) -> Sheet:
        path = folders.inbox / name
        path.write_bytes(name.encode())
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(name.encode()), path))
        crop = Crop(b"one", "image/jpeg", digest_bytes(b"one"), (9, 9))
        reading = SheetReading((9, 9), (Pair(name, "EAN-13", 0, 0, SQUARE, SQUARE, 1.0),))
        save_result(folders, sheet, reading, [crop])
        write_entry(store, adopt_staged(folders, sheet))
        return sheet

    return make


def places(folders: Folders, sha256: str) -> list[str]:
    """Every folder in which the sheet's bytes are whole, by looking at all files."""
    return [
        place.name
        for place in (folders.inbox, folders.staging, folders.archive, folders.quarantine)
        for path in place.iterdir()
        if digest_bytes(path.read_bytes()) == sha256
    ]


def start(folders: Folders, store) -> None:
    """What the start of a run does."""
    reconcile(folders)
    settle_forced(folders)
    tell_untold(folders, lambda: store)


def try_every_kill(folders, store, killed_at, *, sheet_for, way, home: str) -> int:
    """Kill a way at each of its changes; return how many there were."""
    cut_off, number = True, -1
    while cut_off:
        number += 1
        sha256: str = sheet_for(f"{number}.png")
        cut_off = killed_at(number, lambda sha256=sha256: way(sha256))
        assert places(folders, sha256), f"lost at change {number}"
        start(folders, store)
        assert len(places(folders, sha256)) == 1, f"in two places after change {number}"
        if places(folders, sha256) != [home]:
            way(sha256)
        assert places(folders, sha256) == [home], f"astray after change {number}"
    return number


def test_force_archive_killed_at_every_change(folders, store, staged, killed_at, database) -> None:
    def force(sha256: str) -> None:
        found = sheet_to_force(folders, sha256)
        force_archive(folders, found, reason="in a hurry", confirmed=True, store=store)

    changes = try_every_kill(
        folders,
        store,
        killed_at,
        sheet_for=lambda name: staged(name).sha256,
        way=force,
        home="images_old",
    )
    assert changes > 8
    assert database.sheets.count_documents(
        {"state": "archived", "forced.reason": "in a hurry"}
    ) == (changes + 1)
    assert list(folders.work.iterdir()) == []


def test_its_undo_killed_at_every_change(folders, store, staged, killed_at, database) -> None:
    def forced(name: str) -> str:
        sheet = staged(name)
        found = sheet_to_force(folders, sheet.sha256)
        force_archive(folders, found, reason="in a hurry", confirmed=True, store=store)
        return sheet.sha256

    def undo(sha256: str) -> None:
        undo_force(folders, sheet_to_undo(folders, sha256), reason="no hurry", store=store)

    changes = try_every_kill(
        folders, store, killed_at, sheet_for=forced, way=undo, home="images_sources"
    )
    assert changes > 8
    assert database.sheets.count_documents({"state": "staged", "forced": None}) == changes + 1
    for path in folders.staging.iterdir():
        sheet = Sheet(path.name, digest_bytes(path.read_bytes()), path)
        assert load_result(folders, sheet) is not None
        assert load_entry(folders, sheet.sha256).state is State.STAGED
    assert list((folders.state / "forced").iterdir()) == []


def test_retry_of_a_rejected_sheet_killed_at_every_change(
    folders, store, staged, killed_at
) -> None:
    def rejected(name: str) -> str:
        sheet = staged(name)
        quarantine_sheet(folders, sheet, UnreadableImage("it is text", cure="Scan it"))
        return sheet.sha256

    def retry(sha256: str) -> None:
        for found in select_for_retry(folders, [sha256]):
            retry_sheet(folders, found)

    changes = try_every_kill(
        folders, store, killed_at, sheet_for=rejected, way=retry, home="source"
    )
    assert changes > 4


def test_sending_a_sheet_back_killed_at_every_change(
    folders, store, killed_at, database, settings
) -> None:
    def foreign(name: str) -> str:
        (folders.archive / name).write_bytes(name.encode())
        return digest_bytes(name.encode())

    def repair(_sha256: str) -> None:
        assert audit(settings, repair=True, unknown=Unknown.RESTAGE).problems == []

    changes = try_every_kill(
        folders, store, killed_at, sheet_for=foreign, way=repair, home="images_sources"
    )
    assert changes > 4
    assert database.sheets.count_documents({"state": "staged"}) == changes + 1
