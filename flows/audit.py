"""The audit as a flow, for a nightly schedule."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State as RunState
from prefect.states import Completed, Failed
from pydantic import Field

from flows.telling import end_told, tell_of_audit
from sheetflow.audit.report import Report
from sheetflow.audit.sampling import Sample
from sheetflow.custody.folders import prepare_folders
from sheetflow.settings import load_settings
from tasks.audit import examine

_SHOWN_AT_MOST = 500
_NAMED_AT_MOST = 10

Percent = Annotated[
    float,
    Field(
        gt=0,
        le=100,
        description="Which part of the sheets is read back and hashed, in percent; another part "
        "every day. With 5, each sheet has had its turn after 20 nights.",
    ),
]
Mend = Annotated[
    bool, Field(description="Mend what can be mended safely; the artifact says what was done.")
]
Root = Annotated[
    Path | None, Field(description="The data root. Empty: SHEETFLOW_ROOT, or the current folder.")
]


@flow(name="audit", flow_run_name="audit", validate_parameters=True)
def audit(
    sample_percent: Percent = 100.0, repair: Mend = False, root: Root = None
) -> RunState[None]:
    """Hold folders, journal, ledger, records and GridFS against each other.

    The run is red if something is wrong that was not mended, or if MongoDB is away. Problems and
    cures are in the artifact `audit-problems`, the numbers in `audit-summary`.
    """
    with end_told(root):
        settings = load_settings(root=root)
        prepare_folders(settings.folders)
        window = Sample.of_day(sample_percent, datetime.now(UTC).date())
        report = examine(settings, window, repair=repair)
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
    return f"{len(report.problems)} problems{mended}: {'; '.join(named)}" + (
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
