"""The emergency lever as a flow: archive one sheet without proof, on a person's order."""

from __future__ import annotations

from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.runtime import flow_run
from prefect.states import Completed, Failed
from pydantic import Field

from flows.beginning import begin
from flows.forms import Text
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced_steps import settle_forced
from sheetflow.custody.forcing import Plan, plan_force
from sheetflow.custody.journal import whoami
from sheetflow.custody.names import shown_name
from sheetflow.errors import SheetflowError
from sheetflow.store.connection import Store
from sheetflow.store.reach import store_at_hand
from tasks.force import force, undo


@flow(
    name="force-archive",
    flow_run_name="force-archive",
    description="For emergencies only: archive a staged sheet WITHOUT proof that its pairs are "
    "stored. Run it once without the tick to see what would be missing in MongoDB. Who, when, why "
    "and what was not stored goes into the ledger, and it can be taken back.",
)
def force_archive(
    reason: Annotated[str, Field(min_length=3)],
    name: Text = "",
    confirmed: bool = False,
    by: Text = "",
    take_back: bool = False,
    root: Text = "",
) -> RunState[None]:
    """Archive a staged sheet on a person's order, without proof that it is stored.

    Args:
        reason: Why it cannot wait for its upload; kept in the ledger.
        name: The staged sheet: any of its names, or the first digits of its SHA-256. Empty: the
            only sheet that is staged.
        confirmed: Leave this off at first: the run then fails, and shows what is stored and what
            is not. Tick it to archive the sheet all the same.
        by: Your name, for the ledger. Empty: the account that runs the worker.
        take_back: Take back an earlier force-archive: the named sheet returns to staging.
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
    """
    settings = begin(root)
    folders, who = settings.folders, f"{by} (through {whoami()})" if by else whoami()
    settle_forced(folders)
    with store_at_hand(settings, start=True) as at_hand:
        try:
            if take_back:
                return _taken_back(folders, at_hand.store, name, reason=reason, by=who)
            plan = plan_force(folders, name or None, at_hand.store)
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
    folders: Folders, store: Store | None, name: str, *, reason: str, by: str
) -> RunState[None]:
    if not name:
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
