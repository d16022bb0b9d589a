from __future__ import annotations

import json

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import load_entry
from sheetflow.custody.quarantine import quarantine_sheet, reason_file
from sheetflow.custody.staging import stage_sheet
from sheetflow.errors import (
    UnreadableImage,
)
from sheetflow.sheets import State
from tests.sheetflow.custody.test_staging import sheet_at


def test_a_rejected_sheet_lies_beside_its_reason(folders: Folders, drop) -> None:
    staged = stage_sheet(folders, sheet_at(drop("letter.png", b"dear sir")))
    error = UnreadableImage("it is text", cure="Scan it", sheet="letter.png")
    target = quarantine_sheet(folders, staged, error, flow_run_id="run")
    assert target.read_bytes() == b"dear sir"
    reason = json.loads(reason_file(target).read_bytes())
    assert (reason["name"], reason["cause"], reason["cure"]) == (
        "letter.png",
        "it is text",
        "Scan it",
    )
    assert load_entry(folders, staged.sha256).state is State.REJECTED
    assert list(folders.staging.iterdir()) == []


def test_quarantine_never_replaces_a_file_or_a_reason(folders: Folders, drop) -> None:
    error = UnreadableImage("it is text", cure="Scan it")
    names = []
    for data in (b"one", b"two", b"one"):
        names.append(quarantine_sheet(folders, sheet_at(drop("a.png", data)), error).name)
    assert names == ["a.png", "a~2.png", "a~3.png"]
    assert sorted(path.name for path in folders.quarantine.iterdir()) == [
        "a.png",
        "a.png.json",
        "a~2.png",
        "a~2.png.json",
        "a~3.png",
        "a~3.png.json",
    ]


def test_a_very_long_name_finds_room_in_quarantine(folders: Folders, drop) -> None:
    error = UnreadableImage("it is text", cure="Scan it")
    target = quarantine_sheet(folders, sheet_at(drop("n" * 251 + ".png", b"one")), error)
    assert json.loads(reason_file(target).read_bytes())["name"] == "n" * 251 + ".png"
