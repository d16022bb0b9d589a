from __future__ import annotations

import json

import pytest

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import record_failure
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import UnreadableImage
from sheetflow.sheets import Sheet


@pytest.fixture
def staged(folders: Folders, drop):
    def make(name: str, data: bytes) -> Sheet:
        sheet = stage_sheet(folders, Sheet(name, digest_bytes(data), drop(name, data)))
        adopt_staged(folders, sheet)
        return sheet

    return make


def test_retry_puts_a_rejected_sheet_back_and_status_tells_its_life(
    command, folders, staged, database
) -> None:
    error = UnreadableImage("it is text", cure="Scan it")
    quarantine_sheet(folders, staged("letter.png", b"dear sir"), error, flow_run_id="run-7")
    done = command("retry", "letter.png", "--json")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["retried"]
    assert (told["name"], told["was"], told["folder"]) == ("letter.png", "rejected", "source")
    assert (folders.inbox / "letter.png").read_bytes() == b"dear sir"
    document = database.sheets.find_one({"_id": digest_bytes(b"dear sir")})
    assert document["state"] == "waiting"
    assert document["history"][-1]["note"].startswith("retried by ")
    life = json.loads(command("status", "letter.png", "--json").stdout)["sheets"][0]
    assert [event["state"] for event in life["history"]] == [
        "waiting",
        "staged",
        "rejected",
        "waiting",
    ]
    assert life["history"][2]["flow_run_id"] == "run-7"
    shown = command("status", "letter.png").stdout
    for text in ("letter.png: waiting", digest_bytes(b"dear sir"), "run-7", "it is text"):
        assert text in shown


def test_retry_of_an_unknown_name_is_wrong_usage_and_lists_candidates(
    command, folders, staged
) -> None:
    record_failure(folders, staged("mugs.png", b"mugs"), "mugs.png: failed")
    done = command("retry", "cups.png")
    assert done.returncode == 2
    assert "mugs.png (in images_sources, staged, failed" in done.stderr
    assert command("retry").returncode == 2


def test_retry_and_status_work_without_mongodb(command, folders, staged) -> None:
    record_failure(folders, staged("mugs.png", b"mugs"), "mugs.png: the disk is full")
    away = {"MONGODB_URI": "mongodb://shop:hunter2@127.0.0.1:1/"}
    shown = command("status", "mugs.png", **away)
    assert shown.returncode == 1
    assert "the disk is full" in shown.stdout
    assert "Without the ledger" in shown.stderr
    done = command("retry", "--all-failed", **away)
    assert done.returncode == 0, done.stderr
    assert "mugs.png: was failed" in done.stdout
    assert command("status", "mugs.png", "--json", **away).returncode == 0
    assert "hunter2" not in shown.stdout + shown.stderr + done.stdout + done.stderr


def test_status_of_an_unknown_sheet_is_wrong_usage(command) -> None:
    done = command("status", "nothing.png")
    assert done.returncode == 2
    assert "nothing.png: no such sheet is known" in done.stderr


def test_force_archive_shows_what_is_lost_and_can_be_undone(
    command, folders, staged, database
) -> None:
    sheet = staged("mugs.png", b"mugs")
    refused = command("force-archive", "--reason", "in a hurry")
    assert refused.returncode == 2
    assert "never read" in refused.stderr
    assert "--yes in a script" in refused.stderr
    assert command("force-archive", "--yes").returncode == 2
    assert sheet.path.exists()
    done = command("force-archive", "--reason", "in a hurry", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["state"], told["archived_name"], told["ok"]) == ("archived", "mugs.png", True)
    assert told["forced"]["reason"] == "in a hurry"
    assert told["ledger_told"]
    assert database.sheets.find_one({"_id": sheet.sha256})["forced"]["reason"] == "in a hurry"
    assert "FORCED" in command("status", "mugs.png").stdout
    back = command("force-archive", "--undo", "mugs.png", "--reason", "no hurry")
    assert back.returncode == 0, back.stderr
    assert sheet.path.read_bytes() == b"mugs"
    assert database.sheets.find_one({"_id": sheet.sha256})["state"] == "staged"


def test_force_archive_works_without_mongodb(command, folders, staged) -> None:
    staged("mugs.png", b"mugs")
    away = {"MONGODB_URI": "mongodb://shop:hunter2@127.0.0.1:1/"}
    done = command("force-archive", "mugs.png", "--reason", "in a hurry", "--yes", **away)
    assert done.returncode == 0, done.stderr
    assert "The ledger will be told by the next run" in done.stdout
    assert (folders.archive / "mugs.png").exists()
    assert "hunter2" not in done.stdout + done.stderr


def test_audit_finds_mends_and_prints_the_documented_json(command, folders, staged) -> None:
    (folders.quarantine / "letter.png").write_bytes(b"dear sir")
    staged("mugs.png", b"mugs")
    done = command("audit", "--json", "--sample", "5%")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {"ok", "checked", "problems"}
    assert told["checked"]["staged_files"] == 1
    kinds = {problem["kind"]: problem for problem in told["problems"]}
    assert set(kinds) == {"missing_reason", "missing_ledger_entry"}
    assert set(kinds["missing_reason"]) == {"kind", "sheet", "detail", "cure"}
    mended = command("audit", "--repair", "--json")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    repaired = json.loads(mended.stdout)["repaired"]
    assert {item["kind"] for item in repaired} == {"missing_reason", "missing_ledger_entry"}
    assert set(repaired[0]) == {"kind", "sheet", "what"}
    shown = command("audit")
    assert shown.returncode == 0
    assert "All is well." in shown.stdout


def test_audit_without_mongodb_says_so_and_ends_1(command, folders) -> None:
    away = {"MONGODB_URI": "mongodb://shop:hunter2@127.0.0.1:1/"}
    done = command("audit", **away)
    assert done.returncode == 1
    assert "mongodb_away" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr
    assert command("audit", "--unknown", "restage").returncode == 2  # without --repair
    assert command("audit", "--sample", "much").returncode == 2
    assert command("audit", "--sample", "0").returncode == 2


def test_on_a_terminal_force_archive_asks_why_and_whether(command, folders, staged) -> None:
    sheet = staged("mugs.png", b"mugs")
    away = {"MONGODB_URI": "mongodb://127.0.0.1:1/"}
    stopped = command("force-archive", typed="the shop opens\nn\n", **away)
    assert stopped.returncode == 130
    assert "never read" in stopped.stderr
    assert sheet.path.exists()
    done = command("force-archive", typed="the shop opens\ny\n", **away)
    assert done.returncode == 0, done.stderr
    life = json.loads(command("status", "mugs.png", "--json", **away).stdout)["sheets"][0]
    assert life["forced"]["reason"] == "the shop opens"
