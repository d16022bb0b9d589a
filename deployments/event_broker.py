"""How events travel inside our own Prefect server: nothing is dropped, and states are kept once.

A broker as Prefect's setting `server.events.messaging_broker` asks for one: this module's name is
its value. Prefect's own, which keeps events in memory as this one does, throws away what comes
while 10,000 wait for a service, and the task runs concerned stay "Running" for ever; here
whoever publishes waits until the services have caught up. And the states of task runs go to the
recorder, to automations and to whoever watches the stream, but not into the event feed besides:
there each would be stored a second time, which takes more than all the rest of a task run.

Source: docs/decisions/0011-event-broker.md, which has the measurements.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from prefect.server.utilities import messaging
from prefect.server.utilities.messaging import StopConsumer

logger = logging.getLogger(f"prefect.server.{__name__}")

FEED = "event-persister"
STATES_OF_TASK_RUNS = "prefect.task-run."

_MANY = 2_000
"""So many events may wait for a service before those who publish are slowed down."""
_LOOK_AGAIN_S = 0.02
_PATIENCE_S = 2.0
"""A service that publishes while its own events wait cannot wait for itself: it goes on after."""
_AT_ONCE = 2
_TRIES = 4


@dataclass
class _Message:
    data: bytes
    attributes: Mapping[str, Any]
    tries: int = 0


class Subscription:
    """The events that wait for one service."""

    def __init__(self, topic: str, *, without_task_runs: bool = False) -> None:
        self.topic = topic
        self.queue: asyncio.Queue[_Message] = asyncio.Queue()
        self._without_task_runs = without_task_runs

    def deliver(self, data: bytes, attributes: Mapping[str, Any]) -> None:
        """Queue an event for the service, if it is for it."""
        event = str(attributes.get("event", "")) if self._without_task_runs else ""
        if not event.startswith(STATES_OF_TASK_RUNS):
            self.queue.put_nowait(_Message(data, attributes))


_subscriptions: dict[str, list[Subscription]] = {}
_broken = False


class Publisher(messaging.Publisher):
    """Hands events to every service that subscribed to their topic."""

    def __init__(
        self,
        topic: str,
        cache: messaging.Cache | None = None,
        deduplicate_by: str | None = None,
    ) -> None:
        self._topic = topic
        self._cache = cache
        self._deduplicate_by = deduplicate_by

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def publish_data(self, data: bytes, attributes: Mapping[str, str]) -> None:
        """Hand one event on, and wait while a service is far behind."""
        if _broken:
            raise ValueError("oops")
        if self._deduplicate_by and self._cache:
            new = await self._cache.without_duplicates(
                self._deduplicate_by, [_Message(data, attributes)]
            )
            if not new:
                return  # a client that was cut off sends again what it is not sure of
        for subscription in _subscriptions.get(self._topic, ()):
            subscription.deliver(data, attributes)
        waited_s = 0.0
        while waited_s < _PATIENCE_S and self._is_far_behind():
            await asyncio.sleep(_LOOK_AGAIN_S)
            waited_s += _LOOK_AGAIN_S

    def _is_far_behind(self) -> bool:
        return any(one.queue.qsize() > _MANY for one in _subscriptions.get(self._topic, ()))


class Consumer(messaging.Consumer):
    """Gives a service its events, two at a time, and again those that it failed on."""

    def __init__(
        self,
        topic: str,
        subscription: Subscription | None = None,
        group: str | None = None,
        **_: Any,
    ) -> None:
        super().__init__(topic)
        self._subscription = subscription or _subscribe(topic, without_task_runs=group == FEED)

    async def run(self, handler: messaging.MessageHandler) -> None:
        """Serve until the handler, or whoever runs this, ends it."""
        try:
            async with asyncio.TaskGroup() as loops:
                for _ in range(_AT_ONCE):
                    loops.create_task(self._serve(handler))
        except* StopConsumer:
            pass

    async def cleanup(self) -> None:
        """Take no more events."""
        _unsubscribe(self._subscription)

    async def _serve(self, handler: messaging.MessageHandler) -> None:
        queue = self._subscription.queue
        while True:
            message = await queue.get()
            try:
                await handler(message)
            except StopConsumer as stop:
                if not stop.ack:
                    queue.put_nowait(message)
                raise
            except Exception:
                message.tries += 1
                logger.exception("An event could not be handled, try %d", message.tries)
                if message.tries < _TRIES:
                    queue.put_nowait(message)


@asynccontextmanager
async def ephemeral_subscription(topic: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """Subscribe for the length of the block; yields what a `Consumer` of it is made with."""
    subscription = _subscribe(topic)
    try:
        yield {"topic": topic, "subscription": subscription}
    finally:
        _unsubscribe(subscription)


@asynccontextmanager
async def break_topic() -> AsyncGenerator[None, None]:
    """Refuse every event inside the block; Prefect asks each broker for this, for its tests."""
    global _broken
    _broken = True
    try:
        yield
    finally:
        _broken = False


def _subscribe(topic: str, *, without_task_runs: bool = False) -> Subscription:
    subscription = Subscription(topic, without_task_runs=without_task_runs)
    _subscriptions.setdefault(topic, []).append(subscription)
    return subscription


def _unsubscribe(subscription: Subscription) -> None:
    waiting = _subscriptions.get(subscription.topic, [])
    if subscription in waiting:
        waiting.remove(subscription)
