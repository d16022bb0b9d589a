"""One fault a test, made for real in the folders or in MongoDB: found, mended, and clean again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from bson import Binary, ObjectId

from sheetflow import records
from sheetflow.archiving import archive_twin, close_sheet
from sheetflow.audit.mends import tell_ledger
from sheetflow.audit.report import Report, Unknown
from sheetflow.audit.run import audit
from sheetflow.audit.sampling import Sample
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.forcing import force_archive, sheet_to_force, sheet_to_undo, undo_force
from sheetflow.custody.journal import forget_sheet, load_entry, save_entry, work_folder
from sheetflow.custody.quarantine import quarantine_sheet, reason_file
from sheetflow.custody.results import save_result
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import UnreadableImage, UsageError
from sheetflow.reading import Pair, SheetReading
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import Sheet, State
from sheetflow.store.connection import open_store
from sheetflow.store.ledger import archived_twin, write_entry
from sheetflow.uploading import store_pairs
from sheetflow.vision.crops import Crop

SQUARE = ((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0))
PICTURES = {"A": b"picture one", "B": b"picture two"}


@pytest.fixture
def store(settings):
    with open_store(settings) as opened:
        yield opened


@pytest.fixture
def staged(folders, drop, store):
    def make(name: str, data: bytes) -> Sheet:
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(data), drop(name, data)))
        write_entry(store, adopt_staged(folders, sheet))
        return sheet

    return make


@pytest.fixture
def uploaded(folders, store):
    """Process and upload a staged sheet, as a run does."""

    def go(sheet: Sheet, pictures: dict[str, bytes] = PICTURES) -> UploadReceipt:
        pairs = tuple(Pair(c, "EAN-13", 0, i, SQUARE, SQUARE, 1.0) for i, c in enumerate(pictures))
        crops = [Crop(data, "image/jpeg", digest_bytes(data), (9, 9)) for data in pictures.values()]
        processed = save_result(folders, sheet, SheetReading((99, 99), pairs), crops)
        adopt_staged(folders, sheet)
        return store_pairs(folders, store, processed, pairs)

    return go


@pytest.fixture
def finish(folders, store, uploaded):
    """Process, upload and archive a staged sheet, as a run does."""

    def go(sheet: Sheet, pictures: dict[str, bytes] = PICTURES) -> Path:
        return close_sheet(folders, store, sheet, uploaded(sheet, pictures))

    return go


@pytest.fixture
def archived(staged, finish):
    def make(name: str, data: bytes, pictures: dict[str, bytes] = PICTURES) -> Path:
        return finish(staged(name, data), pictures)

    return make


@pytest.fixture
def mugs(archived) -> Path:
    return archived("mugs.png", b"mugs")


@pytest.fixture
def found(settings) -> Callable[..., dict[str, str]]:
    """Audit; return the problems, the sheet by the kind. Each has a detail and a cure."""

    def look(**options) -> dict[str, str]:
        report = audit(settings, **options)
        for problem in report.to_json()["problems"]:
            assert set(problem) == {"kind", "sheet", "detail", "cure"}
            assert all(problem.values())
        assert report.ok == (not report.problems)
        return {problem.kind: problem.sheet for problem in report.problems}

    return look


@pytest.fixture
def mended(settings, found) -> Callable[..., dict[str, str]]:
    """Repair; return what was done, by kind; and see that a second audit finds nothing."""

    def mend(**options) -> dict[str, str]:
        report = audit(settings, repair=True, **options)
        assert report.problems == []
        assert found() == {}
        return {repair.kind: repair.what for repair in report.repaired}

    return mend


def staged_again(folders, name: str = "mugs.png") -> Sheet:
    path = folders.staging / name
    return Sheet(name, digest_bytes(path.read_bytes()), path)


def make_old(*paths: Path) -> None:
    for path in paths:
        os.utime(path, (time.time() - 90_000,) * 2, follow_symlinks=False)


def test_a_sound_store_is_found_sound_and_everything_is_counted(settings, mugs, archived) -> None:
    archived("cups.png", b"cups", {"B": b"another picture", "C": b"picture three"})
    report = audit(settings)
    assert report.ok, report.problems
    checked = report.checked
    assert (checked["archived_files"], checked["archived_files_hashed"]) == (2, 2)
    assert (checked["ledger_entries"], checked["proven_sheets"]) == (2, 2)
    assert (checked["receipt_lines"], checked["records"], checked["revisions"]) == (4, 3, 1)
    assert set(report.to_json()) == {"ok", "checked", "problems"}


def test_an_empty_root_is_sound(found) -> None:
    assert found() == {}


def test_a_deleted_record_sends_its_sheet_back_to_be_uploaded_again(
    folders, mugs, database, found, mended, finish
) -> None:
    database.codes_images.delete_one({"code": "A"})
    assert found() == {"missing_pairs": "mugs.png"}
    assert "went back to staging" in mended()["missing_pairs"]
    assert staged_again(folders).path.read_bytes() == b"mugs"
    assert list(folders.archive.iterdir()) == []
    document = database.sheets.find_one()
    assert (document["state"], "receipt" in document) == ("staged", False)
    assert "sent back to staging by an audit" in document["history"][-1]["note"]
    finish(staged_again(folders))
    assert database.codes_images.count_documents({}) == 2
    assert found() == {}


def test_a_flipped_byte_in_a_record_is_replaced_by_the_next_upload(
    folders, mugs, database, found, mended, finish
) -> None:
    database.codes_images.update_one({"code": "A"}, {"$set": {"image_bytes": b"picture onf"}})
    assert found() == {"spoiled_pairs": "mugs.png"}
    mended()
    finish(staged_again(folders))
    assert database.codes_images.find_one({"code": "A"})["image_bytes"] == b"picture one"
    assert database.codes_images_revisions.find_one()["image_bytes"] == b"picture onf"
    assert found() == {}


def test_a_flipped_byte_in_an_archived_file_is_told_and_cannot_be_mended(
    settings, mugs, found
) -> None:
    mugs.write_bytes(b"mugz")
    assert found() == {"altered_file": "mugs.png"}
    assert [problem.kind for problem in audit(settings, repair=True).problems] == ["altered_file"]
    assert mugs.read_bytes() == b"mugz"


def test_an_archived_file_that_is_gone_is_told_with_its_digest(settings, mugs) -> None:
    mugs.unlink()
    (problem,) = audit(settings, repair=True).problems
    assert problem.kind == "missing_file"
    assert digest_bytes(b"mugs") in problem.cure


def test_a_lost_ledger_is_rebuilt_from_folders_and_records(
    folders, store, mugs, archived, database, found, mended
) -> None:
    archived("cups.png", b"cups", {"B": b"another picture", "C": b"picture three"})
    twin = folders.archive / "again.png"
    twin.write_bytes(b"mugs")
    before = {document["_id"]: document for document in database.sheets.find()}
    database.sheets.delete_many({})
    report = found()
    assert set(report) == {"missing_ledger_entry"}
    mended()
    for document in database.sheets.find():
        lost = before[document["_id"]]
        assert document["state"] == "archived"
        assert (document["name"]) == lost["name"]
        lines = {line["code"]: line["image_sha256"] for line in document["receipt"]["pairs"]}
        assert lines == {line["code"]: line["image_sha256"] for line in lost["receipt"]["pairs"]}
        assert document["receipt"]["rebuilt"]
        assert "rebuilt by an audit" in document["history"][0]["note"]
    (document,) = database.sheets.find({"_id": digest_bytes(b"mugs")})
    names = {document["archived_name"], *(twin["archived_name"] for twin in document["duplicates"])}
    assert names == {"mugs.png", "again.png"}
    assert archived_twin(store, digest_bytes(b"mugs")) is not None


def test_with_ledger_and_a_record_lost_the_sheet_is_sent_back(
    folders, mugs, database, found, mended
) -> None:
    database.sheets.delete_many({})
    database.codes_images.delete_one({"code": "A"})
    assert found() == {"missing_ledger_entry": "mugs.png"}
    assert "back to staging" in mended()["missing_ledger_entry"]
    assert staged_again(folders).path.exists()


def test_a_foreign_file_in_the_archive_goes_to_staging_only_if_that_was_said(
    folders, settings, mugs, mended
) -> None:
    (folders.archive / "stranger.png").write_bytes(b"stranger")
    (problem,) = audit(settings, repair=True).problems
    assert (problem.kind, problem.sheet) == ("foreign_file", "stranger.png")
    assert "--unknown restage" in problem.cure
    assert (folders.archive / "stranger.png").read_bytes() == b"stranger"
    assert "went back to staging" in mended(unknown=Unknown.RESTAGE)["foreign_file"]
    assert (folders.staging / "stranger.png").read_bytes() == b"stranger"
    assert mugs.exists()


def test_a_link_in_the_archive_is_told_and_not_followed(folders, tmp_path, settings) -> None:
    (folders.archive / "link.png").symlink_to(tmp_path / "secret")
    (problem,) = audit(settings, repair=True).problems
    assert (problem.kind, problem.sheet) == ("foreign_file", "link.png")


def test_a_file_that_was_renamed_in_the_archive_is_recorded(
    folders, mugs, database, found, mended
) -> None:
    mugs.rename(folders.archive / "cups.png")
    assert found() == {"renamed_file": "cups.png"}
    mended()
    assert database.sheets.find_one()["archived_name"] == "cups.png"


def test_a_second_file_with_the_same_bytes_is_recorded_as_a_duplicate(
    folders, mugs, database, found, mended
) -> None:
    (folders.archive / "copy.png").write_bytes(b"mugs")
    assert found() == {"unrecorded_duplicate": "copy.png"}
    mended()
    assert database.sheets.find_one()["duplicates"][0]["archived_name"] == "copy.png"


def test_a_duplicate_whose_run_was_killed_before_the_move_is_told_once(
    folders, store, mugs, drop, database, found, monkeypatch
) -> None:
    again = Sheet("again.png", digest_bytes(b"mugs"), drop("again.png", b"mugs"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sheetflow.archiving.archive_duplicate", killed)
        with pytest.raises(KeyboardInterrupt):
            archive_twin(folders, store, again, twin="mugs.png", flow_run_id="the killed one")
    archive_twin(folders, store, again, twin="mugs.png", flow_run_id="the next one")
    notes = [event["note"] or "" for event in database.sheets.find_one()["history"]]
    assert sum("the same bytes again" in note for note in notes) == 1
    assert found() == {}


def test_a_duplicate_stands_in_for_a_file_that_is_gone(
    folders, store, mugs, drop, database, found, mended
) -> None:
    again = Sheet("again.png", digest_bytes(b"mugs"), drop("again.png", b"mugs"))
    archive_twin(folders, store, again, twin="mugs.png")
    assert found() == {}
    mugs.unlink()
    assert found() == {"missing_file": "mugs.png"}
    mended()
    assert database.sheets.find_one()["archived_name"] == "again.png"


def test_an_archived_sheet_without_a_receipt_goes_back(folders, mugs, database, found, mended):
    database.sheets.update_one({}, {"$unset": {"receipt": ""}})
    assert found() == {"unproven_archive": "mugs.png"}
    mended()
    assert staged_again(folders).path.exists()


def test_a_sheet_that_was_sent_back_and_killed_before_the_move_is_found_again(
    folders, mugs, database, found, mended
) -> None:
    database.sheets.update_one({}, {"$set": {"state": "staged"}, "$unset": {"archived_name": ""}})
    assert found() == {"misplaced_file": "mugs.png"}
    mended()
    assert staged_again(folders).path.exists()


def test_a_ledger_set_back_by_an_older_backup_is_told_of_its_archived_file(
    folders, mugs, database, found, mended
) -> None:
    database.sheets.update_one({}, {"$set": {"state": "processed"}})
    assert found() == {"misplaced_file": "mugs.png"}
    mended()
    assert staged_again(folders).path.exists()


def test_a_lost_revision_is_told_and_the_later_picture_stays_on_top(
    settings, mugs, archived, database
) -> None:
    archived("cups.png", b"cups", {"A": b"a newer picture"})
    database.codes_images_revisions.delete_many({})
    (problem,) = audit(settings, repair=True).problems
    assert (problem.kind, problem.sheet) == ("lost_revision", "mugs.png")
    assert database.codes_images.find_one({"code": "A"})["image_bytes"] == b"a newer picture"
    assert mugs.exists()


def test_a_superseded_picture_is_read_back_from_the_revisions(mugs, archived, database, found):
    archived("cups.png", b"cups", {"A": b"a newer picture"})
    assert found() == {}
    database.codes_images_revisions.update_one({}, {"$set": {"image_bytes": b"rot"}})
    assert found() == {"lost_revision": "mugs.png"}


def test_a_spoiled_record_of_a_sheet_that_is_staged_again_is_set_aside(
    folders, mugs, database, found, mended, finish, drop
) -> None:
    database.codes_images.delete_one({"code": "B"})
    mended()
    database.codes_images.update_one({"code": "A"}, {"$set": {"image_bytes": b"rot"}})
    assert found() == {"spoiled_picture": "mugs.png"}
    mended()
    finish(staged_again(folders))
    assert database.codes_images.find_one({"code": "A"})["image_bytes"] == b"picture one"
    assert found() == {}


def test_documents_of_an_earlier_tool_are_left_alone(mugs, database, settings) -> None:
    database.codes_images.insert_one(
        {"code": "OLD", "image_bytes": b"old"}, bypass_document_validation=True
    )
    report = audit(settings)
    assert report.ok
    assert report.checked["records_without_digest"] == 1


@pytest.fixture
def in_gridfs(monkeypatch, archived) -> Path:
    monkeypatch.setattr(records, "MAX_INLINE_BYTES", 4)
    return archived("big.png", b"big")


def test_a_picture_that_is_gone_from_gridfs_is_stored_again(
    folders, in_gridfs, database, found, mended, finish
) -> None:
    assert found() == {}
    database["codes_images.chunks"].delete_one({"files_id": digest_bytes(b"picture one")})
    assert found() == {"spoiled_pairs": "big.png"}
    mended()
    finish(staged_again(folders, "big.png"))
    assert database["codes_images.chunks"].count_documents({}) == 2
    assert found() == {}


def test_an_orphaned_chunk_is_removed_once_it_is_a_day_old(
    in_gridfs, database, found, mended
) -> None:
    chunks = database["codes_images.chunks"]
    chunks.insert_one({"files_id": "young", "n": 0, "data": Binary(b"x")})
    assert found() == {}
    old = ObjectId.from_datetime(datetime.now(UTC) - timedelta(days=2))
    chunks.insert_one({"_id": old, "files_id": "old", "n": 0, "data": Binary(b"x")})
    assert found() == {"orphaned_chunks": "old"}
    mended()
    assert set(chunks.distinct("files_id")) == {
        "young",
        *(digest_bytes(data) for data in PICTURES.values()),
    }


def test_a_gridfs_file_that_nobody_names_is_removed(in_gridfs, store, database, found, mended):
    store.pictures.upload_from_stream_with_id("nobody", "nobody", b"whose")
    assert found() == {}
    before = datetime.now(UTC) - timedelta(days=2)
    database["codes_images.files"].update_one({"_id": "nobody"}, {"$set": {"uploadDate": before}})
    assert found() == {"orphaned_picture": "nobody"}
    mended()
    assert database["codes_images.chunks"].count_documents({"files_id": "nobody"}) == 0


def test_a_staged_sheet_without_a_journal_entry_gets_one(folders, staged, found, mended) -> None:
    sheet = staged("mugs.png", b"mugs")
    forget_sheet(folders, sheet.sha256)
    assert found() == {"missing_journal_entry": "mugs.png"}
    mended()
    assert load_entry(folders, sheet.sha256).state is State.STAGED


def test_a_staged_file_that_changed_is_told(settings, staged) -> None:
    staged("mugs.png", b"mugs").path.write_bytes(b"mugz")
    (problem,) = audit(settings, repair=True).problems
    assert problem.kind == "altered_file"


def test_a_staged_file_that_is_gone_is_told(settings, folders, staged, mugs) -> None:
    staged("cups.png", b"cups").path.unlink()
    (problem,) = audit(settings, repair=True).problems
    assert (problem.kind, problem.sheet) == ("missing_file", "cups.png")


def test_a_staged_file_that_is_gone_with_its_journal_entry_is_told(
    settings, folders, staged
) -> None:
    sheet = staged("cups.png", b"cups")
    sheet.path.unlink()
    forget_sheet(folders, sheet.sha256)
    (problem,) = audit(settings, repair=True).problems
    assert (problem.kind, problem.sheet) == ("missing_file", "cups.png")


def test_a_ledger_that_is_behind_the_journal_is_told(folders, staged, database, found, mended):
    sheet = staged("mugs.png", b"mugs")
    entry = load_entry(folders, sheet.sha256).moved_on(State.PROCESSED)
    save_entry(folders, entry)
    assert found() == {"ledger_behind": "mugs.png"}
    mended()
    assert database.sheets.find_one()["state"] == "processed"


def test_a_duplicate_on_its_way_is_no_disagreement(
    folders, drop, mugs, database, store, found
) -> None:
    before = database.sheets.find_one()
    sheet = stage_sheet(
        folders, Sheet("again.png", digest_bytes(b"mugs"), drop("again.png", b"mugs"))
    )
    assert found() == {}
    tell_ledger(folders, store, load_entry(folders, sheet.sha256))
    assert database.sheets.find_one() == before


def test_work_products_of_an_archived_sheet_are_removed(folders, mugs, found, mended) -> None:
    folder = work_folder(folders, digest_bytes(b"mugs"))
    folder.mkdir()
    (folder / "sheet.json").write_text("{}")
    make_old(folder)
    assert found() == {"orphaned_work": digest_bytes(b"mugs")}
    mended()
    assert not folder.exists()


def test_an_archived_sheet_that_the_journal_has_not_forgotten(
    folders, staged, finish, store, found, mended, monkeypatch
) -> None:
    with monkeypatch.context() as cut:
        cut.setattr("sheetflow.archiving.forget_sheet", lambda *_: None)
        finish(staged("mugs.png", b"mugs"))
    assert found() == {"orphaned_work": "mugs.png"}
    mended()
    assert list(folders.work.iterdir()) == []


@pytest.mark.parametrize("place", ["inbox", "staging", "archive", "quarantine", "claims"])
def test_an_old_half_written_file_is_removed(folders, found, mended, place) -> None:
    name = f".{digest_bytes(b'x')}.sheetflow.part"
    part = getattr(folders, place) / name
    part.write_bytes(b"half")
    assert found() == {}
    make_old(part)
    assert found() == {"part_file": name}
    mended()
    assert not part.exists()


def test_an_old_claim_of_a_sheet_that_is_gone_is_removed(folders, found, mended) -> None:
    lock = folders.claims / f"{digest_bytes(b'x')}.lock"
    lock.touch()
    make_old(lock)
    assert found() == {"orphaned_claim": digest_bytes(b"x")}
    mended()
    assert not lock.exists()


@pytest.fixture
def letter(folders, staged) -> Path:
    error = UnreadableImage("it is text", cure="Scan it")
    return quarantine_sheet(folders, staged("letter.png", b"text"), error)


def test_a_rejected_sheet_without_its_reason_gets_one(
    folders, store, letter, found, mended
) -> None:
    write_entry(store, load_entry(folders, digest_bytes(b"text")))
    assert found() == {}
    reason_file(letter).unlink()
    assert found() == {"missing_reason": "letter.png"}
    mended()
    assert "it is text" in reason_file(letter).read_text()


def test_a_reason_without_its_sheet_is_told_and_removed_once_it_is_old(
    folders, store, letter, found, mended
) -> None:
    write_entry(store, load_entry(folders, digest_bytes(b"text")))
    letter.unlink()
    make_old(reason_file(letter))
    assert found() == {"orphaned_reason": "letter.png"}
    mended()
    assert list(folders.quarantine.iterdir()) == []


def test_a_rejected_sheet_that_was_altered_is_told(folders, store, letter, found) -> None:
    write_entry(store, load_entry(folders, digest_bytes(b"text")))
    letter.write_bytes(b"other")
    assert found() == {"altered_file": "letter.png"}


def test_a_forced_sheet_is_sound_and_one_that_the_ledger_has_not_heard_of_is_told(
    folders, store, staged, database, found, mended, settings
) -> None:
    staged("mugs.png", b"mugs")
    found_sheet = sheet_to_force(folders, None)
    force_archive(folders, found_sheet, reason="in a hurry", confirmed=True, store=None)
    assert found() == {"untold_force": "mugs.png"}
    mended()
    assert database.sheets.find_one()["forced"]["reason"] == "in a hurry"
    assert audit(settings).checked["forced_sheets"] == 1
    undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="", store=None)
    assert found() == {"untold_force": "mugs.png"}
    mended()


def test_what_was_kept_of_a_forced_sheet_goes_once_it_is_stored(
    folders, store, staged, finish, drop, found, mended
) -> None:
    staged("mugs.png", b"mugs")
    force_archive(
        folders, sheet_to_force(folders, None), reason="hurry", confirmed=True, store=store
    )
    finish(staged("mugs.png", b"mugs"))
    assert found() == {"orphaned_work": "mugs.png"}
    mended()
    assert list((folders.state / "forced").iterdir()) == []


def test_a_sheet_that_was_forced_after_its_upload_can_still_be_taken_back_after_a_repair(
    folders, store, staged, uploaded, database, settings
) -> None:
    uploaded(staged("mugs.png", b"mugs"))
    force_archive(
        folders, sheet_to_force(folders, None), reason="hurry", confirmed=True, store=store
    )
    assert database.sheets.find_one()["receipt"]["complete"]
    report = audit(settings, repair=True)
    assert (report.problems, report.repaired) == ([], [])
    undo_force(folders, sheet_to_undo(folders, "mugs.png"), reason="", store=store)
    assert staged_again(folders).path.read_bytes() == b"mugs"


def test_a_lost_ledger_does_not_lose_a_forced_sheet(
    folders, store, staged, database, found, settings
) -> None:
    staged("mugs.png", b"mugs")
    force_archive(
        folders, sheet_to_force(folders, None), reason="hurry", confirmed=True, store=store
    )
    database.sheets.delete_many({})
    assert found() == {"missing_ledger_entry": "mugs.png"}
    assert audit(settings, repair=True).ok
    assert found() == {}
    assert database.sheets.find_one()["forced"]["reason"] == "hurry"


def test_a_sheet_that_a_run_works_on_is_left_to_it(folders, mugs, database, settings) -> None:
    database.codes_images.delete_one({"code": "A"})
    with claimed_sheet(folders, mugs):
        report = audit(settings, repair=True)
    assert report.checked["busy"] == 1
    assert mugs.exists()


def test_a_name_in_the_ledger_leads_nowhere_else(folders, mugs, database, settings) -> None:
    outside = folders.state.parent / "outside.png"
    outside.write_bytes(b"mugs")
    database.sheets.update_one(
        {},
        {
            "$set": {"archived_name": "../outside.png", "name": "../x.png"},
            "$unset": {"receipt": ""},
        },
    )
    audit(settings, repair=True)
    assert outside.exists()
    assert not (folders.staging.parent / "x.png").exists()


def test_without_mongodb_the_folders_are_still_looked_at(settings, folders, mugs) -> None:
    (folders.quarantine / "x.png").write_bytes(b"x")
    away = settings.model_copy(
        update={"mongodb_uri": type(settings.mongodb_uri)("mongodb://127.0.0.1:1/")}
    )
    report = audit(away, repair=True)
    assert [problem.kind for problem in report.problems] == ["mongodb_away"]
    assert [repair.kind for repair in report.repaired] == ["missing_reason"]
    assert report.checked["archived_files"] == 1


def test_samples_of_consecutive_days_cover_every_sheet_once() -> None:
    digests = [digest_bytes(str(number).encode()) for number in range(2000)]
    for percent, days in ((5.0, 20), (30.0, 4), (100.0, 1)):
        windows = [Sample.of_day(percent, date(2026, 11, 1) + timedelta(d)) for d in range(days)]
        seen = [sum(window.holds(sha256) for window in windows) for sha256 in digests]
        assert min(seen) >= 1
        assert sum(seen) / len(seen) == pytest.approx(percent * days / 100, rel=0.1)
    day = Sample.of_day(5.0, date(2026, 11, 1))
    assert [day.holds(d) for d in digests] == [
        Sample.of_day(5.0, date(2026, 11, 1)).holds(d) for d in digests
    ]


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_sample_that_is_no_part_is_refused(percent) -> None:
    with pytest.raises(UsageError, match="no part of a store"):
        Sample.of_day(percent, date(2026, 11, 1))


def test_a_sheet_outside_of_the_sample_is_not_read_and_its_place_is_still_checked(
    settings, mugs, database
) -> None:
    place = int(digest_bytes(b"mugs")[:8], 16) / 2**32 * 100
    others = Sample(1.0, (place + 50) % 100)
    database.codes_images.delete_one({"code": "A"})
    report = audit(settings, sample=others)
    assert report.ok
    assert (report.checked["receipt_lines"], report.checked["archived_files_hashed"]) == (0, 0)
    assert not audit(settings, sample=Sample(1.0, (place - 0.5) % 100)).ok
    mugs.unlink()
    assert not audit(settings, sample=others).ok


def test_a_report_lists_so_many_problems_and_counts_the_rest(monkeypatch, settings, folders):
    monkeypatch.setattr("sheetflow.audit.report.LISTED_AT_MOST", 2)
    for number in range(5):
        (folders.archive / f"{number}.png").write_bytes(bytes([number]))
    report: Report = audit(settings)
    assert (len(report.problems), report.checked["problems_not_listed"]) == (2, 3)


def test_an_audit_beside_runs_at_work_gives_no_false_alarm(
    folders, drop, store, finish, settings
) -> None:
    def run() -> None:
        for number in range(25):
            path = drop(f"{number}.png", f"sheet {number}".encode())
            with claimed_sheet(folders, path) as sheet:
                sheet = stage_sheet(folders, sheet)
                write_entry(store, adopt_staged(folders, sheet))
                finish(sheet, {f"{number}": f"picture {number}".encode()})

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        reports = []
        while not running.done():
            reports.append(audit(settings, repair=len(reports) % 2 == 1))
        running.result()
    assert [report.problems for report in reports] == [[]] * len(reports)
    assert [report.repaired for report in reports] == [[]] * len(reports)
    assert audit(settings).checked["proven_sheets"] == 25
