"""Steps that the system refused in their midst, and that are tried again in the same run."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from sheetflow.custody import journal, staging
from sheetflow.custody.archive import archive_duplicate, plan_duplicate
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import forget_sheet, load_entry, save_entry
from sheetflow.custody.leases import remove_claim
from sheetflow.custody.staging import stage_sheet
from sheetflow.custody.transfers import move_file
from sheetflow.errors import CustodyError, FolderUnavailable
from sheetflow.isolation import IsolatedWorkers
from sheetflow.pages import ProcessingLimits
from sheetflow.processing import process_sheet
from sheetflow.sheets import State
from sheetflow.vision.recognition import RecognitionSettings
from tests.sheetflow.custody.test_staging import sheet_at


def full(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_staging_whose_journal_was_refused_behind_the_move_is_finished(
    folders: Folders, drop, monkeypatch
) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))
    written = []

    def refused_later(folders: Folders, entry: journal.Entry) -> None:
        written.append(entry.state)
        if len(written) == 2:
            raise FolderUnavailable("the disk is full", cure="Free some disk space")
        save_entry(folders, entry)

    monkeypatch.setattr(staging, "save_entry", refused_later)
    with pytest.raises(FolderUnavailable):
        stage_sheet(folders, sheet)
    assert stage_sheet(folders, sheet).path == folders.staging / "mugs.png"
    assert load_entry(folders, sheet.sha256).state is State.STAGED


def test_a_sheet_that_is_gone_is_not_taken_for_staged(folders: Folders, drop) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))
    stage_sheet(folders, sheet)
    (folders.staging / "mugs.png").unlink()
    with pytest.raises(CustodyError, match="neither"):
        stage_sheet(folders, sheet)


def test_a_duplicate_that_moved_and_could_not_be_cleared_is_finished(
    folders: Folders, drop, monkeypatch
) -> None:
    again = sheet_at(drop("again.png", b"one"))
    plan = plan_duplicate(folders, again)
    with monkeypatch.context() as refusing:
        refusing.setattr(Path, "rename", full)
        with pytest.raises(FolderUnavailable):
            archive_duplicate(folders, again)
    assert archive_duplicate(folders, again).name == plan.archived_name
    assert [path.name for path in folders.archive.iterdir()] == ["again.png"]


def test_a_journal_that_cannot_be_made_is_told_with_its_cure(folders: Folders, monkeypatch) -> None:
    monkeypatch.setattr(Path, "mkdir", full)
    entry = journal.Entry("0" * 64, "mugs.png", State.WAITING, "mugs.png")
    with pytest.raises(FolderUnavailable, match="Free some disk space"):
        save_entry(folders, entry)


def test_a_claim_that_cannot_be_removed_is_no_failure(folders: Folders, drop, monkeypatch) -> None:
    path = drop("mugs.png", b"one")
    monkeypatch.setattr(Path, "unlink", full)
    remove_claim(folders, digest_bytes(b"one"))
    monkeypatch.undo()
    with claimed_sheet(folders, path):
        pass


def test_forgetting_is_all_or_nothing(folders: Folders, drop, monkeypatch) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))
    stage_sheet(folders, sheet)
    (journal.work_folder(folders, sheet.sha256) / "result").mkdir()
    with monkeypatch.context() as refusing:
        refusing.setattr(Path, "rename", full)
        with pytest.raises(FolderUnavailable):
            forget_sheet(folders, sheet.sha256)
    assert load_entry(folders, sheet.sha256) is not None
    forget_sheet(folders, sheet.sha256)
    assert list(folders.work.iterdir()) == []


@pytest.mark.parametrize("place", ["staging", "inbox"])
def test_a_folder_that_is_gone_is_told_as_such(folders: Folders, drop, place: str) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))
    folder = getattr(folders, place)
    away = folder.rename(folder.with_name("away"))
    with pytest.raises(FolderUnavailable, match=f"{folder} is gone"):
        move_file(sheet.path, folders.staging / "mugs.png", sha256=sheet.sha256)
    assert (away if place == "inbox" else folders.inbox).joinpath("mugs.png").exists()


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_a_staged_sheet_that_is_gone_before_it_is_read_is_told_as_such(
    folders: Folders, drop, gone: str
) -> None:
    sheet = stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))
    (sheet.path if gone == "file" else folders.staging).rename(folders.inbox / "away")
    told = "mugs.png: the file was taken away" if gone == "file" else f"{folders.staging} is gone"
    limits = ProcessingLimits(max_pixels=10**6, max_file_bytes=10**6, max_symbols=50)
    with (
        IsolatedWorkers(1, timeout_s=60, preload="sheetflow.pages") as workers,
        pytest.raises((CustodyError, FolderUnavailable), match=told),
    ):
        process_sheet(
            folders, sheet, workers=workers, recognition=RecognitionSettings(), limits=limits
        )


def test_a_file_taken_away_in_the_midst_of_a_move_is_told_as_such(
    folders: Folders, drop, monkeypatch
) -> None:
    sheet = sheet_at(drop("mugs.png", b"one"))

    def taken_away(*_arguments: object, **_options: object) -> None:
        sheet.path.unlink()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "link", taken_away)
    with pytest.raises(CustodyError, match="taken away"):
        move_file(sheet.path, folders.staging / "mugs.png", sha256=sheet.sha256)
