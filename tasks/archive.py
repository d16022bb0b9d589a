"""Move a stored sheet to the archive."""

from __future__ import annotations

from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.archiving import archive_twin, close_sheet
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import Sheet
from sheetflow.telling.steps import step
from tasks.bench import Bench
from tasks.retries import JITTER, is_transient


@task(
    task_run_name="archive {sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def archive(sheet: Sheet, receipt: UploadReceipt, bench: Bench) -> Path:
    """Move a sheet to the archive, against the receipt that proves that it is stored."""
    with step("archive", sheet):
        return close_sheet(
            bench.folders, bench.door.open(), sheet, receipt, flow_run_id=bench.flow_run_id
        )


@task(
    name="archive duplicate",
    task_run_name="archive duplicate {sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def archive_duplicate(sheet: Sheet, twin: str, bench: Bench) -> Path:
    """Move a file whose bytes are stored and archived already to the archive, and record it."""
    with step("archive", sheet):
        return archive_twin(
            bench.folders, bench.door.open(), sheet, twin=twin, flow_run_id=bench.flow_run_id
        )
