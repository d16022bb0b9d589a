"""`sheetflow ingest` and `sheetflow ingest-one`: the main job, with Prefect's record of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import chosen_root, json_option, known_sheets_options, root_option
from cli.running import prepare_prefect, run_flow

if TYPE_CHECKING:
    from flows.forms import KnownSheets
    from sheetflow.settings import Settings

Known = str | int | None
"""What an option about the sheets says."""

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
@known_sheets_options
@json_option
@_verbose_option
def ingest(*, on_doubt: str | None, as_json: bool, verbose: bool, **known: Known) -> None:
    """Drain the inbox: every sheet in source/ to MongoDB and, confirmed, to images_old/.

    Sheets that an earlier run left in images_sources/ are taken up where it stopped. Exit status 1
    if a sheet failed, was rejected or waits for a review; the others are done all the same.
    """
    settings = _settings(on_doubt, known)

    def run() -> Any:
        from flows.ingest import ingest_sheets

        return ingest_sheets(
            str(settings.root),
            on_doubt=settings.on_doubt,
            sheets=_known_sheets(known),
            return_state=True,
        )

    _run(run, settings, as_json=as_json, verbose=verbose)


@click.command(name="ingest-one")
@click.argument("file", type=click.Path(path_type=Path))
@root_option
@_doubt_option
@known_sheets_options
@json_option
@_verbose_option
def ingest_one(
    file: Path, *, on_doubt: str | None, as_json: bool, verbose: bool, **known: Known
) -> None:
    """Take one sheet to MongoDB and, confirmed, to images_old/.

    FILE is a sheet in source/ or images_sources/, by path or by bare name; or a file from anywhere
    else, which is copied into source/ first and itself left alone.
    """
    settings = _settings(on_doubt, known)
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.custody.staging import bring_in

    prepare_folders(settings.folders)
    path = bring_in(settings.folders, file)
    take_one(settings, path, as_json=as_json, verbose=verbose, known=known)


def take_one(
    settings: Settings,
    path: Path,
    *,
    as_json: bool,
    verbose: bool = False,
    known: Mapping[str, Known] | None = None,
) -> None:
    """Take the sheet at a path in inbox or staging on, and exit."""
    from sheetflow.custody.names import portable_name

    def run() -> Any:
        from flows.ingest import ingest_sheet

        carried = Path(portable_name(path.name)) if not _is_portable(path) else path
        return ingest_sheet(
            carried,
            root=str(settings.root),
            on_doubt=settings.on_doubt,
            sheets=_known_sheets(known or {}),
            return_state=True,
        )

    _run(run, settings, as_json=as_json, verbose=verbose)


def _settings(on_doubt: str | None, known: Mapping[str, Known]) -> Settings:
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root(), on_doubt=on_doubt, **known)
    return settings.model_copy(update={"root": settings.root.expanduser().absolute()})


def _known_sheets(known: Mapping[str, Known]) -> KnownSheets:
    from flows.forms import KnownSheets

    return KnownSheets(**{name: value for name, value in known.items() if value is not None})


def _run(call: Callable[[], Any], settings: Settings, *, as_json: bool, verbose: bool) -> None:
    prepare_prefect(verbose=verbose)
    from deployments.server import prefect_api_starting
    from sheetflow.custody.folders import prepare_folders

    prepare_folders(settings.folders)
    with prefect_api_starting(settings.folders.prefect) as api:
        importlib.import_module("flows.ingest")  # seconds of imports, while the server starts
        with api.in_use() as api_url:
            finished = run_flow(call, api_url, as_json=as_json)
            if as_json:
                finished.print_json()
            else:
                finished.print_table(settings)
    sys.exit(0 if finished.ok else 1)


def _is_portable(path: Path) -> bool:
    from sheetflow.custody.names import portable_name

    return portable_name(str(path)) == str(path)
