"""Review runs: asked for, found again, and ended when their sheet waits no longer.

There is one for each sheet that waits, as far as the setting allows; each bears the first digits of
the sheet's digest as a tag. They are brought in line at the end of each ingest: a run that was
cancelled, has crashed or never came to wait is asked for anew, and one whose sheet was settled
elsewhere is ended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import DeploymentStatus, FlowRun, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.context import SyncClientContext
from prefect.events import emit_event
from prefect.exceptions import PrefectException
from prefect.input.run_input import keyset_from_base_key
from prefect.states import Cancelled, Completed

from sheetflow.custody.names import shown_name
from sheetflow.custody.waiting import WaitingReview, waiting_reviews
from sheetflow.settings import Settings

logger = logging.getLogger("sheetflow.review")

FLOW = "review-sheet"
TAG = "review"
WAITING_EVENT = "sheetflow.review.waiting"

_SHEET_TAG = "sheet:"
_DIGITS = 16
_UNFINISHED = [
    StateType.SCHEDULED,
    StateType.PENDING,
    StateType.RUNNING,
    StateType.PAUSED,
    StateType.CANCELLING,
]
_STALLED_S = 900.0
"""A review run works for seconds; one that has "run" for so long has lost its process."""
_FORM_IS_LATE_S = 60.0
_PAGE = 200
_KEYS = 5
_TOLD_AT_MOST = 50


def tend_reviews(settings: Settings) -> None:
    """Bring the review runs in line with the sheets that wait; called where an ingest ends.

    Asks for runs that are missing, at most `reviews_at_once` waiting at a time, the sheet that
    waits longest first; ends runs whose sheet waits no longer; and tells that sheets wait. Without
    a deployment of review-sheet, nothing is asked for. Trouble with the API is told and left to the
    next time: the sheets themselves are safe.
    """
    waiting = waiting_reviews(settings.folders)
    try:
        # The run's own client: to make another one takes a fifth of a second.
        with SyncClientContext.get_or_create() as context:
            deployment = _deployment(context.client, settings)
            if deployment is not None:
                _bring_in_line(context.client, deployment, settings, waiting)
        if waiting:
            tell_waiting(waiting)
    except (httpx.HTTPError, PrefectException) as error:
        logger.warning("Review runs are brought in line by the next run: %s", error)


def tell_waiting(waiting: Sequence[WaitingReview]) -> None:
    """Emit one event, `sheetflow.review.waiting`, about all the sheets that wait for a person.

    Its payload: `count`, `oldest_age_s`, and `sheets`, those that wait longest first, each as
    `WaitingReview.to_json` has it. One event however many sheets wait, so that an automation sends
    one message.
    """
    emit_event(
        event=WAITING_EVENT,
        resource={"prefect.resource.id": "sheetflow.reviews", "prefect.resource.name": "reviews"},
        payload={
            "count": len(waiting),
            "oldest_age_s": round(max(item.age_s for item in waiting), 1),
            "sheets": [item.to_json() for item in waiting[:_TOLD_AT_MOST]],
        },
    )


def other_review(run: FlowRun, sha256: str) -> FlowRun | None:
    """Return another run that waits for the review of the same sheet, and has the first claim."""
    with SyncClientContext.get_or_create() as context:
        client = context.client
        others = [
            other
            for other in _runs_of(client, _UNFINISHED, tags=[sheet_tag(sha256)])
            if other.id != run.id and not _is_lost(client, other)
        ]
    waiting = [other for other in others if other.state_type is StateType.PAUSED]
    return waiting[0] if waiting else None


def label_run(run: FlowRun, sha256: str) -> None:
    """Tag a run that a person has started by hand, so that no second one is asked for."""
    if sheet_tag(sha256) not in run.tags:
        with SyncClientContext.get_or_create() as context:
            context.client.update_flow_run(run.id, tags=[*run.tags, TAG, sheet_tag(sha256)])


def sheet_tag(sha256: str) -> str:
    """Return the tag of a sheet's review runs."""
    return f"{_SHEET_TAG}{sha256[:_DIGITS]}"


