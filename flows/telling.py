"""Telling people how it goes: what is the matter becomes Prefect events, and those messages."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.context import SyncClientContext
from prefect.events import Event, RelatedResource, Resource
from prefect.runtime import flow_run

from flows.delivery import REPEAT, Delivery, deliver, notice_event
from flows.outcomes import Outcome
from flows.pages import flow_run_url
from sheetflow.audit.report import Problem
from sheetflow.errors import ConfigurationError, UsageError
from sheetflow.settings import Settings, load_settings
from sheetflow.sheets import State
from sheetflow.telling.figures import FIGURES, keep_figures
from sheetflow.telling.messages import message_of
from sheetflow.telling.notices import Kind, Notice, Told, Trouble, decide
from sheetflow.telling.steps import about
from sheetflow.telling.told import Memory, remembering
from sheetflow.telling.troubles import Missed, audit_troubles, run_trouble, troubles_in

logger = logging.getLogger("sheetflow.telling")

_SEND_TIMEOUT_S = 20.0
_CRASHED = f"{Kind.RUN}/Crashed"


def tell_of_sheets(settings: Settings, outcomes: Sequence[Outcome] = (), *, whole: bool) -> None:
    """Tell people, at the end of a run, what is the matter with the sheets and what is over.

    Args:
        settings: The run's.
        outcomes: What became of the sheets of this run.
        whole: Whether the run looked at all sheets.
    """
    missed = [
        Missed(outcome.name, outcome.sha256, outcome.failure)
        for outcome in outcomes
        if outcome.failure is not None and outcome.state is not State.REJECTED
    ]

    def look(memory: Memory, client: SyncPrefectClient) -> list[Trouble]:
        memory.told.update(_crashes(client, since=memory.at))
        rejected = memory.told.get(f"{Kind.REJECTED}/")
        return troubles_in(
            settings.folders,
            alert_age_s=settings.alert_age_s,
            missed=missed,
            known_rejected=rejected.sheets if rejected else (),
        )

    _tell(settings, look, unseen={Kind.AUDIT} if whole else {Kind.AUDIT, Kind.MISSED})
    _ended(settings, "ok" if all(outcome.ok for outcome in outcomes) else "trouble")


def tell_of_audit(settings: Settings, problems: Sequence[Problem], *, whole: bool) -> None:
    """Tell people what an audit found and, if it looked at everything, what it no longer finds."""
    unseen = set(Kind) - {Kind.AUDIT} if whole else set(Kind)
    _tell(settings, lambda *_: audit_troubles(problems), unseen=unseen)
    _ended(settings, "trouble" if problems else "ok")


@contextlib.contextmanager
def end_told(root: str) -> Iterator[None]:
    """Tell people if an error ends the run itself, before it can say what became of its sheets."""
    try:
        yield
    except UsageError:
        raise  # whoever asked for what cannot be is told by the run
    except Exception as error:
        trouble, settings = run_trouble(error), _settings_despite(root)
        # How far it came does not show whether another trouble is over.
        _tell(settings, lambda *_: [trouble], unseen=set(Kind))
        _ended(settings, "error")
        raise


def _settings_despite(root: str) -> Settings:
    try:
        return load_settings(root=root or None)
    except ConfigurationError:
        # A wrong setting is what there is to tell: for that, the root is all that is needed.
        return Settings.model_construct(root=Path(root or os.environ.get("SHEETFLOW_ROOT", ".")))


def _ended(settings: Settings, result: str) -> None:
    name = flow_run.get_flow_name() or "?"
    logger.info("%s ended: %s", name, result, extra=about("run-ended", flow=name, result=result))
    FIGURES.mark("run_ended", flow=name, result=result)
    keep_figures(settings.folders)


class _NotDelivered(Exception):
    """Prefect has the events, and none of our channels took a message in time."""


def _tell(
    settings: Settings,
    look: Callable[[Memory, SyncPrefectClient], Sequence[Trouble]],
    *,
    unseen: Collection[Kind],
) -> None:
    try:
        # The run's own client: to make another one takes a fifth of a second.
        with remembering(settings.folders) as memory, SyncClientContext.get_or_create() as context:
            client = context.client
            troubles = look(memory, client)
            now = datetime.now(UTC)
            again_after = timedelta(seconds=settings.notify_again_s)
            decision = decide(troubles, memory.told, at=now, again_after=again_after, unseen=unseen)
            if decision.notices:
                _send(client, settings, decision.notices, remembered=memory.kept)
            memory.told, memory.at = decision.told, now
    except Exception as error:  # noqa: BLE001 - a message must not cost a run its own verdict
        logger.warning(
            "People could not be told, the next run tells them: %s", error, extra=about("untold")
        )


def _crashes(client: SyncPrefectClient, *, since: datetime | None) -> dict[str, Told]:
    """Return what an automation has told meanwhile: that a run of this flow crashed."""
    if since is None:
        return {}
    crashed = client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[flow_run.get_flow_name()])),
        flow_run_filter=FlowRunFilter(
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.CRASHED])),
            end_time=FlowRunFilterEndTime(after_=since),
        ),
        limit=1,
    )
    return {_CRASHED: Told("a run crashed", since, since)} if crashed else {}


def _send(
    client: SyncPrefectClient,
    settings: Settings,
    notices: Sequence[Notice],
    *,
    remembered: bool,
) -> None:
    events = [_event(settings, notice, remembered=remembered) for notice in notices]
    found = deliver(client, events, timeout_s=_SEND_TIMEOUT_S if remembered else 0)
    for event, deliveries in zip(events, found, strict=True):
        logger.info("%s", event.payload["subject"], extra=about("told"))
        for delivery in deliveries or ():
            if delivery.problem is not None:
                logger.warning(
                    "A message was not sent: %s", delivery.problem, extra=about("untold")
                )
    if remembered and any(not _arrived(deliveries) for deliveries in found):
        raise _NotDelivered("no message was sent; `sheetflow notify --test` tries each channel")


def _arrived(deliveries: Sequence[Delivery] | None) -> bool:
    return deliveries is None or any(delivery.problem is None for delivery in deliveries)


def _event(settings: Settings, notice: Notice, *, remembered: bool) -> Event:
    about = notice.about.strip("/").replace("/", ".") or "all"
    where = f"{socket.gethostname()}:{settings.root.expanduser().absolute()}"
    run_id = flow_run.get_id()
    url = flow_run_url(run_id) if run_id else None
    message = message_of(notice, where=where, url=url)
    related = [
        {
            "prefect.resource.id": f"sheetflow.sheet.{quote(name)}",
            "prefect.resource.role": "sheet",
            "prefect.resource.name": name,
        }
        for name in message["sheets"]
    ]
    if run_id:
        run = {"prefect.resource.id": f"prefect.flow-run.{run_id}"}
        related.append({**run, "prefect.resource.role": "flow-run"})
    event_id = uuid4()
    return Event(
        id=event_id,
        event=notice_event(notice.news),
        resource=Resource(
            {
                "prefect.resource.id": f"sheetflow.{about}",
                "prefect.resource.name": message["subject"],
                # What cannot be remembered here is damped by the automation.
                REPEAT: str(event_id) if remembered else about,
            }
        ),
        related=[RelatedResource(labels) for labels in related],
        payload=message,
    )
