"""Put on record what a person has decided about a sheet."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.custody.folders import Folders
from sheetflow.custody.journal import Entry
from sheetflow.custody.lookup import Found
from sheetflow.custody.reviewing import reject_sheet, reread_sheet, settle_sheet
from sheetflow.review.answers import Answers


@task(task_run_name="settle {found.label}", cache_policy=NO_CACHE)
def settle(
    folders: Folders,
    found: Found,
    answers: Answers,
    *,
    by: str,
    note: str,
    flow_run_id: str | None,
) -> Entry:
    """Store a person's decisions about a sheet, if they settle it; never tried twice."""
    return settle_sheet(folders, found, answers, by=by, note=note, flow_run_id=flow_run_id)


@task(task_run_name="reject {found.label}", cache_policy=NO_CACHE)
def reject(
    folders: Folders, found: Found, reason: str, *, by: str, flow_run_id: str | None
) -> Entry:
    """Put a sheet into quarantine because a person wants none of it stored."""
    return reject_sheet(folders, found, reason, by=by, flow_run_id=flow_run_id)


@task(task_run_name="reread {found.label}", cache_policy=NO_CACHE)
def reread(folders: Folders, found: Found, *, by: str, note: str, flow_run_id: str | None) -> Entry:
    """Have a sheet read again from the start."""
    return reread_sheet(folders, found, by=by, note=note, flow_run_id=flow_run_id)
