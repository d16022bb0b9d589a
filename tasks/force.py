"""Archive a sheet by force, or take that back."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from sheetflow.custody.folders import Folders
from sheetflow.custody.forced_steps import Forced
from sheetflow.custody.forcing import Plan, force_archive, sheet_to_undo, undo_force
from sheetflow.store.connection import Store


@task(task_run_name="force {plan.found.path.name}", cache_policy=NO_CACHE)
def force(
    plan: Plan,
    folders: Folders,
    store: Store | None,
    *,
    reason: str,
    by: str,
    confirmed: bool,
    flow_run_id: str | None,
) -> Forced:
    """Archive a staged sheet on a person's order, and put that on record; never tried twice."""
    return force_archive(
        folders,
        plan.found,
        reason=reason,
        by=by,
        confirmed=confirmed,
        store=store,
        flow_run_id=flow_run_id,
    )


@task(task_run_name="undo force {name}", cache_policy=NO_CACHE)
def undo(name: str, folders: Folders, store: Store | None, *, reason: str, by: str) -> Forced:
    """Bring a sheet that was archived by force back to staging."""
    found = sheet_to_undo(folders, name)
    return undo_force(folders, found, reason=reason, by=by, store=store)
