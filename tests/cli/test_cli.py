from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sheetflow.custody.files import digest_bytes

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["read", "--json", "a.png"]])
def test_what_must_answer_at_once_does_not_import_prefect(
    tmp_path: Path, drawn, arguments: list[str]
) -> None:
    (tmp_path / "a.png").write_bytes(drawn(1)[0])
    script = (
        f"import sys; sys.argv[1:] = {arguments!r}\n"
        "from cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'prefect', 'sqlalchemy', 'fastapi'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_help_lists_every_command_and_the_exit_statuses(sheetflow: Command) -> None:
    shown = sheetflow("--help")
    assert shown.returncode == 0
    for word in (
        "ingest",
        "ingest-one",
        "read",
        "status",
        "retry",
        "force-archive",
        "audit",
        "retry",
        "samples",
        "doctor",
        "Exit status",
    ):
        assert word in shown.stdout


def test_ingest_prints_json_alone_in_the_documented_shape(
    sheetflow: Command, folders, drawn
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    (folders.inbox / "b.png").write_bytes(b"no image")
    done = sheetflow("ingest", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert set(told) == {"sheets", "flow_run_id", "ok"}
    assert told["ok"] is False
    sheets = {sheet["name"]: sheet for sheet in told["sheets"]}
    assert set(sheets["a.png"]) == {"name", "sha256", "state", "pairs", "error", "seconds"}
    assert sheets["a.png"]["state"] == "archived"
    assert sheets["a.png"]["sha256"] == digest_bytes(drawn(1)[0])
    assert (sheets["a.png"]["pairs"], sheets["a.png"]["error"]) == (4, None)
    assert sheets["b.png"]["state"] == "rejected"
    assert "b.png" in sheets["b.png"]["error"]


def test_ingest_shows_a_table_the_archive_and_the_run(
    sheetflow: Command, folders, drawn, prefect_server: str
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    done = sheetflow("ingest")
    assert done.returncode == 0, done.stderr
    for text in ("a.png", "archived", str(folders.archive), prefect_server.removesuffix("/api")):
        assert text in done.stdout
    assert "Traceback" not in done.stderr


def test_ingest_of_an_empty_inbox_is_all_well(sheetflow: Command) -> None:
    done = sheetflow("ingest", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sheets"] == []


def test_ingest_one_takes_a_name_that_is_not_utf8(sheetflow: Command, folders, drawn) -> None:
    path = folders.inbox / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(drawn(1)[0])
    done = sheetflow("ingest-one", str(path), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sheets"][0]["name"] == "caf\\xe9.png"


def test_ingest_one_of_nothing_is_wrong_usage(sheetflow: Command) -> None:
    done = sheetflow("ingest-one", "nothing.png")
    assert done.returncode == 2
    assert "nothing.png" in done.stderr
    assert "Traceback" not in done.stderr


def test_mongodb_away_ends_1_and_status_tells_it_from_the_folders(
    sheetflow: Command, folders, drawn
) -> None:
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    away = {"MONGODB_URI": "mongodb://shop:hunter2@127.0.0.1:1/"}
    done = sheetflow("ingest", "--json", **away)
    assert done.returncode == 1
    assert json.loads(done.stdout)["sheets"][0]["state"] == "failed"
    assert (folders.staging / "a.png").read_bytes() == drawn(1)[0]
    shown = sheetflow("status", "--json", **away)
    assert shown.returncode == 1
    status = json.loads(shown.stdout)
    assert set(status) == {
        "waiting",
        "staged",
        "awaiting_upload",
        "needs_review",
        "failed",
        "archived",
        "rejected",
        "oldest_unarchived_s",
        "sheets",
        "mongodb",
    }
    assert (status["staged"], status["awaiting_upload"], status["failed"]) == (1, 1, 1)
    assert status["mongodb"] == {"reachable": False, "embedded": False}
    assert status["sheets"][0]["state"] == "processed"
    assert status["sheets"][0]["attempts"] == 1
    assert "did not answer" in status["sheets"][0]["last_error"]
    assert "hunter2" not in done.stdout + done.stderr + shown.stdout + shown.stderr
    assert json.loads(sheetflow("status", "--json").stdout)["mongodb"]["reachable"] is True


def test_read_prints_a_line_a_file_in_the_documented_shape(
    sheetflow: Command, tmp_path: Path, drawn
) -> None:
    data, truth = drawn(1)
    (tmp_path / "a.png").write_bytes(data)
    (tmp_path / "b.png").write_bytes(b"no image")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = sheetflow("read", "--json", "a.png", "b.png")
    assert done.returncode == 1
    first, second = map(json.loads, done.stdout.splitlines())
    assert set(first) == {
        "file",
        "size_px",
        "pairs",
        "unpaired_pictures",
        "unpaired_symbols",
        "discards",
        "needs_review",
        "seconds",
    }
    assert first["size_px"] == truth["size"]
    assert set(first["pairs"][0]) == {
        "code",
        "symbology",
        "row",
        "column",
        "picture_quad",
        "symbol_quad",
        "confidence",
    }
    assert [pair["code"] for pair in first["pairs"]] == [
        item["code"]["text"] for item in truth["items"]
    ]
    assert first["needs_review"] is False
    told = sheetflow("read", "--json", "--grid", "3x2", "--expected-pairs", "6", "a.png")
    assert json.loads(told.stdout)["needs_review"] is True
    assert sheetflow("read", "--symbologies", "EAN-14", "a.png").returncode == 2
    assert [(pair["row"], pair["column"]) for pair in first["pairs"]] == [
        (item["row"], item["col"]) for item in truth["items"]
    ]
    assert second["file"] == "b.png"
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_read_prints_a_line_a_page(sheetflow: Command, tmp_path: Path) -> None:
    drawn = sheetflow("samples", "drawn", "--bound", "pdf", "--count", "2", "--json")
    (path,) = json.loads(drawn.stdout)["files"]
    truth = json.loads((tmp_path / "drawn" / "truth.json").read_text())["sheets"]
    done = sheetflow("read", "--json", "--overlay", "seen", path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["page"], line["size_px"]) for line in lines] == [
        (page["page"], page["size"]) for page in truth
    ]
    assert [[pair["code"] for pair in line["pairs"]] for line in lines] == [
        [item["code"]["text"] for item in page["items"]] for page in truth
    ]
    assert sorted(drawn.name for drawn in (tmp_path / "seen").iterdir()) == [
        "catalogue.overlay-1.png",
        "catalogue.overlay-2.png",
    ]


def test_read_draws_overlays(sheetflow: Command, tmp_path: Path, drawn) -> None:
    (tmp_path / "a.png").write_bytes(drawn(1)[0])
    assert sheetflow("read", "--overlay", "seen", "a.png").returncode == 0
    assert (tmp_path / "seen" / "a.overlay.png").read_bytes().startswith(b"\x89PNG")


def test_samples_draws_sheets_and_their_truth(sheetflow: Command, tmp_path: Path) -> None:
    done = sheetflow("samples", "drawn", "--count", "2", "--json")
    assert done.returncode == 0, done.stderr
    files = [Path(file) for file in json.loads(done.stdout)["files"]]
    truth = json.loads((tmp_path / "drawn" / "truth.json").read_text())
    assert [file.name for file in files] == [sheet["file"] for sheet in truth["sheets"]]


def test_a_wrong_setting_is_named_with_its_cure(sheetflow: Command) -> None:
    done = sheetflow("status", SHEETFLOW_SETTLE_S="soon")
    assert done.returncode == 2
    assert "SHEETFLOW_SETTLE_S" in done.stderr
    assert "Traceback" not in done.stderr


def test_root_may_stand_before_or_after_the_command(sheetflow: Command, tmp_path: Path) -> None:
    for arguments in (["--root", "here", "status"], ["status", "--root", "here"]):
        assert str(tmp_path / "here" / "source") in sheetflow(*arguments).stdout


def test_doctor_finds_nothing_wrong_with_a_sound_set_up(sheetflow: Command) -> None:
    done = sheetflow("doctor", "--json")
    told: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert {check["name"] for check in told["checks"]} >= {"zbar", "disk", "Prefect server"}
    assert any("written by a majority" in check["detail"] for check in told["checks"])


def test_doctor_tells_what_is_wrong_with_the_cure_and_without_the_password(
    sheetflow: Command,
) -> None:
    done = sheetflow("doctor", MONGODB_URI="mongodb://shop:hunter2@127.0.0.1:1/")
    assert done.returncode == 2
    assert "did not answer" in done.stdout
    assert "hunter2" not in done.stdout + done.stderr


def test_the_first_try_that_help_suggests_works(sheetflow: Command, folders) -> None:
    inbox = str(folders.inbox)
    assert sheetflow("samples", inbox, "--without-truth", "--count", "1").returncode == 0
    done = sheetflow("ingest", "--json")
    assert done.returncode == 0, done.stdout
    assert [sheet["state"] for sheet in json.loads(done.stdout)["sheets"]] == ["archived"]


def test_metrics_prints_what_prometheus_reads(command, folders, drop) -> None:
    drop("a.png", b"1")
    told = command("metrics")
    assert told.returncode == 0
    assert 'sheetflow_sheets{state="waiting"} 1.0' in told.stdout


def test_notify_sets_up_what_is_set_and_shows_no_secret(sheetflow) -> None:
    webhook = {"SHEETFLOW_NOTIFY_WEBHOOK": "http://127.0.0.1:1/hook?token=s3cret"}
    made = sheetflow("notify", "--json", **webhook)
    assert made.returncode == 0, made.stderr
    done = {change["name"]: change["done"] for change in json.loads(made.stdout)["changes"]}
    assert done["webhook"] == done["sheetflow: tell people"] == "made"
    off = sheetflow("notify", "--off", **webhook)
    assert "sheetflow-webhook" in off.stdout
    assert "Nobody is told" in off.stdout
    assert "s3cret" not in made.stdout + made.stderr + off.stdout + off.stderr
