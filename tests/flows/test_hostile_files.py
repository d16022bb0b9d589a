from __future__ import annotations

from benchmarks.hostile import hostile_files, violations
from flows.ingest import ingest_sheets


def test_hostile_files_all_end_in_one_folder_with_a_reason(run, folders) -> None:
    dropped = dict(hostile_files(84, seed=7))
    for name, data in dropped.items():
        (folders.inbox / name).write_bytes(data)
    went = run(ingest_sheets)
    assert went.state.name == "Failed"
    assert violations(folders.state.parent, dropped) == []
    bugs = [item.error for item in went.outcomes.values() if "unexpectedly" in (item.error or "")]
    assert bugs == []
    assert "failed" not in went.states.values()
