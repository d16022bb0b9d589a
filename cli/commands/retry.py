"""`sheetflow retry`: what was rejected, failed or held is taken up afresh by the next run."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import click

from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sheetflow.custody.retrying import Retried
    from sheetflow.settings import Settings


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1)
@click.option("--all-failed", is_flag=True, help="Every staged sheet whose last attempt failed.")
@click.option("--all-rejected", is_flag=True, help="Every sheet in images_rejected/.")
@root_option
@json_option
def retry(names: tuple[str, ...], *, all_failed: bool, all_rejected: bool, as_json: bool) -> None:
    """Have sheets taken up afresh by the next run.

    A rejected sheet goes from images_rejected/ back to source/ under its original name. A staged
    sheet that has failed or needs a review stays in images_sources/, and what was read on it is
    thrown away, so that it is read again. NAME is any of its names, or the first digits of its
    SHA-256.
    """
    if not (names or all_failed or all_rejected):
        raise click.UsageError("Name a sheet, or give --all-failed or --all-rejected.")
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.custody.retrying import retry_sheet, select_for_retry
    from sheetflow.errors import SheetflowError
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    prepare_folders(settings.folders)
    chosen = select_for_retry(
        settings.folders, names, all_failed=all_failed, all_rejected=all_rejected
    )
    retried, ok = [], True
    for found in chosen:
        try:
            with contextlib.suppress(FileNotFoundError):  # a run was quicker: nothing to retry
                retried.append(retry_sheet(settings.folders, found))
        except SheetflowError as error:
            ok = False
            click.echo(f"sheetflow: {error}", err=True)
    _tell_ledger(settings, retried)
    _show(retried, ok=ok, as_json=as_json)
    sys.exit(0 if ok else 1)


def _tell_ledger(settings: Settings, retried: Sequence[Retried]) -> None:
    """Tell the ledger if it can be had; else the journal does with the next run."""
    from sheetflow.errors import SheetflowError
    from sheetflow.store.reach import store_at_hand

    with contextlib.suppress(SheetflowError), store_at_hand(settings, start=False) as at_hand:
        if at_hand.store is None:
            return
        from sheetflow.store.ledger import write_entry

        for sheet in retried:
            write_entry(at_hand.store, sheet.entry)


def _show(retried: Sequence[Retried], *, ok: bool, as_json: bool) -> None:
    from sheetflow.custody.names import shown_name

    if as_json:
        print_json({"retried": [sheet.to_json() for sheet in retried], "ok": ok})
        return
    for sheet in retried:
        click.echo(f"{shown_name(sheet.name)}: was {sheet.was}, now in {sheet.path.parent}")
    if retried:
        click.echo("`sheetflow ingest`, or the next scheduled run, takes them up.")
    elif ok:
        click.echo("Nothing to retry.")
