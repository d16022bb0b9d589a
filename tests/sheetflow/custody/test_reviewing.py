"""Reviews in custody: on record, carried out whole, and killed at every change on disk."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sheetflow.archiving import close_sheet
from sheetflow.audit.mends import send_back
from sheetflow.audit.run import audit
from sheetflow.custody.claims import claimed_sheet
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced_steps import settle_forced
from sheetflow.custody.forcing import standing_of
from sheetflow.custody.journal import load_entry, save_entry
from sheetflow.custody.lookup import Found
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.reconciling import reconcile
from sheetflow.custody.results import load_result, save_result
from sheetflow.custody.retrying import retry_sheet, select_for_retry
from sheetflow.custody.reviewing import (
    reject_sheet,
    rejection_of,
    reread_sheet,
    settle_sheet,
    sheet_to_review,
)
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.custody.waiting import waiting_reviews
from sheetflow.errors import SheetBusy, UsageError
from sheetflow.pages import ProcessingLimits
from sheetflow.processing import note_processed, process_sheet
from sheetflow.reading import Pair, Picture, SheetReading
from sheetflow.regions import NO_CODE
from sheetflow.review.answers import AnswerRefused, Answers
from sheetflow.review.decisions import Verdict
from sheetflow.sheets import ProcessedSheet, Sheet, State
from sheetflow.store.connection import open_store
from sheetflow.store.ledger import write_entry
from sheetflow.store.survey import sheet_document
from sheetflow.uploading import store_pairs
from sheetflow.vision.crops import cut_pictures
from sheetflow.vision.geometry import Box
from sheetflow.vision.images import SheetImage
from sheetflow.vision.recognition import RecognitionSettings

LEFT, RIGHT = Box(20, 20, 60, 60).quad(), Box(120, 20, 60, 60).quad()
BARS = Box(20, 90, 60, 10).quad()
TYPED = Answers(codes={2: ("73513537", None)})
LIMITS = ProcessingLimits(max_pixels=10**6, max_file_bytes=10**6, max_symbols=50)


class Inline:
    """Runs in this process what a worker would run in its own."""

    def run(self, function, /, *arguments, **options):
        return function(*arguments, **options)


@pytest.fixture
def store(settings) -> Iterator:
    with open_store(settings) as opened:
        yield opened


def pixels(name: str) -> np.ndarray:
    rgb = np.full((120, 200, 3), 255, np.uint8)
    rgb[20:80, 20:80] = (200, 30, 30)
    rgb[20:80, 120:180] = (30, 30, 200)
    rgb[0, 0] = np.frombuffer(digest_bytes(name.encode())[:3].encode(), np.uint8)
    return rgb


@pytest.fixture
def held(folders: Folders, store) -> Callable[[str], Sheet]:
    """A staged sheet with a pair on the left, and on the right a picture without a code."""

    def make(name: str) -> Sheet:
        rgb, buffer = pixels(name), io.BytesIO()
        Image.fromarray(rgb).save(buffer, "PNG")
        path = folders.inbox / name
        path.write_bytes(buffer.getvalue())
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(buffer.getvalue()), path))
        code = f"{int(sheet.sha256[:10], 16):012d}"
        reading = SheetReading(
            (200, 120),
            (Pair(code, "Code 128", 0, 0, LEFT, BARS, 1.0),),
            unpaired_pictures=(Picture(RIGHT),),
            doubts=(NO_CODE,),
        )
        crops = cut_pictures(SheetImage.from_rgb(rgb), reading)
        processed = save_result(folders, sheet, reading, crops)
        write_entry(store, note_processed(folders, processed))
        return sheet

    return make


def found(folders: Folders, sheet: Sheet) -> Found:
    return sheet_to_review(folders, sheet.sha256)


def processed_anew(folders: Folders, sheet: Sheet) -> ProcessedSheet:
    processed = process_sheet(
        folders, sheet, workers=Inline(), recognition=RecognitionSettings(), limits=LIMITS
    )
    note_processed(folders, processed)
    return processed


def go_on(folders: Folders, store, sheet: Sheet) -> State:
    """What a run does with a sheet in staging or in the archive; the state that it comes to."""
    entry = load_entry(folders, sheet.sha256)
    if entry is None:
        return State(sheet_document(store, sheet.sha256)["state"])
    path = folders.staging / entry.staged_name
    path = path if path.exists() else folders.archive / (entry.archived_name or "none")
    if not path.exists():
        return entry.state
    with claimed_sheet(folders, path) as sheet:
        entry = adopt_staged(folders, sheet)
        rejection = rejection_of(entry)
        if rejection is not None:
            quarantine_sheet(folders, sheet, rejection)
            return State.REJECTED
        processed = load_result(folders, sheet)
        if processed is None:
            processed = processed_anew(folders, sheet)
        elif entry.state is State.STAGED:
            note_processed(folders, processed)
        if processed.reading.doubts:
            return State.NEEDS_REVIEW
        receipt = store_pairs(folders, store, processed, processed.reading.pairs)
        close_sheet(folders, store, sheet, receipt)
        return State.ARCHIVED


def test_a_reviewed_sheet_is_stored_with_the_crop_of_the_picture_that_got_its_code(
    folders, store, held, database, settings
) -> None:
    sheet = held("a.png")
    assert [item.name for item in waiting_reviews(folders)] == ["a.png"]
    entry = settle_sheet(folders, found(folders, sheet), TYPED, by="Ada", note="smudged")
    assert (entry.state, entry.doubts) == (State.STAGED, ())
    assert waiting_reviews(folders) == []
    assert go_on(folders, store, sheet) is State.ARCHIVED
    record = database.codes_images.find_one({"code": "73513537"})
    shown = np.asarray(Image.open(io.BytesIO(record["image_bytes"])))
    assert np.abs(shown[4:-4, 4:-4].astype(int) - (30, 30, 200)).max() < 12
    source = record["source_image"]
    assert (source["index"], source["row"], source["column"]) == (1, 0, 1)
    assert source["picture_box"] == source["symbol_box"] == [120, 20, 60, 60]
    document = database.sheets.find_one({"_id": sheet.sha256})
    (review,) = document["reviews"]
    assert (review["by"], review["verdict"], review["note"]) == ("Ada", "settled", "smudged")
    assert [
        event["by"] for event in document["history"] if "reviewed" in (event["note"] or "")
    ] == ["Ada"]
    assert audit(settings).problems == []


def test_a_pair_that_was_stored_and_then_corrected_is_told(folders, store, held, database) -> None:
    sheet = held("a.png")
    processed = load_result(folders, sheet)
    (pair,) = processed.reading.certain_pairs
    store_pairs(folders, store, processed, [pair])
    answers = Answers(codes={1: ("4006381333931", None)}, discard={2: "a logo"})
    entry = settle_sheet(folders, found(folders, sheet), answers)
    assert (
        f"stored before this review and no longer on the sheet: {pair.code}"
        in entry.history[-1].note
    )


def test_force_archive_tells_of_a_reviewed_sheet_what_the_next_run_would_have_stored(
    folders, store, held
) -> None:
    sheet = held("a.png")
    processed = load_result(folders, sheet)
    (pair,) = processed.reading.certain_pairs
    store_pairs(folders, store, processed, [pair])
    settle_sheet(folders, found(folders, sheet), TYPED)
    standing = standing_of(folders, sheet, store)
    assert (standing.stored, standing.unstored) == ((pair.code,), ("73513537",))
    assert standing_of(folders, sheet, None).unstored == (pair.code, "73513537")
    reread_sheet(folders, found(folders, sheet))
    assert "to be read again" in standing_of(folders, sheet, store).told()


def test_a_refused_answer_leaves_the_sheet_as_it_was(folders, held) -> None:
    sheet = held("a.png")
    before = load_entry(folders, sheet.sha256)
    for wrong in (Answers(), Answers(codes={2: ("73513538", None)}), Answers(accept=(9,))):
        with pytest.raises(AnswerRefused):
            settle_sheet(folders, found(folders, sheet), wrong)
    with pytest.raises(UsageError, match="for a reason"):
        reject_sheet(folders, found(folders, sheet), "  ")
    assert load_entry(folders, sheet.sha256) == before


def test_a_sheet_that_a_run_works_on_is_not_decided_about(folders, held) -> None:
    sheet = held("a.png")
    meant = found(folders, sheet)
    with claimed_sheet(folders, sheet.path), pytest.raises(SheetBusy):
        settle_sheet(folders, meant, TYPED)


def test_a_second_review_takes_the_place_of_the_first_and_both_stay_on_record(
    folders, store, held, database
) -> None:
    sheet = held("a.png")
    settle_sheet(folders, found(folders, sheet), TYPED, by="Ada")
    processed_anew(folders, sheet)
    settle_sheet(folders, found(folders, sheet), Answers(discard={2: "a logo"}), by="Grace")
    assert load_result(folders, sheet) is None
    assert go_on(folders, store, sheet) is State.ARCHIVED
    assert database.codes_images.count_documents({}) == 1
    reviews = database.sheets.find_one()["reviews"]
    assert [review["by"] for review in reviews] == ["Ada", "Grace"]


def test_a_rejected_sheet_lies_in_quarantine_with_who_and_why_and_comes_back_afresh(
    folders, store, held
) -> None:
    sheet = held("a.png")
    entry = reject_sheet(folders, found(folders, sheet), "last year's prices", by="Ada")
    assert entry.state is State.REJECTED
    reason = (folders.quarantine / "a.png.json").read_text()
    assert "rejected by Ada: last year's prices" in reason
    (retried,) = [retry_sheet(folders, it) for it in select_for_retry(folders, ["a.png"])]
    sheet = stage_sheet(folders, Sheet("a.png", sheet.sha256, retried.path))
    entry = load_entry(folders, sheet.sha256)
    assert rejection_of(entry) is None
    assert [review.verdict for review in entry.reviews] == [Verdict.REJECTED, Verdict.REREAD]


def test_retry_keeps_what_was_decided_and_reread_drops_it(folders, store, held, database) -> None:
    sheet = held("a.png")
    settle_sheet(folders, found(folders, sheet), TYPED)
    entry = load_entry(folders, sheet.sha256).failed("the cable was pulled")
    save_entry(folders, entry)
    (retried,) = [retry_sheet(folders, it) for it in select_for_retry(folders, ["a.png"])]
    assert retried.entry.review.decisions
    reread_sheet(folders, found(folders, sheet), by="Ada")
    assert load_entry(folders, sheet.sha256).review.decisions == ()
    assert load_result(folders, sheet) is None


def test_decisions_come_back_with_a_sheet_that_an_audit_sends_back(
    folders, store, held, database
) -> None:
    sheet = held("a.png")
    settle_sheet(folders, found(folders, sheet), TYPED, by="Ada")
    go_on(folders, store, sheet)
    database.codes_images.delete_one({"code": "73513537"})
    known = sheet_document(store, sheet.sha256)
    send_back(folders, store, folders.archive / "a.png", why="a picture was lost", known=known)
    entry = load_entry(folders, sheet.sha256)
    assert [review.by for review in entry.reviews] == ["Ada"]
    assert entry.review.decisions[0].code == "73513537"
    assert len(database.sheets.find_one()["reviews"]) == 1


def test_certain_pairs_that_were_stored_before_are_numbered_anew(
    folders, store, held, database, settings
) -> None:
    sheet = held("a.png")
    processed = load_result(folders, sheet)
    (pair,) = processed.reading.certain_pairs
    store_pairs(folders, store, processed, [pair])
    moved = replace(
        processed.reading, pairs=(replace(pair, column=1),), unpaired_pictures=(Picture(LEFT),)
    )
    moved = replace(moved, pairs=(replace(moved.pairs[0], picture_quad=RIGHT),))
    crops = cut_pictures(SheetImage.from_rgb(pixels("a.png")), moved)
    save_result(folders, sheet, moved, crops)
    store_pairs(folders, store, load_result(folders, sheet), moved.pairs)
    settle_sheet(folders, found(folders, sheet), TYPED)
    assert go_on(folders, store, sheet) is State.ARCHIVED
    numbers = {r["code"]: r["source_image"]["index"] for r in database.codes_images.find()}
    assert numbers == {"73513537": 0, pair.code: 1}
    assert audit(settings).problems == []


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it."""