def _deployment(client: SyncPrefectClient, settings: Settings) -> DeploymentResponse | None:
    """Return the deployment of review-sheet: one that is served now rather than any other."""
    found = client.read_deployments(flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])))
    ours = [it for it in found if _is_ours(it.parameters, settings) is not False]
    ready = sorted(ours, key=lambda it: (it.status is not DeploymentStatus.READY, it.name))
    return ready[0] if ready else None


def _is_ours(parameters: Mapping[str, Any], settings: Settings) -> bool | None:
    """Tell whether parameters name this data root, of several that may share an API.

    None if they leave it to the process that runs them.
    """
    root = parameters.get("root")
    return None if root is None else Path(str(root)).expanduser().absolute() == _root(settings)


def _root(settings: Settings) -> Path:
    return settings.root.expanduser().absolute()


def _bring_in_line(
    client: SyncPrefectClient,
    deployment: DeploymentResponse,
    settings: Settings,
    waiting: Sequence[WaitingReview],
) -> None:
    wanted = {sheet_tag(item.sha256) for item in waiting}
    asked: set[str] = set()
    for run in list(_runs_of(client, _UNFINISHED, tags=[TAG])):
        tag = next((tag for tag in run.tags if tag.startswith(_SHEET_TAG)), None)
        if tag is None or (tag not in wanted and not _is_ours(run.parameters, settings)):
            continue
        if _is_lost(client, run):
            message = "Its process is gone, or its form was never saved; it is asked for anew."
            client.set_flow_run_state(run.id, Cancelled(message=message), force=True)
        elif tag not in wanted and run.state_type is StateType.PAUSED:
            message = "Its sheet was settled elsewhere and waits for no review any more."
            client.set_flow_run_state(run.id, Completed(message=message))
        else:
            asked.add(tag)
    missing = [item for item in waiting if sheet_tag(item.sha256) not in asked]
    for item in missing[: max(settings.reviews_at_once - len(asked), 0)]:
        _ask_for(client, deployment.id, settings, item)


def _ask_for(
    client: SyncPrefectClient, deployment_id: UUID, settings: Settings, item: WaitingReview
) -> None:
    # Two ingests that end at once count the same runs, so they make the same key, and one run.
    tags = [TAG, sheet_tag(item.sha256)]
    earlier = sum(1 for _ in _runs_of(client, None, tags=[sheet_tag(item.sha256)]))
    for number in range(earlier, earlier + _KEYS):
        run = client.create_flow_run_from_deployment(
            deployment_id,
            parameters={
                "sheet": shown_name(item.name),
                "sha256": item.sha256,
                "root": str(_root(settings)),
            },
            tags=tags,
            idempotency_key=f"review-{item.sha256}-{item.reviews}-{number}",
        )
        if run.state is None or not run.state.is_final():
            break  # else a run that has ended has the key, and somebody has taken its tags away
    logger.info("%s [%s]: a review run was asked for", shown_name(item.name), item.sha256[:8])


def _runs_of(
    client: SyncPrefectClient, states: Sequence[StateType] | None, *, tags: list[str]
) -> Iterable[FlowRun]:
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=tags),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(states)))
        if states
        else None,
    )
    offset = 0
    while page := client.read_flow_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=[FLOW])),
        flow_run_filter=wanted,
        limit=_PAGE,
        offset=offset,
    ):
        yield from page
        offset += len(page)


def _is_lost(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Tell whether an unfinished run will never be answered, nor end by itself."""
    if run.state is None or run.state.timestamp is None:
        return False
    age_s = (datetime.now(UTC) - run.state.timestamp).total_seconds()
    if run.state.is_paused():
        # Prefect saves the form after the state: killed in between, nobody can ever answer.
        return age_s > _FORM_IS_LATE_S and not _has_form(client, run)
    return run.state.type in (StateType.PENDING, StateType.RUNNING) and age_s > _STALLED_S


def _has_form(client: SyncPrefectClient, run: FlowRun) -> bool:
    key = keyset_from_base_key(f"suspended-{run.state.state_details.pause_key}")["schema"]  # type: ignore[union-attr]
    saved: list[Any] = client.filter_flow_run_input(
        flow_run_id=run.id, key_prefix=key, limit=1, exclude_keys=set()
    )
    return bool(saved)
