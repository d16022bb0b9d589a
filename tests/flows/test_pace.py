from __future__ import annotations

import threading

import pytest
from prefect.events.worker import EventsWorker

import flows.pace
from flows.pace import Pace


class Worker:
    """Stands for Prefect's: sends nothing before it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = threading.Event()

    def wait_until_empty(self) -> None:
        self.asked += 1
        self.let.wait()


@pytest.fixture
def worker(monkeypatch) -> Worker:
    made = Worker()
    monkeypatch.setattr(EventsWorker, "instance", lambda: made)
    return made


def test_every_fifty_sheets_a_run_waits_until_prefect_was_told(worker: Worker) -> None:
    worker.let.set()
    pace = Pace()
    for _ in range(120):
        pace.keep()
    assert worker.asked == 2


def test_events_that_cannot_be_sent_hold_a_run_up_for_a_while_only(worker, monkeypatch) -> None:
    monkeypatch.setattr(flows.pace, "_PATIENCE_S", 0.01)
    pace = Pace()
    for _ in range(50):
        pace.keep()
    assert worker.asked == 1
    worker.let.set()
