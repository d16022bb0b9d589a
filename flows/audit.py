"""The audit as a flow, for a nightly schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed, Failed
from pydantic import Field

from flows.beginning import begin
from flows.forms import Text
from flows.living import living
from flows.telling import end_told, tell_of_audit
from sheetflow.audit.report import Report, Unknown
from sheetflow.audit.sampling import Sample
from sheetflow.wording import counted
from tasks.audit import examine

_SHOWN_AT_MOST = 500
_NAMED_AT_MOST = 10


@flow(
    name="audit",
    flow_run_name="audit",
    description="Check that nothing is lost: every file, entry and picture held against the "
    "others. The run is red if something is wrong that was not mended, or if MongoDB is away. "
    "Problems and their cures are in the artifact `audit-problems`.",
)
def audit(
    sample_percent: Annotated[float, Field(gt=0, le=100)] = 100.0,
    repair: bool = False,
    unknown: Unknown = Unknown.LEAVE,
    root: Text = "",
) -> RunState[None]:
    """Hold folders, journal, ledger, records and GridFS against each other.

    Args:
        sample_percent: Which part of the sheets is read back and hashed, in percent; another part
            every day. With 5, each sheet has had its turn after 20 days.
        repair: Mend what can be mended safely; the artifact says what was done.
        unknown: What a repair does with sheets in images_old/ that neither ledger nor records
            know, such as those of an earlier tool: `leave` them there, or `restage` them, so that
            the next run stores them all.
        root: The data root, a folder. Empty: SHEETFLOW_ROOT, or where the worker was started.
    """
    with end_told(root):
        settings = begin(root)
        window = Sample.of_day(sample_percent, datetime.now(UTC).date())
        with living(settings.folders):
            report = examine(settings, window, repair=repair, unknown=unknown)
    tell_of_audit(settings, report.problems, whole=sample_percent == 100)
    _show(report)
    message = _told(report)
    return Completed(message=message) if report.ok else Failed(message=message)


def _told(report: Report) -> str:
    mended = f", {len(report.repaired)} mended" if report.repaired else ""
    if report.ok:
        return f"All is well{mended}."
    named = [f"{item.kind}: {item.to_json()['sheet']}" for item in report.problems[:_NAMED_AT_MOST]]
    more = len(report.problems) - len(named)
    return f"{counted(len(report.problems), 'problem')}{mended}: {'; '.join(named)}" + (
        f"; and {more} more." if more > 0 else "."
    )


def _show(report: Report) -> None:
    lines = [f"# {_told(report)}", "| looked at | number |\n|---|---:|"]
    rows = [f"| {what.replace('_', ' ')} | {n} |" for what, n in sorted(report.checked.items())]
    create_markdown_artifact(
        key="audit-summary",
        markdown=f"{lines[0]}\n\n{lines[1]}\n" + "\n".join(rows),
        description=_told(report),
    )
    table = [item.to_json() for item in report.problems[:_SHOWN_AT_MOST]]
    table += [
        {
            "kind": item["kind"],
            "sheet": item["sheet"],
            "detail": "",
            "cure": f"mended: {item['what']}",
        }
        for item in (repair.to_json() for repair in report.repaired[:_SHOWN_AT_MOST])
    ]
    if table:
        create_table_artifact(key="audit-problems", table=table, description=_told(report))
