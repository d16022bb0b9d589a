"""Where every sheet stands, as a page in the Prefect UI."""

from __future__ import annotations

from datetime import UTC, datetime

from prefect import flow
from prefect.artifacts import create_markdown_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed

from flows.beginning import begin
from flows.forms import Text
from flows.pages import table
from sheetflow.custody.names import shown_name
from sheetflow.settings import Settings
from sheetflow.status import SystemStatus, system_status
from sheetflow.store.reach import StoreFigures, store_figures

_SHOWN_AT_MOST = 200


@flow(
    name="processing-status",
    flow_run_name="processing status",
    description="Show where every sheet stands: waiting, staged, awaiting its upload, held, "
    "failed, archived. The page is the run's artifact; it is right while MongoDB is away too.",
)
def processing_status(root: Text = "") -> RunState[None]:
    """Show where every sheet stands, from the folders and the journal.

    Args:
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
    """
    settings = begin(root)
    now, stored = system_status(settings.folders), store_figures(settings)
    create_markdown_artifact(
        key="processing-status", markdown=_page(settings, now, stored), description=now.told()
    )
    return Completed(message=now.told())


def _page(settings: Settings, now: SystemStatus, stored: StoreFigures | None) -> str:
    folders = settings.folders
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    places = table(
        ["place", "sheets", "folder"],
        [
            ["waiting in the inbox", now.waiting, folders.inbox],
            ["staged", now.staged, folders.staging],
            ["· awaiting their upload", now.awaiting_upload, None],
            ["· need a review", now.needs_review, None],
            ["· failed last time", now.failed, None],
            ["archived", now.archived, folders.archive],
            ["rejected", now.rejected, folders.quarantine],
        ],
    )
    parts = [f"## Where every sheet stood on {at}", _mongodb(settings, stored), places]
    if now.sheets:
        parts += ["### Staged, oldest first", _staged(now)]
    if now.waiting_names:
        parts += ["### Waiting in the inbox", _names(now)]
    return "\n\n".join(parts)


def _names(now: SystemStatus) -> str:
    shown = [shown_name(name) for name in now.waiting_names[:_SHOWN_AT_MOST]]
    more = now.waiting - len(shown)
    return table(["sheet"], [[name] for name in shown]) + (f"\n\nand {more} more" if more else "")


def _staged(now: SystemStatus) -> str:
    rows = [
        [sheet.name, sheet.state, sheet.attempts, sheet.last_error or "; ".join(sheet.doubts)]
        for sheet in now.sheets[:_SHOWN_AT_MOST]
    ]
    more = len(now.sheets) - len(rows)
    columns = ["sheet", "state", "attempts", "what is the matter"]
    return table(columns, rows) + (f"\n\nand {more} more" if more else "")


def _mongodb(settings: Settings, stored: StoreFigures | None) -> str:
    kind = "Your" if settings.mongodb_uri is not None else "The embedded"
    if stored is None:
        if settings.mongodb_uri is None:
            return "The embedded MongoDB does not run just now; the next ingest starts it."
        return (
            "**MongoDB cannot be reached.** Sheets wait in images_sources/ and are uploaded by the "
            "next run that reaches it. `sheetflow doctor` says what is wrong."
        )
    return (
        f"{kind} MongoDB answers. It holds **{stored.records:,}** codes with their pictures, "
        f"and {stored.revisions:,} earlier pictures."
    )
