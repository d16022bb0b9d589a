"""One bad input a test: an outcome with cause and cure, nothing lost, and the rest goes on."""

from __future__ import annotations

import io
import os
import struct
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.ingest import ingest_sheets
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.folders import Folders
from sheetflow.isolation import IsolatedWorkers
from sheetflow.store.connection import Store, StoreDoor


@pytest.fixture
def good(folders: Folders, drawn: Callable[..., Any]) -> bytes:
    """A good sheet beside the bad input, which must be archived whatever happens."""
    data: bytes = drawn(1)[0]
    (folders.inbox / "good.png").write_bytes(data)
    return data


def kept(folders: Folders) -> dict[str, str]:
    """Where each digest lies, by folder name; temporary and reason files left out."""
    return {
        digest_bytes(path.read_bytes()): place.name
        for place in (folders.inbox, folders.staging, folders.archive, folders.quarantine)
        for path in place.iterdir()
        if path.is_file() and not path.is_symlink() and not path.name.endswith(".json")
    }


@pytest.fixture
def rejected(run, folders: Folders, good: bytes) -> Callable[..., str]:
    """Ingest bad bytes beside the good sheet and return the error, everything else checked."""

    def check(name: str, data: bytes, **options: Any) -> str:
        (folders.inbox / name).write_bytes(data)
        went = run(ingest_sheets, **options)
        assert went.states == {"good.png": "archived", name: "rejected"}
        assert went.state.is_failed()
        assert name in went.state.message
        assert (folders.quarantine / name).read_bytes() == data
        assert (folders.quarantine / f"{name}.json").exists()
        assert kept(folders)[digest_bytes(good)] == "images_old"
        error: str = went.outcomes[name].error
        assert error.startswith(f"{name}: ")
        return error

    return check


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds almost nothing: a decompression bomb."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def jpeg_of(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_an_empty_file(rejected) -> None:
    assert "empty" in rejected("empty.jpg", b"")


def test_a_text_file_named_jpg(rejected) -> None:
    assert "image" in rejected("letter.jpg", b"Dear Sir or Madam,\n" * 50)


