"""The same four empty steps in other orchestrators, each in a throw-away environment of its own.

What they record: Luigi's local scheduler nothing that lasts, Dagster every step and its events in
SQLite. Each runs as its documentation has it for one machine.
"""

from __future__ import annotations

import os
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring.environments import environment

_LUIGI = """
import sys
from pathlib import Path
import luigi

FOLDER = Path(sys.argv[2])

class Step(luigi.Task):
    sheet = luigi.IntParameter()

    def output(self):
        return luigi.LocalTarget(FOLDER / f"{self.sheet}-{type(self).__name__}")

    def run(self):
        with self.output().open("w") as file:
            file.write("")

class Stage(Step):
    pass

class Process(Step):
    def requires(self):
        return Stage(self.sheet)

class Upload(Step):
    def requires(self):
        return Process(self.sheet)

class Archive(Step):
    def requires(self):
        return Upload(self.sheet)

sheets = [Archive(number) for number in range(int(sys.argv[1]))]
assert luigi.build(sheets, local_scheduler=True, log_level="WARNING")
"""

_DAGSTER = """
import sys
import dagster

@dagster.op
def stage(context) -> str:
    return context.run.tags["sheet"]

@dagster.op
def process(sheet: str) -> str:
    return sheet

@dagster.op
def upload(sheet: str) -> str:
    return sheet

@dagster.op
def archive(sheet: str) -> str:
    return sheet

@dagster.job
def sheet_job():
    archive(upload(process(stage())))

with dagster.instance_for_test(temp_dir=sys.argv[2]) as instance:
    for number in range(int(sys.argv[1])):
        tags = {"sheet": f"page-{number:05d}.jpg"}
        assert sheet_job.execute_in_process(instance=instance, tags=tags).success
"""


def in_luigi(sheets: int) -> dict[str, Any]:
    """Run them in Luigi: four tasks a sheet, each done once its file is there."""
    return _measured("luigi", _LUIGI, sheets)


def in_dagster(sheets: int) -> dict[str, Any]:
    """Run them in Dagster: a job a sheet, run in the process, recorded in its SQLite."""
    return _measured("dagster", _DAGSTER, sheets)


def _measured(package: str, program: str, sheets: int) -> dict[str, Any]:
    with (
        tempfile.TemporaryDirectory(prefix=f"bench-{package}-") as name,
        environment(package) as python,
    ):
        few, many = (
            _cpu_and_wall_s(python, program, Path(name), count) for count in (5, sheets + 5)
        )
        shown = f"from importlib.metadata import version; print(version({package!r}))"
        asked = [python, "-c", shown]
        version = subprocess.run(asked, capture_output=True, text=True, check=True)
    cpu_ms, wall_ms = (
        1000 * (much - little) / sheets for much, little in zip(many, few, strict=True)
    )
    return {
        "sheets": sheets,
        "cpu_ms": cpu_ms,
        "client_ms": cpu_ms,
        "server_ms": 0.0,
        "wall_ms": wall_ms,
        "version": f"{package} {version.stdout.strip()}",
    }


def _cpu_and_wall_s(python: Path, program: str, folder: Path, sheets: int) -> tuple[float, float]:
    work = folder / f"work-{sheets}"
    work.mkdir()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [python, "-c", program, str(sheets), str(work)],
        check=True,
        env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu_s, time.perf_counter() - began
