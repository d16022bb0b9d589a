"""`sheetflow audit`: folders, journal, ledger, records and GridFS held against each other."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json, print_table
from sheetflow.wording import counted

if TYPE_CHECKING:
    from sheetflow.audit.report import Report


def _percent(_context: click.Context, _option: click.Parameter, value: str) -> float:
    try:
        return float(value.strip().removesuffix("%"))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no percentage such as 5%") from None


@click.command()
@click.option(
    "--sample",
    default="100%",
    metavar="N%",
    callback=_percent,
    help="Read and hash the bytes of this part of the sheets only, another part every day: with 5% "
    "each has had its turn after 20 days. Names, states and entries are compared in any case.",
)
@click.option(
    "--repair", is_flag=True, help="Mend what can be mended safely, and say what was done."
)
@click.option(
    "--unknown",
    type=click.Choice(["leave", "restage"]),
    help="With --repair: what becomes of sheets in images_old/ that neither ledger nor records "
    "know, as those of an earlier tool. leave (the default): told, and left there. restage: sent "
    "to staging, all of them, so that the next run stores them.",
)
@root_option
@json_option
def audit(*, sample: float, repair: bool, unknown: str | None, as_json: bool) -> None:
    """Check that nothing is lost: every file, entry and picture held against the others.

    Every archived sheet has its ledger entry, every picture on its receipt is read back from
    MongoDB and hashed, every file is where its state says, and nothing is left over. Each problem
    is told with its cure. Exit status 1 if there is one that was not mended, or MongoDB is away.

    """
    if unknown and not repair:
        raise click.UsageError("--unknown says what --repair does: give that too.")
    from datetime import UTC, datetime

    from sheetflow.audit.report import Unknown
    from sheetflow.audit.run import audit as run_audit
    from sheetflow.audit.sampling import Sample
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    prepare_folders(settings.folders)
    window = Sample.of_day(sample, datetime.now(UTC).date())
    report = run_audit(
        settings, sample=window, repair=repair, unknown=Unknown(unknown or Unknown.LEAVE)
    )
    if as_json:
        print_json(report.to_json())
    else:
        _show(report)
    sys.exit(0 if report.ok else 1)


def _show(report: Report) -> None:
    from sheetflow.custody.names import shown_name

    checked = sorted(report.checked.items())
    print_table(["looked at", "number"], [[what.replace("_", " "), n] for what, n in checked])
    if report.repaired:
        print_table(
            ["mended", "sheet", "what was done"],
            [[item.kind, shown_name(item.sheet), item.what] for item in report.repaired],
        )
    for problem in report.problems:
        click.echo(f"{problem.kind}: {shown_name(problem.sheet)}: {problem.detail}.")
        click.echo(f"    {problem.cure}.")
    unlisted = report.checked["problems_not_listed"]
    if report.ok:
        click.echo("All is well." if not report.repaired else "All is well again.")
    else:
        click.echo(f"{counted(len(report.problems) + unlisted, 'problem')}.")
