"""`sheetflow ingest` and `sheetflow ingest-one`: the main job, with Prefect's record of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json, print_table

if TYPE_CHECKING:
    from cli.progress import Report
    from sheetflow.settings import Settings

_doubt_option = click.option(
    "--on-doubt",
    type=click.Choice(["hold", "store-certain"]),
    help="What becomes of a sheet that needs a review: store nothing of it, or store its certain "
    "pairs; the sheet is held either way. Default: SHEETFLOW_ON_DOUBT, or hold.",
)
_verbose_option = click.option(
    "--verbose", "-v", is_flag=True, help="Show Prefect's log too, on standard error."
)


@click.command()
@root_option
@_doubt_option
@json_option
@_verbose_option
def ingest(*, on_doubt: str | None, as_json: bool, verbose: bool) -> None:
    """Drain the inbox: every sheet in source/ to MongoDB and, confirmed, to images_old/.

    Sheets that an earlier run left in images_sources/ are taken up where it stopped. Exit status 1
    if a sheet failed, was rejected or waits for a review; the others are done all the same.
    """
    settings = _settings(on_doubt)

    def run() -> Any:
        from flows.ingest import ingest_sheets

        return ingest_sheets(settings.root, on_doubt=settings.on_doubt, return_state=True)

    _run(run, settings, as_json=as_json, verbose=verbose)


@click.command(name="ingest-one")
@click.argument("file", type=click.Path(path_type=Path))
@root_option
@_doubt_option
@json_option
@_verbose_option
def ingest_one(file: Path, *, on_doubt: str | None, as_json: bool, verbose: bool) -> None:
    """Take one sheet to MongoDB and, confirmed, to images_old/.

    FILE is a sheet in source/ or images_sources/, by path or by bare name; or a file from anywhere
    else, which is copied into source/ first and itself left alone.
    """
    settings = _settings(on_doubt)
    from sheetflow.custody import bring_in
    from sheetflow.folders import prepare_folders
    from sheetflow.names import portable_name

    prepare_folders(settings.folders)
    path = bring_in(settings.folders, file)

    def run() -> Any:
        from flows.ingest import ingest_sheet

        carried = Path(portable_name(path.name)) if not _is_portable(path) else path
        return ingest_sheet(
            carried, root=settings.root, on_doubt=settings.on_doubt, return_state=True
        )

    _run(run, settings, as_json=as_json, verbose=verbose)


def _settings(on_doubt: str | None) -> Settings:
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root(), on_doubt=on_doubt)
    return settings.model_copy(update={"root": settings.root.expanduser().absolute()})


def _run(run: Callable[[], Any], settings: Settings, *, as_json: bool, verbose: bool) -> None:
    # Before Prefect is imported, which reads them once.
    os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "sheetflow")
    if not verbose:
        os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
    from cli.progress import reporting
    from deployments.server import prefect_api, ui_url
    from sheetflow.folders import prepare_folders

    prepare_folders(settings.folders)
    with prefect_api(settings.folders.prefect) as api_url:
        from flows.outcomes import listening

        with reporting(as_json=as_json) as report, listening(report):
            state = run()
        run_id = str(state.state_details.flow_run_id)
        _raise_if_it_broke(state)
        ok = all(outcome.ok for outcome in report.outcomes)
        if as_json:
            sheets = [outcome.to_json() for outcome in report.outcomes]
            print_json({"sheets": sheets, "flow_run_id": run_id, "ok": ok})
        else:
            _show(report, settings, f"{ui_url(api_url)}/runs/flow-run/{run_id}")
    sys.exit(0 if ok else 1)


def _raise_if_it_broke(state: Any) -> None:
    """Raise what ended the run itself, before it could give a verdict on its sheets."""
    value = state.result(raise_on_failure=False) if state.data is not None else None
    if isinstance(value, BaseException):
        raise value


def _show(report: Report, settings: Settings, run_url: str) -> None:
    from sheetflow.names import shown_name

    if not report.outcomes:
        click.echo(f"Nothing to do: {settings.folders.inbox} is empty.")
    else:
        print_table(
            ["sheet", "pictures", "symbols", "pairs", "state", "seconds"],
            [
                [
                    shown_name(outcome.name),
                    outcome.counts.pictures if outcome.counts else None,
                    outcome.counts.symbols if outcome.counts else None,
                    outcome.counts.pairs if outcome.counts else None,
                    outcome.state,
                    round(outcome.seconds, 1),
                ]
                for outcome in report.outcomes
            ],
        )
    for outcome in report.outcomes:
        if outcome.error or outcome.note:
            click.echo(f"{outcome.state}: {outcome.error or _noted(outcome)}")
    click.echo(f"Archive: {settings.folders.archive}")
    click.echo(f"Run:     {run_url}")


def _noted(outcome: Any) -> str:
    from sheetflow.names import shown_name

    return f"{shown_name(outcome.name)}: {outcome.note}"


def _is_portable(path: Path) -> bool:
    from sheetflow.names import portable_name

    return portable_name(str(path)) == str(path)
