"""Prefect's Redis broker, for a server of several processes, with our rule for the event feed.

States of task runs go to the recorder, to automations and to whoever watches, but not into the
feed besides, as in `deployments.event_broker`. Needs `prefect-redis`; this module's name is the
value of `PREFECT_SERVER_EVENTS_MESSAGING_BROKER`.
"""

from __future__ import annotations

from typing import Any

from prefect.server.utilities.messaging import Message, MessageHandler
from prefect_redis import messaging  # type: ignore[import-not-found]
from prefect_redis.messaging import (  # type: ignore[import-not-found]
    Publisher,
    break_topic,
    ephemeral_subscription,
)

from deployments.event_broker import FEED, STATES_OF_TASK_RUNS

__all__ = ["Consumer", "Publisher", "break_topic", "ephemeral_subscription"]

_AT_ONCE = 100


class Consumer(messaging.Consumer):  # type: ignore[misc] # prefect-redis is not installed here
    """Gives a service its events; the feed is not given the states of task runs."""

    def __init__(self, topic: str, *, group: str | None = None, **options: Any) -> None:
        self._is_feed = group == FEED
        if self._is_feed:
            options["read_batch_size"] = _AT_ONCE
        super().__init__(topic, group=group, **options)

    async def run(self, handler: MessageHandler) -> None:
        """Serve until the handler, or whoever runs this, ends it."""
        await super().run(_without_task_runs(handler) if self._is_feed else handler)


def _without_task_runs(handler: MessageHandler) -> MessageHandler:
    async def handle(message: Message) -> None:
        event = str((message.attributes or {}).get("event", ""))
        if not event.startswith(STATES_OF_TASK_RUNS):
            await handler(message)

    return handle