@pytest.fixture
def killed_at(monkeypatch):
    """Run something and end it at its n-th change of the disk; tell whether it came that far."""

    def run(number: int, way: Callable[[], object]) -> bool:
        count = itertools.count()

        def deadly(change):
            def changed(*arguments, **options):
                if next(count) == number:
                    raise Killed
                return change(*arguments, **options)

            return changed

        with monkeypatch.context() as patched:
            for name in ("link", "rename", "replace", "unlink", "fsync", "rmdir", "mkdir"):
                patched.setattr(os, name, deadly(getattr(os, name)))
            try:
                way()
            except Killed:
                return True
        return False

    return run


def places(folders: Folders, sha256: str) -> list[str]:
    return [
        place.name
        for place in (folders.inbox, folders.staging, folders.archive, folders.quarantine)
        for path in place.iterdir()
        if digest_bytes(path.read_bytes()) == sha256
    ]


def started(folders: Folders) -> None:
    reconcile(folders)
    settle_forced(folders)


def test_a_review_killed_at_every_change_until_its_crops_are_cut(
    folders, store, held, killed_at, database
) -> None:
    def review(sheet: Sheet) -> None:
        if load_entry(folders, sheet.sha256).state is State.NEEDS_REVIEW:
            settle_sheet(folders, found(folders, sheet), TYPED, by="Ada")
        processed_anew(folders, sheet)

    cut_off, number = True, -1
    while cut_off:
        number += 1
        database.codes_images.delete_many({"code": "73513537"})
        sheet = held(f"{number}.png")
        cut_off = killed_at(number, lambda sheet=sheet: review(sheet))
        started(folders)
        if load_entry(folders, sheet.sha256).state is State.NEEDS_REVIEW:
            settle_sheet(folders, found(folders, sheet), TYPED, by="Ada")  # nothing was on record
        assert go_on(folders, store, sheet) is State.ARCHIVED, f"stuck after change {number}"
        assert places(folders, sheet.sha256) == ["images_old"]
        document = database.sheets.find_one({"_id": sheet.sha256})
        assert [it["by"] for it in document["reviews"]] == ["Ada"], number
        assert {line["code"] for line in document["receipt"]["pairs"]} > {"73513537"}
    assert number > 12


def test_a_rejection_killed_at_every_change(folders, store, held, killed_at) -> None:
    cut_off, number = True, -1
    while cut_off:
        number += 1
        sheet = held(f"{number}.png")
        meant = found(folders, sheet)
        cut_off = killed_at(number, lambda meant=meant: reject_sheet(folders, meant, "old"))
        assert places(folders, sheet.sha256)
        started(folders)
        if places(folders, sheet.sha256) == ["images_sources"]:
            if not load_entry(folders, sheet.sha256).reviews:
                reject_sheet(folders, meant, "old")  # it was not on record yet: nothing was said
            else:
                assert go_on(folders, store, sheet) is State.REJECTED
        assert places(folders, sheet.sha256) == ["images_rejected"], number
        assert (folders.quarantine / f"{number}.png.json").exists()
    assert number > 8