def test_a_truncated_jpeg(rejected, drawn) -> None:
    data = jpeg_of(drawn(2)[0])
    assert "cut short" in rejected("cut.jpg", data[: len(data) // 2])


def test_a_truncated_png(rejected, drawn) -> None:
    data = drawn(2)[0]
    assert "image" in rejected("cut.png", data[: len(data) // 2])


def test_a_decompression_bomb(rejected) -> None:
    assert "pixels" in rejected("bomb.png", png_of(60_000, 60_000))


def test_a_file_over_the_size_limit(rejected, environment, drawn) -> None:
    environment(max_file_bytes=300_000)
    assert "larger than" in rejected("big.png", bytes(400_000))


def test_more_codes_than_the_limit(rejected, environment, drawn) -> None:
    environment(max_symbols=4)
    assert "bears 6 codes" in rejected("many.png", drawn(2, rows=3)[0])


def test_more_pixels_than_the_limit(rejected, environment, drawn) -> None:
    environment(max_pixels=2_100_000)
    assert "more than the limit of 2100000" in rejected("big.png", drawn(2, page="A4")[0])


def test_a_folder_named_like_a_sheet(run, folders: Folders, good: bytes) -> None:
    (folders.inbox / "x.png").mkdir()
    (folders.inbox / "x.png" / "inside.png").write_bytes(b"mine")
    went = run(ingest_sheets)
    assert went.states == {"good.png": "archived", "x.png": "waiting"}
    assert "it is a folder" in went.outcomes["x.png"].error
    assert went.state.is_failed()
    assert (folders.inbox / "x.png" / "inside.png").read_bytes() == b"mine"


def test_a_symbolic_link(run, folders: Folders, good: bytes, tmp_path: Path) -> None:
    outside = tmp_path / "outside.png"
    outside.write_bytes(b"not to be read")
    (folders.inbox / "link.png").symlink_to(outside)
    went = run(ingest_sheets)
    assert went.states == {"good.png": "archived", "link.png": "waiting"}
    assert "links are not followed" in went.outcomes["link.png"].error
    assert (folders.inbox / "link.png").is_symlink()
    assert outside.read_bytes() == b"not to be read"


@pytest.mark.parametrize(
    "raw",
    [
        b"with some spaces.png",
        "Größe öäü 日本.png".encode(),
        b"-rf.png",
        b"two\nlines.png",
        b"caf\xe9.png",
        b"{braces}.png",
        b"%s $HOME `id` '\".png",
        b"n" * 251 + b".png",
    ],
    ids=["spaces", "accents", "dash", "newline", "not-utf8", "braces", "shell", "long"],
)
def test_a_difficult_name(run, folders: Folders, drawn, database, raw: bytes) -> None:
    name = os.fsdecode(raw)
    (folders.inbox / name).write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    assert went.states == {name: "archived"}, went.state.message
    assert (folders.archive / name).read_bytes() == drawn(1)[0]
    assert database.codes_images.count_documents({}) == 4


def test_two_files_of_one_name_at_different_times(
    run, folders: Folders, several, codes_of, database
) -> None:
    for data, _ in several[:2]:
        (folders.inbox / "a.png").write_bytes(data)
        assert run(ingest_sheets).states == {"a.png": "archived"}
    assert {path.read_bytes() for path in folders.archive.iterdir()} == {
        several[0][0],
        several[1][0],
    }
    stored = {record["code"] for record in database.codes_images.find()}
    assert stored == codes_of(several[0][1]) | codes_of(several[1][1])


def test_the_same_bytes_twice_at_once(run, folders: Folders, drawn, database) -> None:
    for name in ("a.png", "b.png"):
        (folders.inbox / name).write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    assert went.states == {"a.png": "archived", "b.png": "archived"}
    assert went.state.is_completed()
    notes = [outcome.note for outcome in went.outcomes.values() if outcome.note]
    assert len(notes) == 1
    assert "the same bytes as" in notes[0]
    assert sorted(path.name for path in folders.archive.iterdir()) == ["a.png", "b.png"]
    assert database.codes_images.count_documents({}) == 4
    assert {record["revision"] for record in database.codes_images.find()} == {1}


def test_the_same_bytes_again_later_under_the_same_name(
    run, folders: Folders, drawn, database
) -> None:
    for _ in range(2):
        (folders.inbox / "a.png").write_bytes(drawn(1)[0])
        went = run(ingest_sheets)
        assert went.states == {"a.png": "archived"}
    assert went.steps() == ["archive"]
    assert "process" not in went.steps()
    assert {path.read_bytes() for path in folders.archive.iterdir()} == {drawn(1)[0]}
    assert len(list(folders.archive.iterdir())) == 2
    duplicates = database.sheets.find_one()["duplicates"]
    assert [item["name"] for item in duplicates] == ["a.png"]


def test_the_same_bytes_again_while_mongodb_is_still_being_opened(
    run, folders: Folders, drawn, database, monkeypatch
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    run(ingest_sheets)
    before = database.sheets.find_one()
    looked = []

    def opened(door: StoreDoor) -> Store | None:
        looked.append(door)
        return door.open() if len(looked) > 1 else None

    monkeypatch.setattr(StoreDoor, "opened", opened)
    (folders.inbox / "b.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    assert went.states == {"b.png": "archived"}
    assert "the same bytes as a.png" in (went.outcomes["b.png"].note or "")
    _is_a_duplicate_of(before, database, name="b.png")


def test_the_same_bytes_again_held_while_mongodb_is_away(
    run, environment, folders: Folders, drawn, database, mongod_uri
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    run(ingest_sheets)
    before = database.sheets.find_one()
    (folders.inbox / "b.png").write_bytes(drawn(1)[0])
    environment(mongodb_uri="mongodb://127.0.0.1:1/?directConnection=true")
    doubted = {"sheets": {"grid": "3x3"}}
    assert run(ingest_sheets, **doubted).states == {"b.png": "needs_review"}
    environment(mongodb_uri=mongod_uri)
    assert run(ingest_sheets, **doubted).states == {"b.png": "archived"}
    _is_a_duplicate_of(before, database, name="b.png")


def _is_a_duplicate_of(before: dict[str, Any], database: Any, *, name: str) -> None:
    after = database.sheets.find_one()
    *history, last = after["history"]
    assert history == before["history"]
    assert last["note"].startswith(f"{name}: the same bytes again")
    assert [twin["name"] for twin in after["duplicates"]] == [name]
    told = ("name", "state", "archived_name", "receipt", "attempts")
    assert [after[key] for key in told] == [before[key] for key in told]


def test_a_file_that_is_still_growing(
    run, environment, folders: Folders, good: bytes, drawn
) -> None:
    environment(settle_s=0.5)
    path = folders.inbox / "growing.png"
    data = drawn(2)[0]
    done = threading.Event()

    def scan() -> None:
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(data), 1 + len(data) // 60):
                file.write(data[start : start + 1 + len(data) // 60])
                if done.wait(0.1):
                    file.write(data[file.tell() :])
                    return

    scanner = threading.Thread(target=scan)
    scanner.start()
    while not path.exists():
        time.sleep(0.01)
    try:
        went = run(ingest_sheets)
    finally:
        done.set()
        scanner.join()
    assert went.states == {"good.png": "archived", "growing.png": "waiting"}
    assert went.state.is_completed()
    assert "still being written" in went.outcomes["growing.png"].note
    assert path.read_bytes() == data
    assert run(ingest_sheets).states == {"growing.png": "archived"}


@pytest.mark.parametrize("fault", ["crash", "hang"])
def test_a_decoder_that_crashes_or_hangs_costs_one_sheet_its_attempt(
    run, environment, folders: Folders, several, monkeypatch, fault: str
) -> None:
    # Short where it is waited for: a busy machine takes seconds for the good ones.
    environment(sheet_timeout_s=8 if fault == "hang" else 60)
    for index, name in enumerate(("a.png", "bad.png", "c.png")):
        (folders.inbox / name).write_bytes(several[index][0])
    real = IsolatedWorkers.run

    def fail_on_bad(self, function, sheet, *arguments, **options):
        if sheet.name != "bad.png":
            return real(self, function, sheet, *arguments, **options)
        return real(self, os.abort) if fault == "crash" else real(self, time.sleep, 600)

    with monkeypatch.context() as patch:
        patch.setattr(IsolatedWorkers, "run", fail_on_bad)
        went = run(ingest_sheets)
    assert went.states == {"a.png": "archived", "bad.png": "failed", "c.png": "archived"}
    assert went.outcomes["bad.png"].error.startswith("bad.png: ")
    assert (folders.staging / "bad.png").read_bytes() == several[1][0]
    assert {r.name.split(" [")[0]: r.run_count for r in went.task_runs()}["process bad.png"] == 1
    assert run(ingest_sheets).states == {"bad.png": "archived"}


def test_a_disk_that_is_nearly_full_stops_the_run_before_it_begins(
    run, environment, folders: Folders, good: bytes
) -> None:
    environment(min_free_bytes=1 << 60)
    went = run(ingest_sheets)
    assert went.state.is_failed()
    assert "MiB free" in went.state.message
    assert (folders.inbox / "good.png").read_bytes() == good


def test_an_outage_does_not_fill_the_staging_without_end(
    run, environment, folders: Folders, several
) -> None:
    environment(mongodb_uri="mongodb://127.0.0.1:1/", max_backlog=2, sheets_in_flight=1, retries=0)
    for index, (data, _) in enumerate(several):
        (folders.inbox / f"{index}.png").write_bytes(data)
    went = run(ingest_sheets)
    assert sorted(went.states.values()) == ["failed", "failed", "waiting", "waiting"]
    assert len(list(folders.staging.iterdir())) == 2
    environment()
    assert set(run(ingest_sheets).states.values()) == {"archived"}
