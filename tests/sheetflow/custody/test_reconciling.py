"""What a killed run leaves, one leftover a test: finished or cleared, and nothing else touched."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sheetflow.custody.archive import archive_duplicate, archive_sheet, plan_duplicate
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry, save_entry, work_folder
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.reconciling import reconcile
from sheetflow.custody.staging import adopt_staged, stage_sheet, staged_twin
from sheetflow.errors import UnreadableImage
from sheetflow.sheets import Sheet, State
from tests.sheetflow.custody.test_archive import receipt_for
from tests.sheetflow.custody.test_staging import sheet_at

SHA = digest_bytes(b"one")


@pytest.fixture
def staged(folders: Folders, drop) -> Sheet:
    return stage_sheet(folders, sheet_at(drop("mugs.png", b"one")))


def everything(folders: Folders) -> dict[str, bytes]:
    places = (folders.inbox, folders.staging, folders.archive, folders.quarantine)
    return {
        f"{place.name}/{path.name}": path.read_bytes()
        for place in places
        for path in place.iterdir()
    }


def test_nothing_to_reconcile_changes_nothing(folders: Folders, staged: Sheet, drop) -> None:
    drop("other.png", b"two")
    before = everything(folders)
    assert reconcile(folders) == []
    assert everything(folders) == before
    assert load_entry(folders, SHA) is not None


def test_a_move_into_staging_that_left_its_source_is_finished(
    folders: Folders, staged: Sheet
) -> None:
    os.link(staged.path, folders.inbox / "mugs.png")
    assert len(reconcile(folders)) == 1
    assert everything(folders) == {"images_sources/mugs.png": b"one"}
    assert reconcile(folders) == []


def test_a_second_drop_of_the_same_bytes_is_no_leftover(
    folders: Folders, staged: Sheet, drop
) -> None:
    drop("mugs.png", b"one")
    assert reconcile(folders) == []
    assert sorted(everything(folders)) == ["images_sources/mugs.png", "source/mugs.png"]


def test_an_archived_copy_whose_source_still_stands_is_finished(
    folders: Folders, staged: Sheet
) -> None:
    adopt_staged(folders, staged)
    entry = load_entry(folders, SHA)
    archived = archive_sheet(folders, staged, receipt_for(staged))
    save_entry(folders, replace(entry, archived_name="mugs.png"))  # killed behind the copy
    shutil.copyfile(archived, staged.path)
    assert len(reconcile(folders)) == 1
    assert everything(folders) == {"images_old/mugs.png": b"one"}


def test_a_copy_with_other_bytes_is_never_taken_for_the_sheet(
    folders: Folders, staged: Sheet
) -> None:
    save_entry(folders, replace(load_entry(folders, SHA), archived_name="mugs.png"))
    (folders.archive / "mugs.png").write_bytes(b"another sheet of that name")
    assert reconcile(folders) == []
    assert staged.path.read_bytes() == b"one"


def test_half_copies_are_removed(folders: Folders, staged: Sheet) -> None:
    for folder in (folders.staging, folders.archive, folders.quarantine):
        (folder / f".{SHA}.sheetflow.part").write_bytes(b"on")
    (folders.quarantine / f".{SHA}.17.140.sheetflow.part").write_bytes(b"{")
    assert len(reconcile(folders)) == 4
    assert everything(folders) == {"images_sources/mugs.png": b"one"}


def test_a_half_copy_of_a_sheet_in_work_is_left_to_its_owner(
    folders: Folders, staged: Sheet
) -> None:
    part = folders.archive / f".{SHA}.sheetflow.part"
    with claimed_sheet(folders, staged.path):
        part.write_bytes(b"on")
        assert reconcile(folders) == []
    assert part.exists()


def test_a_copy_into_the_inbox_has_an_hour(folders: Folders) -> None:
    part = folders.inbox / f".{SHA}.sheetflow.part"
    part.write_bytes(b"on")
    assert reconcile(folders) == []
    os.utime(part, (0, 0))
    assert len(reconcile(folders)) == 1
    assert not part.exists()


@pytest.mark.parametrize("name", [".fuse_hidden0000005800000004", ".nfs000000000012ab"])
def test_what_a_dead_machines_mount_kept_of_a_claim_goes_after_an_hour(
    folders: Folders, name: str
) -> None:
    kept = folders.claims / name
    kept.write_bytes(b"{}")
    assert reconcile(folders) == []
    os.utime(kept, (0, 0))
    assert len(reconcile(folders)) == 1
    assert not kept.exists()


def test_other_peoples_hidden_files_are_left_alone(folders: Folders) -> None:
    names = [".DS_Store", ".mugs.png.part", f".{SHA}", "mugs.sheetflow.part"]
    for place in (folders.inbox, folders.staging, folders.archive, folders.quarantine):
        for name in names:
            (place / name).write_bytes(b"theirs")
            os.utime(place / name, (0, 0))
    before = everything(folders)
    assert reconcile(folders) == []
    assert everything(folders) == before


def test_half_removed_work_products_go(folders: Folders) -> None:
    gone = folders.work / f".{SHA}.gone"
    (gone / "result").mkdir(parents=True)
    (gone / "sheet.json").write_text("{}")
    assert len(reconcile(folders)) == 1
    assert list(folders.work.iterdir()) == []
    assert list(folders.claims.iterdir()) == []


def test_work_products_without_an_entry_go(folders: Folders) -> None:
    (work_folder(folders, SHA) / "result").mkdir(parents=True)
    assert len(reconcile(folders)) == 1
    assert list(folders.work.iterdir()) == []


def test_claims_of_sheets_that_are_done_go(folders: Folders) -> None:
    (folders.claims / f"{SHA}.lock").touch()
    reconcile(folders)
    assert list(folders.claims.iterdir()) == []


def test_a_sheet_taken_back_from_the_inbox_is_forgotten(folders: Folders, staged: Sheet) -> None:
    save_entry(folders, replace(load_entry(folders, SHA), state=State.WAITING))
    staged.path.unlink()
    assert len(reconcile(folders)) == 1
    assert load_entry(folders, SHA) is None


def test_a_staged_sheet_that_is_nowhere_keeps_its_entry(folders: Folders, staged: Sheet) -> None:
    staged.path.unlink()  # or its disk is not mounted: the two look the same
    assert reconcile(folders) == []
    assert load_entry(folders, SHA) is not None


def test_a_duplicate_killed_between_copy_and_removal_is_archived_once(
    folders: Folders, drop
) -> None:
    (folders.archive / "mugs.png").write_bytes(b"one")
    again = sheet_at(drop("mugs.png", b"one"))
    plan = plan_duplicate(folders, again)
    shutil.copyfile(again.path, folders.archive / plan.archived_name)
    assert archive_duplicate(folders, again).name == plan.archived_name
    assert everything(folders) == {"images_old/mugs.png": b"one", "images_old/mugs~2.png": b"one"}
    assert list(folders.work.iterdir()) == []


def test_a_duplicate_whose_ledger_was_told_is_cleared(folders: Folders, drop) -> None:
    again = sheet_at(drop("again.png", b"one"))
    plan = plan_duplicate(folders, again)
    again.path.rename(folders.archive / plan.archived_name)
    assert len(reconcile(folders)) == 1
    assert list(folders.work.iterdir()) == []


@pytest.mark.parametrize("linked", [True, False])
def test_quarantine_killed_between_copy_and_removal_keeps_one_copy(
    folders: Folders, staged: Sheet, linked: bool
) -> None:
    adopt_staged(folders, staged)
    entry = load_entry(folders, SHA)
    target = quarantine_sheet(folders, staged, UnreadableImage("it is text", cure="Scan it"))
    save_entry(folders, replace(entry, quarantined_name=target.name))
    (os.link if linked else shutil.copyfile)(target, staged.path)
    error = UnreadableImage("it is text", cure="Scan it")
    assert quarantine_sheet(folders, staged, error) == target
    assert sorted(everything(folders)) == [
        "images_rejected/mugs.png",
        "images_rejected/mugs.png.json",
    ]


def test_an_archived_name_that_another_sheet_took_is_chosen_anew(
    folders: Folders, staged: Sheet
) -> None:
    adopt_staged(folders, staged)
    save_entry(folders, replace(load_entry(folders, SHA), archived_name="mugs.png"))
    (folders.archive / "mugs.png").write_bytes(b"another sheet, quicker")
    archived = archive_sheet(folders, staged, receipt_for(staged))
    assert archived.name == f"mugs~{SHA[:8]}.png"
    assert (folders.archive / "mugs.png").read_bytes() == b"another sheet, quicker"


def test_a_long_name_in_many_bytes_can_be_written(tmp_path: Path) -> None:
    from sheetflow.custody.files import write_file

    path = tmp_path / ("\U0001f5bc" * 60 + ".json")
    write_file(path, b"{}")
    assert path.read_bytes() == b"{}"


def test_of_two_equal_files_the_second_knows_that_the_first_is_in_work(
    folders: Folders, staged: Sheet, drop
) -> None:
    assert staged_twin(folders, sheet_at(drop("again.png", b"one"))) == "mugs.png"
    os.link(staged.path, folders.inbox / "mugs.png")  # what a killed move leaves is no second file
    assert staged_twin(folders, sheet_at(folders.inbox / "mugs.png")) is None
