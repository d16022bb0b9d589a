"""Events that stand for a message to people: sent to Prefect, and followed to their receivers."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prefect.client.orchestration import SyncPrefectClient
from prefect.events import Event
from prefect.events.filters import EventFilter, EventNameFilter, EventRelatedFilter
from prefect.events.schemas.automations import Automation, EventTrigger

from sheetflow.telling.notices import News

OWNER = "sheetflow.notifications"
"""The resource that owns the automations which sheetflow makes: they are known by it."""

REPEAT = "sheetflow.repeat"
"""The label of an event whose value, seen twice within the hour, makes one message."""


def notice_event(news: str) -> str:
    """Return the name of the event that stands for a message; no other event begins like it."""
    return f"sheetflow.notice.{news}"


TEST_EVENT = notice_event("test")
EVENTS = frozenset({*map(notice_event, News), TEST_EVENT})
"""The events on which a message is sent."""

_SENT = "prefect.automation.action.executed"
_UNSENT = "prefect.automation.action.failed"
_OK_BELOW = 300
_LOOK_EVERY_S = 0.3


@dataclass(frozen=True)
class Delivery:
    """What became of one message on one channel.

    Attributes:
        action: The channel's place among the automation's actions.
        problem: Why it was not sent; None if it was.
    """

    action: int
    problem: str | None


def deliver(
    client: SyncPrefectClient, events: Sequence[Event], *, timeout_s: float
) -> list[list[Delivery] | None]:
    """Send events to Prefect and wait until our automation's actions have dealt with them.

    Args:
        client: The API.
        events: What to send.
        timeout_s: How long to wait for the actions.

    Returns:
        For each event what became of it on each channel that was heard of in time; None if no
        automation of ours sends it anywhere.

    Raises:
        httpx.HTTPError: Prefect did not take the events.
    """
    body = [event.model_dump(mode="json") for event in events]
    client.request("POST", "/events", json=body).raise_for_status()
    channels = _channels(client)
    found: list[list[Delivery] | None] = [[] if channels else None for _ in events]
    deadline = time.monotonic() + timeout_s
    waiting = set(range(len(events))) if channels else set()
    while waiting and time.monotonic() < deadline:
        time.sleep(_LOOK_EVERY_S)
        for index in sorted(waiting):
            found[index] = heard = _heard(client, events[index])
            if len(heard) >= channels:
                waiting.discard(index)
    return found


def _channels(client: SyncPrefectClient) -> int:
    automations = client.read_resource_related_automations(OWNER)
    return sum(len(ours.actions) for ours in automations if ours.enabled and _sends(ours))


def _sends(automation: Automation) -> bool:
    return isinstance(automation.trigger, EventTrigger) and automation.trigger.expect >= EVENTS


def _heard(client: SyncPrefectClient, event: Event) -> list[Delivery]:
    about_it = EventFilter(
        event=EventNameFilter(name=[_SENT, _UNSENT]),
        related=EventRelatedFilter(id=[f"prefect.event.{event.id}"]),
    )
    return [
        _delivery(done.event, done.payload)
        for done in client.read_events(about_it, limit=50).events
    ]


def _delivery(event: str, payload: Mapping[str, object]) -> Delivery:
    index, status = payload.get("action_index"), payload.get("status_code")
    action = index if isinstance(index, int) else 0
    if event == _UNSENT:
        words = payload.get("notification_log") or payload.get("reason")
        return Delivery(action, str(words).strip())
    if isinstance(status, int) and status >= _OK_BELOW:
        # The action itself takes any answer for a good one.
        return Delivery(action, f"the receiver answered with HTTP status {status}")
    return Delivery(action, None)
