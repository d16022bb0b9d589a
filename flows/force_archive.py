"""The emergency lever as a flow: archive one sheet without proof, on a person's order."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from sheetflow.custody.folders import Folders, prepare_folders
from sheetflow.custody.forced_steps import settle_forced
from sheetflow.custody.forcing import Plan, plan_force
from sheetflow.custody.journal import whoami
from sheetflow.custody.names import shown_name
from sheetflow.errors import SheetflowError
from sheetflow.settings import load_settings
from sheetflow.store.connection import Store
from sheetflow.store.reach import store_at_hand
from tasks.force import force, undo

Name = Annotated[
    str | None,
    Field(
        description="The staged sheet: any of its names, or the first digits of its SHA-256. "
        "Empty: the only sheet that is staged."
    ),
]
Reason = Annotated[
    str,
    Field(min_length=3, description="Why it cannot wait for its upload; kept in the ledger."),
]
By = Annotated[
    str | None,
    Field(description="Your name, for the ledger. Empty: the account that runs the worker."),
]
Confirmed = Annotated[
    bool,
    Field(
        description="Leave this off at first: the run then fails and shows what is stored and what "
        "is not. Tick it to archive the sheet all the same."
    ),
]
TakeBack = Annotated[
    bool,
    Field(description="Take back an earlier force-archive: the named sheet returns to staging."),
]
Root = Annotated[
    Path | None, Field(description="The data root. Empty: SHEETFLOW_ROOT, or the current folder.")
]


@flow(name="force-archive", flow_run_name="force-archive", validate_parameters=True)
def force_archive(
    reason: Reason,
    name: Name = None,
    confirmed: Confirmed = False,
    by: By = None,
    take_back: TakeBack = False,
    root: Root = None,
) -> RunState[None]:
    """Archive a staged sheet WITHOUT proof that its pairs are stored. For emergencies only.

    Run it once without the tick to see what would be lost to MongoDB. Who, when, why and what was
    not stored goes into the ledger; the work products are kept, so that it can be taken back.
    """
    settings = load_settings(root=root)
    folders, who = settings.folders, f"{by} (through {whoami()})" if by else whoami()
    prepare_folders(folders)
    settle_forced(folders)
    with store_at_hand(settings, start=True) as at_hand:
        try:
            if take_back:
                return _taken_back(folders, at_hand.store, name, reason=reason, by=who)
            plan = plan_force(folders, name, at_hand.store)
            _show(plan, reason)
            if not confirmed:
                return Failed(message=f"Not confirmed, and nothing was moved. {_told(plan)}")
            force(
                plan,
                folders,
                at_hand.store,
                reason=reason,
                by=who,
                confirmed=confirmed,
                flow_run_id=flow_run.get_id(),
            )
        except SheetflowError as error:
            return Failed(message=str(error))
    return Completed(message=f"Archived by force. {_told(plan)}")


def _taken_back(
    folders: Folders, store: Store | None, name: str | None, *, reason: str, by: str
) -> RunState[None]:
    if name is None:
        return Failed(message="Name the sheet whose force-archive shall be taken back.")
    done = undo(name, folders, store, reason=reason, by=by)
    back = shown_name(done.record.before.name)
    return Completed(message=f"{back} is back in staging, {done.record.before.state}.")


def _told(plan: Plan) -> str:
    return f"{shown_name(plan.found.path.name)}: {plan.standing.told()}."


def _show(plan: Plan, reason: str) -> None:
    standing = plan.standing
    lines = [
        f"# Force-archive of `{shown_name(plan.found.path.name)}`",
        f"SHA-256 `{plan.sha256}`, state {plan.found.state}. Reason: {reason}",
        f"**{standing.told()}.**",
        *(f"- {trouble}" for trouble in plan.troubles),
        *(f"- stored: `{code}`" for code in standing.stored),
        *(f"- NOT stored: `{code}`" for code in standing.unstored),
    ]
    create_markdown_artifact(
        key="force-archive", markdown="\n\n".join(lines), description=_told(plan)
    )
