"""The broker of our own Prefect server: nothing is dropped, states of task runs are kept once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect import flow, task
from prefect.events.worker import EventsWorker
from prefect.server.utilities.messaging.memory import Cache
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments import event_broker
from deployments.event_broker import Consumer, Publisher, ephemeral_subscription

STATE = "prefect.task-run.Completed"


@pytest.fixture
def topic() -> Iterator[str]:
    name = uuid4().hex
    yield name
    event_broker._subscriptions.pop(name, None)


def until(look: Callable[[], Any], is_enough: Callable[[Any], bool]) -> Any:
    """Look until it is enough, for a minute at most."""
    deadline = time.monotonic() + 60
    while not is_enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


async def publish(topic: str, *events: str, **options) -> None:
    async with Publisher(topic, **options) as publisher:
        for event in events:
            await publisher.publish_data(event.encode(), {"id": event, "event": event})


async def served(consumer: Consumer, count: int) -> list[str]:
    """Serve until `count` events have come; return them."""
    came: list[str] = []
    enough = asyncio.Event()

    async def handle(message) -> None:
        came.append(message.data.decode())
        if len(came) == count:
            enough.set()

    serving = asyncio.create_task(consumer.run(handle))
    await asyncio.wait_for(enough.wait(), 60)
    serving.cancel()
    return came


def test_a_service_that_is_far_behind_misses_nothing(topic, monkeypatch) -> None:
    monkeypatch.setattr(event_broker, "_PATIENCE_S", 0.0)

    async def scene() -> list[str]:
        consumer = Consumer(topic, group="task-run-recorder")
        await publish(topic, *map(str, range(12_000)))
        return await served(consumer, 12_000)

    assert asyncio.run(scene()) == [str(number) for number in range(12_000)]


def test_who_publishes_waits_for_a_service_that_is_behind(topic, monkeypatch) -> None:
    monkeypatch.setattr(event_broker, "_MANY", 3)
    monkeypatch.setattr(event_broker, "_PATIENCE_S", 60.0)

    async def scene() -> tuple[list[str], int]:
        consumer, most = Consumer(topic), 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, consumer._subscription.queue.qsize())
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        publishing = asyncio.create_task(publish(topic, *map(str, range(20))))
        came = await served(consumer, 20)
        await publishing
        watching.cancel()
        return came, most

    came, most = asyncio.run(scene())
    assert len(came) == 20
    assert most <= 4


def test_a_service_that_waits_for_itself_goes_on(topic, monkeypatch) -> None:
    monkeypatch.setattr(event_broker, "_MANY", 1)
    monkeypatch.setattr(event_broker, "_PATIENCE_S", 0.05)

    async def scene() -> int:
        consumer, seen = Consumer(topic), 0
        done = asyncio.Event()

        async def answer(message) -> None:  # as automations do
            nonlocal seen
            seen += 1
            if message.data == b"first":
                await publish(topic, *map(str, range(5)))
            if seen == 6:
                done.set()

        serving = asyncio.create_task(consumer.run(answer))
        await publish(topic, "first")
        await asyncio.wait_for(done.wait(), 60)
        serving.cancel()
        return seen

    assert asyncio.run(scene()) == 6


def test_the_feed_leaves_out_the_states_of_task_runs_and_others_do_not(topic) -> None:
    async def scene() -> list[list[str]]:
        consumers = [Consumer(topic, group=group) for group in ("event-persister", "recorder")]
        async with ephemeral_subscription(topic) as watching:
            consumers.append(Consumer(**watching))
            await publish(topic, STATE, "prefect.flow-run.Completed")
            return [
                await served(consumer, count)
                for consumer, count in zip(consumers, (1, 2, 2), strict=True)
            ]

    everything = [STATE, "prefect.flow-run.Completed"]
    assert asyncio.run(scene()) == [["prefect.flow-run.Completed"], everything, everything]


def test_an_event_that_is_sent_again_is_passed_on_once(topic) -> None:
    async def scene() -> list[str]:
        consumer = Consumer(topic)
        again = uuid4().hex
        await publish(topic, again, again, "last", cache=Cache(), deduplicate_by="id")
        return [event if event != again else "once" for event in await served(consumer, 2)]

    assert asyncio.run(scene()) == ["once", "last"]


def test_an_event_that_a_service_fails_on_is_tried_again_and_ends_nothing(topic) -> None:
    async def scene() -> list[str]:
        consumer = Consumer(topic)
        came: list[str] = []
        done = asyncio.Event()

        async def fail_at_first(message) -> None:
            came.append(message.data.decode())
            if came.count("bad") == 1 and message.data == b"bad":
                raise RuntimeError("the database is locked")
            if came.count("bad") == 2 and "good" in came:
                done.set()

        serving = asyncio.create_task(consumer.run(fail_at_first))
        await publish(topic, "bad", "good")
        await asyncio.wait_for(done.wait(), 60)
        serving.cancel()
        return came

    assert sorted(asyncio.run(scene())) == ["bad", "bad", "good"]


def test_our_server_has_every_state_of_a_task_run_once(prefect_server: str) -> None:
    @task
    def step() -> int:
        return 1

    @flow
    def three() -> None:
        for _ in range(3):
            step()

    with temporary_settings({PREFECT_API_URL: prefect_server}):
        run_id = str(three(return_state=True).state_details.flow_run_id)
        EventsWorker.instance().wait_until_empty()

    def asked(path: str, **body: object):
        answer = httpx.post(f"{prefect_server}{path}", content=json.dumps(body), timeout=30)
        answer.raise_for_status()
        return answer.json()

    chosen = {"id": {"any_": [run_id]}}
    runs = until(
        lambda: asked("/task_runs/filter", flow_runs=chosen),
        lambda found: len(found) == 3 and all(one["state_type"] == "COMPLETED" for one in found),
    )
    assert len(runs) == 3
    for one in runs:
        states = httpx.get(
            f"{prefect_server}/task_run_states/", params={"task_run_id": one["id"]}, timeout=30
        ).json()
        assert sorted(state["name"] for state in states) == ["Completed", "Pending", "Running"]

    def feed(resource: str) -> set[str]:
        events = asked("/events/filter", filter={"any_resource": {"id": [resource]}})["events"]
        return {event["event"] for event in events}

    ended = "prefect.flow-run.Completed"
    seen = until(lambda: feed(f"prefect.flow-run.{run_id}"), lambda events: ended in events)
    assert ended in seen
    assert not any(event.startswith("prefect.task-run.") for event in seen)
