"""What a run leaves in the log file, on its page in Prefect, and among the figures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.logging.handlers import APILogHandler, APILogWorker

from flows.beginning import begin_logs
from flows.ingest import ingest_sheets
from sheetflow.custody.files import digest_bytes
from sheetflow.settings import LogFormat, LogLevel, Settings
from sheetflow.telling.figures import FIGURES
from sheetflow.telling.metrics import metrics_text
from tests.receivers import until


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    yield
    begin_logs(Settings())


LIFE = ["staged", "processed", "stored", "archived"]


def shown_on_the_page(flow_run_id: Any) -> list[str]:
    with get_client(sync_client=True) as client:
        logs = client.read_logs(
            LogFilter(flow_run_id=LogFilterFlowRunId(any_=[flow_run_id])), limit=200
        )
    return [log.message for log in logs if log.name.startswith("sheetflow")]


def test_a_sheets_life_is_in_the_file_on_the_page_and_among_the_figures(
    run, environment, folders, drawn
) -> None:
    FIGURES.taken()
    environment(log_format=LogFormat.JSON, log_file="log/sheetflow.jsonl")
    (folders.inbox / "a.png").write_bytes(drawn(1)[0])
    went = run(ingest_sheets)
    run_id = went.state.state_details.flow_run_id
    text = (folders.state.parent / "log" / "sheetflow.jsonl").read_text()
    lines = {line["event"]: line for line in map(json.loads, text.splitlines())}
    steps = ["stage", "process", "upload", "archive"]
    tasks = {task.name.split(" ")[0]: str(task.id) for task in went.task_runs()}
    for event, step in zip(LIFE, steps, strict=True):
        line = lines[event]
        assert (line["sheet"], line["digest"]) == ("a.png", digest_bytes(drawn(1)[0])[:8])
        assert (line["step"], line["task_run_id"]) == (step, tasks[step])
        assert line["flow_run_id"] == str(run_id)
        assert line["duration"] > 0
    assert lines["stored"]["pairs"] == 4
    assert (lines["run-ended"]["flow"], lines["run-ended"]["result"]) == ("ingest-sheets", "ok")

    messages = {lines[event]["message"] for event in [*LIFE, "run-ended"]}
    APILogWorker.drain_all(timeout=20, at_exit=False)
    until(lambda: messages <= set(shown_on_the_page(run_id)))

    figures = metrics_text(folders)
    for step in steps:
        assert f'sheetflow_step_seconds_count{{step="{step}"}} 1.0' in figures
    assert "sheetflow_pairs_stored_total 4.0" in figures
    assert 'sheetflow_sheets{state="archived"} 1.0' in figures
    assert 'flow="ingest-sheets",result="ok"' in figures


def test_beginning_again_writes_no_line_twice_and_the_page_may_get_trouble_alone(
    tmp_path, capfd
) -> None:
    ours = logging.getLogger("sheetflow")
    ours.addHandler(APILogHandler())  # as Prefect does where its settings name our logger
    settings = Settings(root=tmp_path, log_file="l.log", log_ui_level=LogLevel.WARNING)
    begin_logs(settings)
    begin_logs(settings)
    ours.info("once")
    [to_page] = [handler for handler in ours.handlers if isinstance(handler, APILogHandler)]
    assert to_page.level == logging.WARNING
    begin_logs(Settings(root=tmp_path))
    ours.info("to the terminal")
    assert (tmp_path / "l.log").read_text().count("once") == 1
    assert "once" not in capfd.readouterr().err
    assert ours.propagate
