"""The demo behind `script/run`: sample sheets, from drawn to archived, on real servers."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.running import prepare_prefect, run_flow

if TYPE_CHECKING:
    from sheetflow.settings import Settings


@click.command()
@click.argument("root", type=click.Path(file_okay=False, path_type=Path))
@click.option("--keep", is_flag=True, help="Leave the Prefect UI and MongoDB up until Ctrl-C.")
def demo(root: Path, *, keep: bool) -> None:
    """Draw sample sheets into ROOT/source, ingest them, and show what became of them."""
    prepare_prefect(verbose=False)
    from deployments.server import prefect_api_starting
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.settings import load_settings

    settings = load_settings(root=root.absolute())
    _start_afresh(settings)
    prepare_folders(settings.folders)
    click.echo("Starting the Prefect server and drawing sample sheets ...")
    with prefect_api_starting(settings.folders.prefect) as api:
        drawn_pairs = _draw(settings)
        ingest = importlib.import_module("flows.ingest")
        with api.in_use() as api_url, _mongodb(settings) as address:
            finished = run_flow(
                lambda: ingest.ingest_sheets(settings.root, return_state=True),
                api_url,
                as_json=False,
            )
            finished.print_table(settings)
            pairs = sum(item.counts.pairs for item in finished.outcomes if item.counts)
            click.echo(f"{pairs} of {drawn_pairs} pairs were found on the sheets.")
            click.echo(f"MongoDB: {address}, database {settings.database_name}")
            if keep:
                click.echo("The Prefect UI and MongoDB stay up; Ctrl-C stops them.")
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
    if not keep:
        click.echo("Everything is stopped again; script/run --keep leaves the UI and MongoDB up.")
    sys.exit(0 if finished.ok and pairs == drawn_pairs else 1)


def _start_afresh(settings: Settings) -> None:
    """Remove what an earlier demo left, but for the Prefect server's history of runs."""
    from sheetflow.errors import UsageError
    from sheetflow.servers.mongod import embedded_mongod

    folders = settings.folders
    if embedded_mongod(folders.mongodb).peek() is not None:
        raise UsageError(
            f"another demo is running in {settings.root}", cure="Stop it first, with Ctrl-C"
        )
    for folder in (
        folders.inbox,
        folders.staging,
        folders.archive,
        folders.quarantine,
        folders.work,
        folders.claims,
        folders.mongodb,
    ):
        if folder.exists():
            shutil.rmtree(folder)


def _draw(settings: Settings) -> int:
    from sheetflow.samples.catalogue import draw_samples

    drawn = draw_samples(settings.folders.inbox, with_truth=False)
    pairs = sum(len(sheet.codes) for sheet in drawn)
    click.echo(f"{len(drawn)} sheets with {pairs} pictures drawn into {settings.folders.inbox}")
    return pairs


@contextlib.contextmanager
def _mongodb(settings: Settings) -> Iterator[str]:
    """Keep the embedded MongoDB up beyond the run; yield what may be shown of its address."""
    from sheetflow.servers.mongod import embedded_mongod

    if settings.mongodb_uri is not None:
        yield "your own (MONGODB_URI)"
        return
    with embedded_mongod(settings.folders.mongodb).joined() as uri:
        yield uri


if __name__ == "__main__":
    from cli.main import run_command

    run_command(demo)
