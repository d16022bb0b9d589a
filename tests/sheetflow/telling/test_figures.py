from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

import sheetflow
from sheetflow.custody.files import digest_bytes
from sheetflow.custody.journal import record_failure
from sheetflow.custody.staging import adopt_staged, stage_sheet
from sheetflow.errors import ConfigurationError
from sheetflow.sheets import Sheet
from sheetflow.telling.figures import FIGURES, figures_kept, keep_figures, load_figures
from sheetflow.telling.metrics import metrics_served, metrics_text
from sheetflow.telling.steps import step

REPOSITORY = Path(sheetflow.__file__).parents[1]
EXAMPLES = REPOSITORY / "deployments" / "examples"


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    FIGURES.taken()


def figures(folders) -> dict[str, float]:
    """The samples that Prometheus would read, by name and labels."""
    lines = metrics_text(folders).splitlines()
    return {
        series: float(value)
        for series, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    }


def test_the_folders_are_counted_as_they_are(folders, drop) -> None:
    drop("waiting.png", b"1")
    staged = stage_sheet(folders, Sheet("staged.png", digest_bytes(b"2"), drop("staged.png", b"2")))
    adopt_staged(folders, staged)
    record_failure(folders, staged, "staged.png: the disk is full. Free some.")
    (folders.archive / "old.png").write_bytes(b"3")
    now = figures(folders)
    states = {
        state: now[f'sheetflow_sheets{{state="{state}"}}']
        for state in ("waiting", "staged", "processed", "archived", "rejected")
    }
    assert states == {"waiting": 1, "staged": 1, "processed": 0, "archived": 1, "rejected": 0}
    assert (now["sheetflow_queue_sheets"], now["sheetflow_failed_sheets"]) == (2, 1)
    time.sleep(0.2)  # ages are told in tenths of seconds
    assert figures(folders)["sheetflow_oldest_unarchived_seconds"] > 0


def test_steps_are_counted_by_their_duration_and_failures_by_their_cause(folders) -> None:
    sheet = Sheet("a.png", "0" * 64, folders.inbox / "a.png")
    with step("stage", sheet):
        pass
    with pytest.raises(ConnectionError), step("upload", sheet):
        raise ConnectionError
    keep_figures(folders)
    now = figures(folders)
    assert now['sheetflow_step_seconds_count{step="stage"}'] == 1
    assert now['sheetflow_step_seconds_bucket{le="120.0",step="upload"}'] == 1
    assert now['sheetflow_step_failures_total{cause="ConnectionError",step="upload"}'] == 1


def test_what_several_processes_count_adds_up_and_outlives_them(folders) -> None:
    count = (
        "import sys; from pathlib import Path; from sheetflow.settings import Settings\n"
        "from sheetflow.telling.figures import FIGURES, keep_figures\n"
        "for _ in range(20):\n"
        "    FIGURES.count('pairs_stored', 5)\n"
        "    keep_figures(Settings(root=Path(sys.argv[1])).folders)\n"
    )
    command = [sys.executable, "-c", count, str(folders.state.parent)]
    processes = [subprocess.Popen(command, cwd=REPOSITORY) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert figures(folders)["sheetflow_pairs_stored_total"] == 300


def test_figures_that_cannot_be_written_now_are_written_later(folders) -> None:
    folders.figures.write_bytes(b"in the way")
    with figures_kept(folders):
        FIGURES.count("pairs_stored", 7)
    assert load_figures(folders) == {}
    folders.figures.unlink()
    keep_figures(folders)
    assert figures(folders)["sheetflow_pairs_stored_total"] == 7


def test_of_the_ends_of_runs_the_last_one_stands(folders) -> None:
    for _ in range(2):
        FIGURES.mark("run_ended", flow="ingest-sheets", result="ok")
        keep_figures(folders)
    [ended] = [v for k, v in figures(folders).items() if "run_ended" in k]
    assert ended == max(load_figures(folders).values())


def test_figures_are_shown_on_loopback_where_a_port_is_set(settings, folders, free_port) -> None:
    shown = settings.model_copy(update={"metrics_port": free_port})
    with metrics_served(shown):
        with urllib.request.urlopen(f"http://127.0.0.1:{free_port}/metrics") as page:
            assert b"sheetflow_queue_sheets 0.0" in page.read()
        with pytest.raises(ConfigurationError, match="SHEETFLOW_METRICS_PORT"):
            metrics_served(shown).__enter__()
    with metrics_served(settings):
        pass


@pytest.mark.parametrize("example", ["grafana-dashboard.json", "prometheus-rules.yaml"])
def test_the_examples_name_only_figures_that_there_are(folders, example: str) -> None:
    FIGURES.mark("run_ended", flow="f", result="ok")
    with step("stage", Sheet("a.png", "0" * 64, folders.inbox / "a.png")):
        FIGURES.count("step_failures", step="stage", cause="x")
    keep_figures(folders)
    known = {series.partition("{")[0] for series in figures(folders)}
    text = (EXAMPLES / example).read_text()
    json.loads(text) if example.endswith("json") else yaml.safe_load(text)
    named = set(re.findall(r"\bsheetflow_[a-z_]+", text))
    assert named
    assert named <= known


def test_every_figure_is_explained(folders) -> None:
    page = (REPOSITORY / "docs" / "metrics.md").read_text()
    told = re.findall(r"^# HELP (\S+)", metrics_text(folders), re.MULTILINE)
    assert [name for name in told if f"`{name.removesuffix('_total')}" not in page] == []
