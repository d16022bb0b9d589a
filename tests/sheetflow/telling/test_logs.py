from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import sheetflow
from sheetflow.errors import ConfigurationError
from sheetflow.settings import LogFormat, Settings
from sheetflow.sheets import Sheet
from sheetflow.telling.logs import own_handler
from sheetflow.telling.steps import about, step

REPOSITORY = Path(sheetflow.__file__).parents[1]
SHEET = Sheet("mugs\n.png", "0123456789abcdef" * 4, Path("mugs.png"))
WRITE = """
import logging, sys
from pathlib import Path
from sheetflow.settings import Settings
from sheetflow.telling.logs import own_handler
settings = Settings(root=Path(sys.argv[1]), log_file="l.log", log_format="json",
                    log_max_bytes=20_000, log_files_kept=50)
log = logging.getLogger("sheetflow.x")
log.setLevel(logging.INFO)
log.addHandler(own_handler(settings, dict))
for number in range(300):
    log.info("%s %d", sys.argv[2], number)
"""


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    log = logging.getLogger("sheetflow.a_test")
    log.setLevel(logging.INFO)
    log.propagate = False
    yield log
    for handler in log.handlers:
        handler.close()
    log.handlers.clear()


def test_a_json_line_says_what_happened_to_which_sheet_in_which_step_and_run(log, tmp_path) -> None:
    settings = Settings(root=tmp_path, log_file="log/l.jsonl", log_format=LogFormat.JSON)
    runs = {"flow_run_id": "f", "task_run_id": "t"}
    log.addHandler(own_handler(settings, lambda: runs))
    with step("process", SHEET):
        log.info("%s: processed", SHEET.label, extra=about("processed", pairs=3))
    runs = {}
    log.warning("no sheet at all")
    first, second = map(json.loads, (tmp_path / "log/l.jsonl").read_text().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", first.pop("time"))
    assert 0 < first.pop("duration") < 60
    assert first.pop("process") > 0
    assert first == {
        "level": "INFO",
        "logger": "sheetflow.a_test",
        "message": "mugs\\n.png [01234567]: processed",
        "event": "processed",
        "sheet": "mugs\\n.png",
        "digest": "01234567",
        "step": "process",
        "pairs": 3,
        "flow_run_id": "f",
        "task_run_id": "t",
    }
    assert set(second) == {"time", "level", "logger", "message", "process", "event"}


def test_text_for_people_goes_to_a_file_and_json_to_standard_error(log, tmp_path, capfd) -> None:
    log.addHandler(own_handler(Settings(root=tmp_path, log_file="l.log"), dict))
    log.info("a.png: staged")
    assert re.fullmatch(r"[\d-]+ [\d:,]+ INFO    a.png: staged\n", (tmp_path / "l.log").read_text())
    log.addHandler(own_handler(Settings(log_format=LogFormat.JSON), dict))
    log.info("a.png: archived")
    assert json.loads(capfd.readouterr().err)["message"] == "a.png: archived"
    assert own_handler(Settings(), dict) is None


def test_several_processes_rotate_one_file_and_lose_no_line(tmp_path) -> None:
    command = [sys.executable, "-c", WRITE, str(tmp_path)]
    writers = [subprocess.Popen([*command, name], cwd=REPOSITORY) for name in "abc"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    files = [path for path in tmp_path.iterdir() if path.name.startswith("l.log")]
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    assert len(files) > 3
    assert len({line["message"] for line in lines}) == len(lines) == 900


def test_a_log_file_that_cannot_be_is_told_with_its_cure(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="SHEETFLOW_LOG_FILE"):
        own_handler(Settings(root=tmp_path, log_file="file/l.log"), dict)


def test_lines_that_cannot_be_written_are_complained_of_once_and_stop_nothing(
    log, tmp_path, capfd
) -> None:
    (tmp_path / "l.log").symlink_to("/dev/full")
    log.addHandler(own_handler(Settings(root=tmp_path, log_file="l.log"), dict))
    for _ in range(3):
        log.info("lost")
    assert capfd.readouterr().err.count("log lines are lost") == 1


def events_in_the_code() -> set[str]:
    found = set()
    for room in ("sheetflow", "tasks", "flows", "deployments", "cli"):
        for path in (REPOSITORY / room).rglob("*.py"):
            text = path.read_text()
            for node in ast.walk(ast.parse(text)) if "about(" in text else ():
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "about":
                    found.add(ast.literal_eval(node.args[0]))
    return found


def test_every_event_and_field_is_explained() -> None:
    page = (REPOSITORY / "docs" / "logs.md").read_text()
    told = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert (events_in_the_code() | {"note"}) - told == set()
