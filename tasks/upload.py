"""Store what a sheet gave."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.reading import Pair
from sheetflow.receipts import UploadReceipt
from sheetflow.sheets import ProcessedSheet
from sheetflow.telling.steps import step
from sheetflow.uploading import store_pairs
from tasks.bench import Bench
from tasks.retries import JITTER, is_transient


@task(
    task_run_name="upload {processed.sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def upload(processed: ProcessedSheet, pairs: Sequence[Pair], bench: Bench) -> UploadReceipt:
    """Store a sheet's pairs in MongoDB and return the proof that they are there."""
    with step("upload", processed.sheet):
        store = bench.door.open()
        with bench.uploading:
            return store_pairs(
                bench.folders, store, processed, pairs, flow_run_id=bench.flow_run_id
            )
