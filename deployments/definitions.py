"""What is deployed: each flow with its schedule and defaults, the same for `serve` and for workers.

`sheetflow serve` runs these itself. `prefect.yaml` says the same for a work pool; a test holds the
two against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from prefect import Flow
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.types.entrypoint import EntrypointType

from flows.audit import audit
from flows.force_archive import force_archive
from flows.ingest import ingest_sheet, ingest_sheets
from flows.review import review_sheet
from flows.status import processing_status
from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings

TAG = "sheetflow"
"""On every deployment, and so on every run of one: automations and clean-ups go by it."""

INGEST = "ingest-sheets/ingest-sheets"
"""The deployment that drains the inbox, `<flow>/<deployment>` as Prefect spells it."""

_ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)  # an anchor of now would move with each start
_NEVER_BESIDE_ITSELF = ConcurrencyLimitConfig(
    limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW
)


def deployments(settings: Settings) -> list[RunnerDeployment]:
    """Return the deployments, named like their flows, with the settings' schedules and defaults.

    Raises:
        ConfigurationError: A cron line is none.
    """
    root = {"root": str(settings.root)}
    sampled = {**root, "sample_percent": settings.audit_sample_percent}
    return [
        _deployment(ingest_sheets, root, schedule=ingest_schedule(settings), alone=True),
        _deployment(ingest_sheet, root),
        _deployment(review_sheet, root),
        _deployment(processing_status, root),
        _deployment(force_archive, root),
        _deployment(audit, sampled, schedule=audit_schedule(settings), alone=True),
    ]


def ingest_schedule(settings: Settings) -> Schedule | None:
    """Return when the inbox is drained; None if only on request and by the watcher."""
    if settings.ingest_cron:
        return _cron("SHEETFLOW_INGEST_CRON", settings.ingest_cron, settings.timezone)
    if settings.ingest_every_s:
        return Interval(
            timedelta(seconds=settings.ingest_every_s),
            anchor_date=_ANCHOR,
            timezone=settings.timezone,
        )
    return None


def audit_schedule(settings: Settings) -> Schedule | None:
    """Return when the archive is audited; None if only on request."""
    if settings.audit_cron in ("", "off"):
        return None
    return _cron("SHEETFLOW_AUDIT_CRON", settings.audit_cron, settings.timezone)


def _cron(variable: str, line: str, timezone: str) -> Schedule:
    try:
        return Cron(line, timezone=timezone)
    except ValueError as error:
        raise ConfigurationError(
            f"{variable} is no cron line: {line!r}",
            cure="Write five fields, such as 0 6 * * mon-fri for six o'clock on working days",
        ) from error


def _deployment(
    flow: Flow[..., Any],
    parameters: Mapping[str, object],
    *,
    schedule: Schedule | None = None,
    alone: bool = False,
) -> RunnerDeployment:
    made = flow.to_deployment(
        name=flow.name,
        parameters=dict(parameters),
        schedule=schedule,
        concurrency_limit=_NEVER_BESIDE_ITSELF if alone else None,
        tags=[TAG],
        # By module, not by file: a worker on another machine has the package, not this folder.
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    deployment = cast(RunnerDeployment, made)  # a coroutine only inside of an event loop
    # Said aloud, so that a deployment that was a work pool's before is taken away from it.
    deployment.work_pool_name = deployment.work_queue_name = None
    return deployment
