"""Look at everything, and mend what was asked for."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.audit.report import Report, Unknown
from sheetflow.audit.run import audit
from sheetflow.audit.sampling import Sample
from sheetflow.settings import Settings


@task(name="audit", task_run_name="audit", cache_policy=NO_CACHE)
def examine(settings: Settings, sample: Sample, *, repair: bool, unknown: Unknown) -> Report:
    """Hold folders, journal, ledger, records and GridFS against each other."""
    return audit(settings, sample=sample, repair=repair, unknown=unknown)
