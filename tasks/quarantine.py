"""Set a sheet apart that can never work."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.custody.journal import load_entry
from sheetflow.custody.quarantine import quarantine_sheet
from sheetflow.errors import SheetRejected
from sheetflow.sheets import Sheet
from sheetflow.telling.steps import step
from tasks.bench import Bench
from tasks.retries import JITTER, is_transient


@task(
    task_run_name="quarantine {sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def quarantine(sheet: Sheet, error: SheetRejected, bench: Bench) -> Path:
    """Move a sheet that can never work to the quarantine, with the reason in a file beside it."""
    with step("quarantine", sheet):
        target = quarantine_sheet(bench.folders, sheet, error, flow_run_id=bench.flow_run_id)
    bench.tell_ledger(load_entry(bench.folders, sheet.sha256))
    return target
