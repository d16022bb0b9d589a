from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sheetflow.errors import ConfigurationError, WorkerFailed
from sheetflow.isolation import IsolatedWorkers
from sheetflow.settings import load_settings


@pytest.fixture
def workers() -> Iterator[IsolatedWorkers]:
    with IsolatedWorkers(2, timeout_s=3, preload="sheetflow.errors") as running:
        yield running


def test_a_value_comes_back_from_another_process(workers: IsolatedWorkers) -> None:
    assert workers.run(os.getpid) != os.getpid()


def test_an_error_comes_back_with_its_cause_and_cure(workers: IsolatedWorkers) -> None:
    # A function that workers can import by name, and that raises an error of ours.
    with pytest.raises(ConfigurationError, match="SHEETFLOW_SETTLE_S") as caught:
        workers.run(load_settings, settle_s="soon")
    assert caught.value.cure


def test_a_crash_costs_one_call_and_not_the_others(workers: IsolatedWorkers) -> None:
    with ThreadPoolExecutor(4) as pool:
        crashed = pool.submit(workers.run, os.abort)
        others = [pool.submit(workers.run, abs, -number) for number in range(6)]
        assert [other.result() for other in others] == list(range(6))
        with pytest.raises(WorkerFailed, match="crashed"):
            crashed.result()
    assert workers.run(abs, -1) == 1


def test_a_call_that_hangs_is_ended_and_its_worker_replaced(workers: IsolatedWorkers) -> None:
    with pytest.raises(WorkerFailed, match="longer than 3 s"):
        workers.run(time.sleep, 600)
    assert workers.run(abs, -1) == 1


def test_a_call_that_takes_more_memory_than_it_may_has_failed_alone() -> None:
    limit = 1 << 30
    with IsolatedWorkers(1, timeout_s=60, preload="sheetflow.errors", memory_bytes=limit) as own:
        with pytest.raises(WorkerFailed, match="more memory"):
            own.run(bytes, 2 * limit)
        assert own.run(abs, -1) == 1


def test_workers_do_not_begin_with_what_their_parent_was_started_as(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os\n"
        "from sheetflow.isolation import IsolatedWorkers\n"
        "print('begun', flush=True)\n"
        "if __name__ == '__main__':\n"
        "    with IsolatedWorkers(1, timeout_s=60, preload='sheetflow.errors') as workers:\n"
        "        assert workers.run(os.getpid) != os.getpid()\n"
    )
    done = subprocess.run([sys.executable, program], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == "begun\n"
