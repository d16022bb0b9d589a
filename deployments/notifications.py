"""Who is told, brought about in Prefect by one step that can be done again at any time."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import uuid4

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.events import Event, Resource
from prefect.events.actions import ActionTypes
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import PrefectException
from prefect.settings import PREFECT_UI_URL

from deployments.automations import (
    Change,
    bring_about,
    crashed_automation,
    late_automation,
    notices_automation,
    zombie_automation,
)
from deployments.channels import (
    NOTICE,
    Channel,
    Words,
    channels,
    crashed_words,
    keep_block,
    late_words,
    remove_blocks,
)
from flows.delivery import REPEAT, TEST_EVENT, deliver
from sheetflow.settings import Settings

logger = logging.getLogger("sheetflow.notifications")

_TEST_TIMEOUT_S = 60.0


def set_up_notifications(settings: Settings) -> list[Change]:
    """Make Prefect's blocks and automations be as the settings say, and remove what was before.

    Returns:
        What was done, one line for each channel and automation.

    Raises:
        ConfigurationError: A channel cannot work as it is set.
    """
    ways = channels(settings)
    with get_client(sync_client=True) as client:
        changes = [Change(way.label, keep_block(way)) for way in ways]
        changes += bring_about(client, _automations(client, ways), only=True)
        # Last, because no automation may be left that sends through a block that is gone.
        gone = remove_blocks(client, keep={way.name for way in ways})
    return [*changes, *(Change(name, "removed") for name in gone)]


def keep_notifications(settings: Settings) -> None:
    """Set up the channels that the settings name, if any; for serving, which goes on without."""
    if not channels(settings):
        return  # what was set up with other settings is not for a mere start to remove
    try:
        set_up_notifications(settings)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Notifications cannot be set up now, run `sheetflow notify`: %s", error)


@dataclass(frozen=True)
class Tried:
    """A test message on one channel: why it was not sent, None if it was."""

    channel: str
    problem: str | None


def try_channels(settings: Settings) -> list[Tried]:
    """Send a test message through every channel, as a notice would travel, and tell how it went."""
    ways = channels(settings)
    event_id = uuid4()
    event = Event(
        id=event_id,
        event=TEST_EVENT,
        resource=Resource({"prefect.resource.id": TEST_EVENT, REPEAT: str(event_id)}),
        payload={
            "subject": f"sheetflow: a test message from {socket.gethostname()}",
            "body": "If you can read this, sheetflow can tell you what is the matter.",
            "news": "test",
        },
    )
    with get_client(sync_client=True) as client:
        [deliveries] = deliver(client, [event], timeout_s=_TEST_TIMEOUT_S)
    heard = {delivery.action: delivery.problem for delivery in deliveries or ()}
    silence = f"nothing was heard of it for {_TEST_TIMEOUT_S:.0f} seconds"
    return [Tried(way.label, heard.get(index, silence)) for index, way in enumerate(ways)]


def _automations(client: SyncPrefectClient, ways: Sequence[Channel]) -> list[AutomationCore]:
    if not ways:
        return [zombie_automation()]
    ui_url = PREFECT_UI_URL.value().rstrip("/")

    def saying(words: Words) -> list[ActionTypes]:
        return [way.action(client, words) for way in ways]

    return [
        notices_automation(saying(NOTICE)),
        crashed_automation(saying(crashed_words(ui_url))),
        late_automation(saying(late_words(ui_url))),
        zombie_automation(),
    ]
