from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sheetflow.custody.files import digest_bytes
from sheetflow.errors import CustodyError, SpoiledResult, StoreRefused
from sheetflow.receipts import UploadReceipt, UploadUnconfirmed
from sheetflow.records import MAX_INLINE_BYTES, drafts_of
from sheetflow.sheets import ProcessedSheet
from sheetflow.store.catalogue import confirm_upload, upload_sheet
from sheetflow.store.connection import Store


def put(store: Store, processed: ProcessedSheet) -> UploadReceipt:
    drafts = drafts_of(processed, processed.reading.pairs, flow_run_id="run-1")
    upload_sheet(store, processed, drafts)
    return confirm_upload(store, processed, drafts)


def test_a_record_has_the_documented_fields_and_the_very_bytes(store, processed, database) -> None:
    receipt = put(store, processed("a.png", {"4006381333931": b"mug", "QX-1": b"lamp"}))
    assert receipt.complete
    records = {doc["code"]: doc for doc in database.codes_images.find()}
    assert set(records) == {"4006381333931", "QX-1"}
    record = records["4006381333931"]
    assert set(record) == {
        "_id",
        "code",
        "symbology",
        "image_bytes",
        "image_media_type",
        "image_sha256",
        "image_size_px",
        "category",
        "revision",
        "created_at",
        "updated_at",
        "source_image",
        "run",
    }
    assert record["image_bytes"] == b"mug"
    assert record["image_sha256"] == digest_bytes(b"mug")
    assert record["revision"] == 1
    assert record["source_image"] == {
        "name": "a.png",
        "sha256": digest_bytes(b"a.png"),
        "index": 0,
        "row": 0,
        "column": 0,
        "picture_box": [0, 0, 10, 10],
        "symbol_box": [0, 0, 10, 10],
    }
    assert record["run"]["flow_run_id"] == "run-1"


def test_an_upload_again_changes_nothing(store, processed, database) -> None:
    sheet = processed("a.png", {"X": b"mug"})
    put(store, sheet)
    before = list(database.codes_images.find())
    put(store, sheet)
    assert list(database.codes_images.find()) == before
    assert database.codes_images_revisions.count_documents({}) == 0


def test_another_picture_for_a_code_keeps_the_earlier_one(store, processed, database) -> None:
    put(store, processed("a.png", {"X": b"old mug"}))
    database.codes_images.update_one({"code": "X"}, {"$set": {"category": "kitchen"}})
    put(store, processed("b.png", {"X": b"new mug"}))
    record = database.codes_images.find_one()
    earlier = database.codes_images_revisions.find_one()
    assert (record["image_bytes"], record["revision"]) == (b"new mug", 2)
    assert record["category"] == "kitchen"
    assert (earlier["image_bytes"], earlier["revision"]) == (b"old mug", 1)
    assert earlier["source_image"]["name"] == "a.png"
    assert earlier["replaced_by"] == digest_bytes(b"b.png")


def test_a_sheet_that_was_overtaken_does_not_come_back_on_top(store, processed, database) -> None:
    first = processed("a.png", {"X": b"old mug"})
    put(store, first)
    put(store, processed("b.png", {"X": b"new mug"}))
    receipt = put(store, first)  # its archiving had failed, so the next run uploads it again
    assert receipt.complete
    assert receipt.lines[0].superseded
    assert database.codes_images.find_one()["image_bytes"] == b"new mug"
    assert database.codes_images_revisions.count_documents({}) == 1


def test_a_kill_between_revision_and_record_heals(store, processed, database) -> None:
    put(store, processed("a.png", {"X": b"old mug"}))
    record = database.codes_images.find_one({}, {"_id": 0})
    database.codes_images_revisions.insert_one(record)  # what a killed upload leaves
    put(store, processed("b.png", {"X": b"new mug"}))
    assert database.codes_images.find_one()["image_bytes"] == b"new mug"
    assert [doc["image_bytes"] for doc in database.codes_images_revisions.find()] == [b"old mug"]


def test_a_document_of_an_earlier_tool_is_kept_and_replaced(settings, processed, database) -> None:
    from sheetflow.store.connection import open_store

    database.codes_images.insert_one({"code": "X", "image": b"old", "category": "kitchen"})
    with open_store(settings) as store:
        put(store, processed("a.png", {"X": b"mug"}))
    record = database.codes_images.find_one()
    earlier = database.codes_images_revisions.find_one()
    assert (record["image_bytes"], record["revision"], record["category"]) == (b"mug", 1, "kitchen")
    assert (earlier["image"], earlier["revision"]) == (b"old", 0)


