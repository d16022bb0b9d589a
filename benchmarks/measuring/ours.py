"""Our own flow, run as the command line runs it, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring.meter import metered
from benchmarks.measuring.world import Collector, Root, copy_into, variables


def ingested(root: Root, files: Sequence[Path]) -> dict[str, Any]:
    """Ingest sheets and return what it took; the first sheet begins and the last ends the time."""
    from prefect.events.worker import EventsWorker
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.ingest import ingest_sheets
    from flows.outcomes import listening

    here = root.world
    copy_into(root.inbox, files)
    listener = Collector()
    with (
        variables(root.environment()),
        temporary_settings({PREFECT_API_URL: here.api_url}),
        metered(mongod=here.mongod_pid, server=here.server_pid) as meter,
        listening(listener),
    ):
        state = ingest_sheets(return_state=True)
        EventsWorker.instance().wait_until_empty()
    assert state.is_completed(), state.message
    assert len(listener.outcomes) == len(files)
    return {
        "wall_s": listener.last_s - listener.first_s,
        "cpu_s": meter.total_cpu_s,
        **{f"{name}_s": meter.cpu_s.get(name, 0.0) for name in ("client", "mongod", "server")},
        "slowness": meter.slowness,
    }
