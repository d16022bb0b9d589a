"""The automations that sheetflow makes in Prefect: who is told, and which runs are dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ActionTypes, ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

from flows.delivery import EVENTS, OWNER, REPEAT

FLOWS = (
    "ingest-sheets",
    "ingest-sheet",
    "review-sheet",
    "processing-status",
    "force-archive",
    "audit",
)
"""The names of our flows: automations leave the runs of other flows alone."""

DEAD_AFTER = timedelta(seconds=90)
"""A run that has sent heartbeats, one every 30 s, and then falls silent for so long is dead."""

_ONCE_AN_HOUR = timedelta(hours=1)
_HEARTBEAT = "prefect.flow-run.heartbeat"


def notices_automation(actions: Sequence[ActionTypes]) -> AutomationCore:
    """Send each of sheetflow's own notices through every channel."""
    return AutomationCore(
        name="sheetflow: tell people",
        description="Each notice of sheetflow goes to every channel; see `sheetflow notify`.",
        trigger=EventTrigger(
            expect=set(EVENTS),
            for_each={REPEAT},
            posture=Posture.Reactive,
            threshold=1,
            within=_ONCE_AN_HOUR,
        ),
        actions=list(actions),
        owner_resource=OWNER,
    )


def crashed_automation(actions: Sequence[ActionTypes]) -> AutomationCore:
    """Tell of a run that crashed; of one in an hour, however many there are."""
    return AutomationCore(
        name="sheetflow: tell of crashed runs",
        description="A crashed run of sheetflow is told to every channel, but only one in an "
        "hour; see `sheetflow notify`.",
        trigger=EventTrigger(
            expect={"prefect.flow-run.Crashed"},
            match_related=_OUR_FLOWS,
            posture=Posture.Reactive,
            threshold=1,
            within=_ONCE_AN_HOUR,
        ),
        actions=list(actions),
        owner_resource=OWNER,
    )


def late_automation(
    actions: Sequence[ActionTypes], *, patience: timedelta = _ONCE_AN_HOUR
) -> AutomationCore:
    """Tell that runs are due and nothing takes them up: whoever should is dead, the server is not.

    Args:
        actions: The channels.
        patience: How long after a run was late another one must have begun.
    """
    return AutomationCore(
        name="sheetflow: tell of late runs",
        description="If a run of sheetflow is late and none begins for an hour, that is told to "
        "every channel; see `sheetflow notify`.",
        trigger=EventTrigger(
            after={"prefect.flow-run.Late"},
            expect={"prefect.flow-run.Running"},
            match_related=_OUR_FLOWS,
            posture=Posture.Proactive,
            threshold=1,
            within=patience,
        ),
        actions=list(actions),
        owner_resource=OWNER,
    )


def zombie_automation(*, silence: timedelta = DEAD_AFTER) -> AutomationCore:
    """Declare a run dead whose heartbeats have stopped, so that its slot is freed.

    Runs send heartbeats where `PREFECT_FLOWS_HEARTBEAT_FREQUENCY` is set, to 30 by default.

    Args:
        silence: How long nothing was heard of it; some heartbeats long, or the living are ended.
    """
    ends = ("Completed", "Failed", "Crashed", "Cancelled", "Cancelling", "Paused", "Suspended")
    return AutomationCore(
        name="sheetflow: end dead runs",
        description="A run of sheetflow whose heartbeats have stopped is marked as Crashed.",
        trigger=EventTrigger(
            after={_HEARTBEAT},
            expect={_HEARTBEAT, *(f"prefect.flow-run.{end}" for end in ends)},
            match_related=_OUR_FLOWS,
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=silence,
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED,
                message=f"no sign of life for {silence.seconds} seconds: its process is gone",
            )
        ],
        owner_resource=OWNER,
    )


_OUR_FLOWS: dict[str, str | list[str]] = {
    "prefect.resource.role": "flow",
    "prefect.resource.name": list(FLOWS),
}


@dataclass(frozen=True)
class Change:
    """What was done about an automation or a channel, for people."""

    name: str
    done: str


def bring_about(
    client: SyncPrefectClient, wanted: Sequence[AutomationCore], *, only: bool = False
) -> list[Change]:
    """Make the automations be as wanted; done again, it changes nothing.

    Args:
        client: The API.
        wanted: How they shall be; each is known by its name among those that sheetflow made.
        only: Whether others that sheetflow made before are removed.
    """
    there = {found.name: found for found in client.read_resource_related_automations(OWNER)}
    changes = [
        Change(automation.name, _bring_about(client, automation, there.get(automation.name)))
        for automation in wanted
    ]
    names = {automation.name for automation in wanted}
    for name, found in there.items() if only else ():
        if name not in names:
            client.delete_automation(found.id)
            changes.append(Change(name, "removed"))
    return changes


def _bring_about(
    client: SyncPrefectClient, wanted: AutomationCore, found: Automation | None
) -> str:
    if found is None:
        client.create_automation(wanted)
        return "made"
    if _content(found) == _content(wanted):
        return "unchanged"
    # Rebuilt from all that it says: an update sends only what was said expressly.
    client.update_automation(found.id, AutomationCore.model_validate(_content(wanted)))
    return "updated"


def _content(automation: AutomationCore) -> dict[str, Any]:
    # The server keeps the owner apart, and whether it is switched off is a person's to say.
    return automation.model_dump(exclude={"id", "owner_resource", "enabled"})
