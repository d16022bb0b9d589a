from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.custody.results import save_result
from sheetflow.custody.staging import stage_sheet
from sheetflow.processing import note_processed
from sheetflow.reading import Pair, Picture, SheetReading
from sheetflow.regions import NO_CODE
from sheetflow.review.decisions import Action, Verdict
from sheetflow.sheets import Sheet, State
from sheetflow.vision.crops import cut_pictures
from sheetflow.vision.geometry import Box
from sheetflow.vision.images import SheetImage

CODE, OTHER = "4006381333931", "73513537"


@pytest.fixture
def held(folders: Folders, drop) -> Callable[..., Sheet]:
    """A staged sheet with a doubtful pair, 1, and a picture without a code, 2."""

    def make(name: str = "mugs.png") -> Sheet:
        rgb, buffer = np.full((120, 200, 3), 255, np.uint8), io.BytesIO()
        rgb[0, 0] = name.encode()[0]
        Image.fromarray(rgb).save(buffer, "PNG")
        data = buffer.getvalue()
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(data), drop(name, data)))
        left, right, bars = (Box(x, y, 60, 60).quad() for x, y in ((20, 20), (120, 20), (20, 50)))
        pair = Pair(CODE, "EAN-13", 0, 0, left, bars, 0.5, ("the code was read with doubt",))
        reading = SheetReading(
            (200, 120), (pair,), (Picture(right),), doubts=(*pair.doubts, NO_CODE)
        )
        crops = cut_pictures(SheetImage.from_rgb(rgb), reading)
        note_processed(folders, save_result(folders, sheet, reading, crops))
        return sheet

    return make


def test_what_waits_is_listed_with_its_doubts_and_its_age(command, held) -> None:
    sheet = held()
    done = command("review", "--json")
    assert done.returncode == 1
    (waiting,) = json.loads(done.stdout)["waiting"]
    assert (waiting["name"], waiting["sha256"]) == ("mugs.png", sheet.sha256)
    assert waiting["doubts"] == ["the code was read with doubt", NO_CODE]
    assert 0 <= waiting["age_s"] < 600


def test_nothing_that_waits_is_well(command, folders) -> None:
    done = command("review")
    assert (done.returncode, done.stdout.strip()) == (0, "No sheet waits for a review.")


def test_a_sheet_is_shown_with_numbers_and_its_picture(command, held, tmp_path) -> None:
    held()
    done = command("review", "mugs.png", "--overlay", str(tmp_path / "seen.png"))
    assert done.returncode == 1
    assert "picture" in done.stdout
    assert NO_CODE in done.stdout
    assert Image.open(tmp_path / "seen.png").size == (200, 120)
    shown = json.loads(command("review", "mugs.png", "--json").stdout)
    kinds = [(region["number"], region["kind"], region["code"]) for region in shown["regions"]]
    assert kinds == [(1, "pair", CODE), (2, "picture", None)]
    assert shown["overlay"].endswith("overlay.png")


def test_options_settle_a_sheet_on_record_with_who_did(command, folders, held, database) -> None:
    sheet = held()
    done = command(
        "review", "mugs.png", "--accept", "1", "--code", f"2={OTHER},EAN-8", "--by", "Ada", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["state"], told["review"]["by"], told["ok"]) == ("staged", "Ada", True)
    entry = load_entry(folders, sheet.sha256)
    assert [decision.action for decision in entry.review.decisions] == [Action.ACCEPT, Action.CODE]
    document = database.sheets.find_one({"_id": sheet.sha256})
    assert document["reviews"][0]["decisions"][1]["code"] == OTHER
    assert document["history"][-1]["by"] == "Ada"
    life = json.loads(command("status", "mugs.png", "--json").stdout)["sheets"][0]
    assert life["reviews"][0]["verdict"] == "settled"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--accept", "9"], "there is no region 9"),
        (["--code", "2"], "it wants a number and a code"),
        (["--accept-all", "--reject", "old"], "one of them"),
    ],
)
def test_a_wrong_answer_is_refused_and_nothing_is_stored(
    command, folders, held, options, why
) -> None:
    sheet = held()
    done = command("review", "mugs.png", *options)
    assert done.returncode == 2
    assert why in done.stderr
    assert load_entry(folders, sheet.sha256).reviews == ()


def test_answers_come_from_a_file(command, folders, held, tmp_path) -> None:
    sheet = held()
    (tmp_path / "answers.json").write_text(
        json.dumps({"accept_all": True, "discard": {"2": "a logo"}})
    )
    assert command("review", "mugs.png", "--answers", "answers.json").returncode == 0
    decisions = load_entry(folders, sheet.sha256).review.decisions
    assert [decision.action for decision in decisions] == [Action.ACCEPT, Action.DISCARD]


def test_a_person_is_asked_about_each_doubt_until_nothing_is_wrong(command, folders, held) -> None:
    sheet = held()
    typed = "a\n12\ny\n\n\n73513537\n"  # a wrong code, again, no other region, accepted as before
    done = command("review", "mugs.png", typed=typed)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not tell its kind" in done.stdout
    decisions = load_entry(folders, sheet.sha256).review.decisions
    assert [decision.code for decision in decisions] == [CODE, OTHER]


def test_a_person_may_reject_a_sheet_or_have_it_read_again(command, folders, held) -> None:
    sheet = held()
    assert command("review", "mugs.png", "--reread").returncode == 0
    assert load_entry(folders, sheet.sha256).review.verdict is Verdict.REREAD
    other = held("cups.png")
    assert command("review", "cups.png", typed="r last year\n").returncode == 0
    assert load_entry(folders, other.sha256).state is State.REJECTED
    assert "last year" in (folders.quarantine / "cups.png.json").read_text()


def test_deciding_needs_neither_prefect_nor_mongodb(command, held) -> None:
    held()
    done = command(
        "review",
        "mugs.png",
        "--accept-all",
        "--discard",
        "2",
        MONGODB_URI="mongodb://127.0.0.1:1/?directConnection=true",
        PREFECT_API_URL="http://127.0.0.1:1/api",
    )
    assert done.returncode == 0, done.stderr
    assert "reviewed" in done.stdout
