"""Read a staged sheet."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.pages import ProcessingLimits
from sheetflow.processing import note_processed, process_sheet
from sheetflow.sheets import ProcessedSheet, Sheet
from sheetflow.telling.steps import step
from sheetflow.vision.recognition import RecognitionSettings
from tasks.bench import Bench
from tasks.retries import JITTER, is_transient


@task(
    task_run_name="process {sheet.label}",
    retry_condition_fn=is_transient,
    retry_jitter_factor=JITTER,
    cache_policy=NO_CACHE,
)
def process(sheet: Sheet, bench: Bench) -> ProcessedSheet:
    """Cut a staged sheet apart, read its codes, pair them with their pictures, keep the result."""
    with step("process", sheet):
        processed = process_sheet(
            bench.folders,
            sheet,
            workers=bench.workers,
            recognition=RecognitionSettings.of(bench.settings),
            limits=ProcessingLimits(
                max_pixels=bench.settings.max_pixels,
                max_file_bytes=bench.settings.max_file_bytes,
                max_symbols=bench.settings.max_symbols,
                max_pages=bench.settings.max_pages,
            ),
            margin=bench.settings.crop_margin_percent / 100,
        )
    bench.tell_ledger(note_processed(bench.folders, processed, flow_run_id=bench.flow_run_id))
    return processed
