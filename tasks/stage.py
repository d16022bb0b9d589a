"""Take a sheet out of the inbox."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.custody.inbox import done_marker
from sheetflow.custody.journal import load_entry
from sheetflow.custody.staging import stage_sheet
from sheetflow.sheets import Sheet
from sheetflow.telling.steps import step
from tasks.bench import Bench
from tasks.retries import JITTER, is_transient


@task(
    task_run_name="stage {sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def stage(sheet: Sheet, bench: Bench) -> Sheet:
    """Move a sheet from the inbox to staging."""
    with step("stage", sheet):
        staged = stage_sheet(bench.folders, sheet, flow_run_id=bench.flow_run_id)
    if bench.settings.done_suffix:
        done_marker(sheet.path, bench.settings.done_suffix).unlink(missing_ok=True)
    bench.tell_ledger(load_entry(bench.folders, sheet.sha256))
    return staged
