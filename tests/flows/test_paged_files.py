"""Files of several pages: one sheet each, with its pages in records, doubts and reviews."""

from __future__ import annotations

import io

from PIL import Image

from cli.review_page import draw_pictures
from flows.audit import audit
from flows.force_archive import force_archive
from flows.ingest import ingest_sheets
from flows.review_page import review_page
from sheetflow.custody.reviewing import look_at_sheet, settle_sheet, sheet_to_review
from sheetflow.regions import Kind, regions_of
from sheetflow.review.answers import Answers
from tests.documents import drawn_pdf, locked_pdf, scanned_pdf, tiff


def image_of(sheet: tuple[bytes, object]) -> Image.Image:
    return Image.open(io.BytesIO(sheet[0])).convert("RGB")


def test_pages_of_a_pdf_are_stored_and_the_file_is_archived(
    run, folders, database, several, codes_of
) -> None:
    first, second = several[:2]
    blank = Image.new("RGB", (400, 600), "white")
    data = scanned_pdf(image_of(first), blank, image_of(second))
    (folders.inbox / "catalogue.pdf").write_bytes(data)
    went = run(ingest_sheets)
    assert went.states == {"catalogue.pdf": "archived"}, went.outcomes["catalogue.pdf"].error
    assert (folders.archive / "catalogue.pdf").read_bytes() == data
    pages = {1: first[1], 3: second[1]}
    records = list(database.codes_images.find())
    assert {(record["source_image"]["page"], record["code"]) for record in records} == {
        (page, code) for page, truth in pages.items() for code in codes_of(truth)
    }
    assert sorted(record["source_image"]["index"] for record in records) == list(range(8))
    (entry,) = database.sheets.find()
    assert entry["state"] == "archived"
    assert entry["receipt"]["complete"]
    assert entry["counts"]["pairs"] == 8


def test_a_page_in_doubt_is_shown_and_reviewed(
    run, folders, settings, database, several, drawn
) -> None:
    scribbled = drawn(5, scribbled_codes=frozenset({1}))
    code = drawn(5)[1]["items"][1]["code"]["text"]  # what the scribble covers
    data = tiff([(image_of(several[0]), {}), (image_of(scribbled), {})])
    (folders.inbox / "two.tif").write_bytes(data)
    went = run(ingest_sheets)
    assert went.states == {"two.tif": "needs_review"}
    assert "page 2: row 1, column 2: the picture has no readable code" in (
        went.outcomes["two.tif"].error
    )
    found = sheet_to_review(folders, "two.tif")
    looked_at = look_at_sheet(folders, found)
    (region,) = [it for it in regions_of(looked_at.reading) if it.kind is Kind.PICTURE]
    page = review_page(settings, looked_at)
    assert f"**picture {region.number} on page 2**" in page
    assert page.count("data:image/jpeg;base64") == 1
    assert "**Page 2**" in page
    (drawn_page,) = draw_pictures(settings, looked_at, folders.state / "look.png")
    assert drawn_page.name == "look-2.png"
    assert drawn_page.exists()
    settle_sheet(folders, found, Answers(codes={region.number: (code, None)}))
    assert run(ingest_sheets).states == {"two.tif": "archived"}
    record = database.codes_images.find_one({"code": code})
    assert (record["source_image"]["page"], record["source_image"]["column"]) == (2, 1)
    assert database.codes_images.count_documents({}) == 8


def test_an_overlay_of_a_pdf_is_rendered_outside_of_this_process(
    run, folders, settings, drawn
) -> None:
    scribbled = drawn(5, scribbled_codes=frozenset({1}))
    (folders.inbox / "one.pdf").write_bytes(scanned_pdf(image_of(scribbled)))
    assert run(ingest_sheets).states == {"one.pdf": "needs_review"}
    looked_at = look_at_sheet(folders, sheet_to_review(folders, "one.pdf"))
    assert "data:image/jpeg;base64" in review_page(settings, looked_at)
    assert "page" not in looked_at.reading.doubts[0]


def test_hostile_documents_are_rejected_with_their_reasons(run, folders) -> None:
    page = Image.new("RGB", (300, 400), "white")
    files = {
        "locked.pdf": (locked_pdf(), "password"),
        "cut.pdf": (scanned_pdf(page, page)[:-200], "cut short"),
        "none.pdf": (drawn_pdf(), "no page"),
        "many.pdf": (drawn_pdf(*["0 0 9 9 re f"] * 101), "more pages"),
        "cut.tif": (tiff([(page, {}), (page, {})])[:-9000], "damaged or incomplete"),
    }
    for name, (data, _) in files.items():
        (folders.inbox / name).write_bytes(data)
    went = run(ingest_sheets)
    assert set(went.states.values()) == {"rejected"}
    for name, (data, told) in files.items():
        assert (folders.quarantine / name).read_bytes() == data
        assert told in (folders.quarantine / f"{name}.json").read_text(), name


def test_a_file_of_pages_is_forced_taken_back_and_audited_as_one_sheet(
    run, environment, folders, database, several
) -> None:
    first, second = several[:2]
    data = tiff([(image_of(first), {}), (image_of(second), {})])
    (folders.inbox / "two.tif").write_bytes(data)
    environment(mongodb_uri="mongodb://127.0.0.1:1/?directConnection=true")
    assert run(ingest_sheets).states == {"two.tif": "failed"}
    asked = run(force_archive, reason="the shop opens at nine")
    assert "8 will not be stored" in asked.state.message
    environment()
    assert run(force_archive, reason="in a hurry", confirmed=True).state.is_completed()
    assert (folders.archive / "two.tif").read_bytes() == data
    back = run(force_archive, reason="no hurry after all", name="two.tif", take_back=True)
    assert back.state.is_completed(), back.state.message
    assert run(ingest_sheets).states == {"two.tif": "archived"}
    sound = run(audit, sample_percent=100)
    assert sound.state.is_completed(), sound.state.message
    of_page_2 = {"source_image.page": 2}
    lost = database.codes_images.find_one_and_delete(of_page_2)
    red = run(audit, sample_percent=100)
    assert red.state.is_failed()
    assert "missing_pairs: two.tif" in red.state.message
    assert run(audit, repair=True).state.is_completed()
    assert run(ingest_sheets).states == {"two.tif": "archived"}
    again = database.codes_images.find_one({"code": lost["code"]})
    assert again["source_image"]["page"] == 2
    assert again["image_bytes"] == lost["image_bytes"]
    assert database.codes_images.count_documents({}) == 8
