from __future__ import annotations

import io

from PIL import Image

from benchmarks.hostile import BREAKERS, KINDS, hostile_files, violations
from flows.ingest import ingest_sheets
from sheetflow.vision.images import FORMATS


def test_every_format_that_is_admitted_is_among_the_hostile_files(monkeypatch) -> None:
    assert {kind.split()[0] for kind in KINDS} == {*FORMATS, "PDF"}
    whole = [data for name, data in whole_files(monkeypatch) if not name.endswith(".pdf")]
    assert {Image.open(io.BytesIO(data)).format for data in whole} == {*FORMATS, "MPO"}


def whole_files(monkeypatch):
    monkeypatch.setattr("benchmarks.hostile.BREAKERS", (lambda data, _chance: data,))
    return list(hostile_files(len(KINDS), seed=1))


def test_hostile_files_all_end_in_one_folder_with_a_reason(run, folders) -> None:
    dropped = dict(hostile_files(len(KINDS) * 5, seed=7))
    for name, data in dropped.items():
        (folders.inbox / name).write_bytes(data)
    went = run(ingest_sheets)
    ways = {breaker.__name__.strip("_") for breaker in BREAKERS}
    assert {name[5:].partition(".")[0] for name in dropped} == ways
    assert went.state.name == "Failed"
    assert violations(folders.state.parent, dropped) == []
    bugs = [item.error for item in went.outcomes.values() if "unexpectedly" in (item.error or "")]
    assert bugs == []
    assert "failed" not in went.states.values()
