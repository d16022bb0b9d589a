from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sheetflow.custody.folders import Folders
from sheetflow.presence import departed, forget_run, is_present, present
from sheetflow.settings import Settings

RUN = "01a214f3-f869-731c-93c4-c727c3ff3400"
LIVES = """
import sys
from sheetflow.presence import present
from sheetflow.settings import Settings
with present(Settings(root=sys.argv[1]).folders, sys.argv[2]):
    print("here", flush=True)
    sys.stdin.read()
"""


@contextmanager
def living_process(root: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", LIVES, str(root), RUN]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        yield process


def test_a_run_is_present_while_its_process_lives(settings: Settings, folders: Folders):
    with living_process(settings.root):
        assert is_present(folders, RUN)
        assert departed(folders) == []
    assert not is_present(folders, RUN)
    assert departed(folders) == []


def test_a_killed_run_has_departed_until_it_is_forgotten(settings: Settings, folders: Folders):
    with living_process(settings.root) as process:
        process.kill()
        process.wait()
        assert not is_present(folders, RUN)
        assert departed(folders) == [RUN]
        forget_run(folders, RUN)
        assert departed(folders) == []


def test_another_machines_silent_run_is_not_ours_to_end(settings: Settings, folders: Folders):
    with living_process(settings.root) as process:
        process.kill()
    path = folders.state / "runs" / RUN
    path.write_text(json.dumps({**json.loads(path.read_text()), "host": "elsewhere"}))
    assert departed(folders) == []


def test_a_run_goes_on_where_it_cannot_be_noted(folders: Folders):
    (folders.state / "runs").write_bytes(b"a file stands in the way")
    with present(folders, RUN):
        assert departed(folders) == []


def test_outside_of_a_run_nothing_is_noted(folders: Folders):
    with present(folders, None):
        assert not (folders.state / "runs").exists()