def test_uploads_of_one_code_at_once_end_in_one_record_and_all_pictures(
    store, processed, database
) -> None:
    sheets = [processed(f"{number}.png", {"X": b"%d" % number}) for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        assert all(receipt.complete for receipt in pool.map(lambda one: put(store, one), sheets))
    kept = [doc["image_bytes"] for doc in database.codes_images.find()]
    earlier = [doc["image_bytes"] for doc in database.codes_images_revisions.find()]
    assert len(kept) == 1
    assert sorted(kept + earlier) == sorted(b"%d" % number for number in range(6))


def test_a_large_picture_goes_to_gridfs_and_comes_back(store, processed, database) -> None:
    large = bytes(MAX_INLINE_BYTES + 1)
    sheet = processed("a.png", {"X": large})
    database["codes_images.chunks"].insert_one(
        {"files_id": digest_bytes(large), "n": 0, "data": b"what a killed upload left"}
    )
    assert put(store, sheet).complete
    assert put(store, sheet).complete
    record = database.codes_images.find_one()
    assert record["image_file_id"] == digest_bytes(large)
    assert "image_bytes" not in record
    assert database["codes_images.files"].count_documents({}) == 1


def test_a_picture_that_changes_size_changes_its_place(store, processed, database) -> None:
    put(store, processed("a.png", {"X": bytes(MAX_INLINE_BYTES + 1)}))
    put(store, processed("b.png", {"X": b"small"}))
    record = database.codes_images.find_one()
    assert record["image_bytes"] == b"small"
    assert "image_file_id" not in record
    assert "image_file_id" in database.codes_images_revisions.find_one()


def test_a_lost_record_is_not_confirmed(store, processed, database) -> None:
    sheet = processed("a.png", {"X": b"mug", "Y": b"lamp"})
    drafts = drafts_of(sheet, sheet.reading.pairs)
    upload_sheet(store, sheet, drafts)
    database.codes_images.delete_one({"code": "Y"})
    with pytest.raises(UploadUnconfirmed, match="no picture for code Y"):
        confirm_upload(store, sheet, drafts)


def test_other_bytes_under_the_right_digest_are_not_confirmed(store, processed, database) -> None:
    sheet = processed("a.png", {"X": b"mug"})
    drafts = drafts_of(sheet, sheet.reading.pairs)
    upload_sheet(store, sheet, drafts)
    database.codes_images.update_one({"code": "X"}, {"$set": {"image_bytes": b"rotten"}})
    with pytest.raises(UploadUnconfirmed, match="another picture for code X"):
        confirm_upload(store, sheet, drafts)


def test_a_receipt_of_some_pairs_is_not_complete(store, processed) -> None:
    sheet = processed("a.png", {"X": b"mug", "Y": b"lamp"})
    drafts = drafts_of(sheet, sheet.reading.pairs[:1])
    upload_sheet(store, sheet, drafts)
    receipt = confirm_upload(store, sheet, drafts)
    assert not receipt.complete
    assert [line.code for line in receipt.lines] == ["X"]


def test_a_receipt_can_be_made_in_no_other_way(store, processed) -> None:
    receipt = put(store, processed("a.png", {"X": b"mug"}))
    with pytest.raises(CustodyError, match="without reading"):
        UploadReceipt("0" * 64, receipt.lines, 1, datetime.now(UTC))
    with pytest.raises(CustodyError, match="without reading"):
        replace(receipt, sheet_sha256="0" * 64)
    with pytest.raises(TypeError, match="cannot be kept"):
        pickle.dumps(receipt)
    with pytest.raises(TypeError, match="cannot be kept"):
        copy.deepcopy(receipt)


def test_a_spoiled_crop_is_never_uploaded(store, processed) -> None:
    sheet = processed("a.png", {"X": b"mug"})
    sheet.crops[0].path.write_bytes(b"rotten")
    with pytest.raises(SpoiledResult, match="is not what was written"):
        drafts_of(sheet, sheet.reading.pairs)


def test_one_code_twice_on_a_sheet_is_refused(store, processed, database) -> None:
    sheet = processed("a.png", {"X": b"mug", "Y": b"lamp"})
    drafts = drafts_of(sheet, sheet.reading.pairs)
    with pytest.raises(CustodyError, match="twice"):
        upload_sheet(store, sheet, [drafts[0], drafts[0]])
    assert database.codes_images.count_documents({}) == 0


def test_the_validator_refuses_a_record_without_its_picture(store, processed, database) -> None:
    sheet = processed("a.png", {"X": b"mug"})
    draft = drafts_of(sheet, sheet.reading.pairs)[0]
    with pytest.raises(StoreRefused, match="validator"):
        upload_sheet(store, sheet, [replace(draft, image_media_type="text/plain")])
    assert database.codes_images.count_documents({}) == 0
