"""Runs that are known as alive, and the end of those that were killed without a word."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelled, Crashed

from sheetflow.custody.folders import Folders
from sheetflow.presence import departed, forget_run, present

logger = logging.getLogger("sheetflow.living")

_GONE = (
    "The process of this run was killed. Its sheets are safe where they were, and the next run "
    "takes them up."
)


@contextlib.contextmanager
def living(folders: Folders) -> Iterator[None]:
    """Be known as alive while a flow's body runs, having ended those that are not any more."""
    with present(folders, flow_run.get_id()):
        end_departed(folders)
        yield


def end_departed(folders: Folders) -> int:
    """Tell Prefect of the runs of this machine that were killed; it frees their slots.

    Returns:
        How many were told of.
    """
    gone = departed(folders)
    if not gone:
        return 0
    ended = 0
    with get_client(sync_client=True) as client:
        for run_id in gone:
            with contextlib.suppress(ObjectNotFound):  # another server's, or deleted meanwhile
                ended += _end(client, UUID(run_id))
            forget_run(folders, run_id)
    return ended


def _end(client: SyncPrefectClient, run_id: UUID) -> bool:
    state = client.read_flow_run(run_id).state
    if state is None or state.is_final() or state.is_scheduled() or state.is_paused():
        return False
    end = Cancelled if state.is_cancelling() else Crashed
    client.set_flow_run_state(run_id, end(message=_GONE), force=True)
    logger.warning("Run %s was killed; it is %s now", run_id, end.__name__.lower())
    return True
