"""`sheetflow status`: where every sheet stands."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from cli.lives import tell_lives
from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json, print_table

if TYPE_CHECKING:
    from sheetflow.settings import Settings
    from sheetflow.status import SystemStatus


@click.command()
@click.argument("name", required=False)
@root_option
@json_option
def status(name: str | None, *, as_json: bool) -> None:
    """Show where every sheet stands, also while MongoDB is away.

    With NAME, tell one sheet's whole life: every step, when, by whom, in which run, and why it
    failed. NAME is any name that the sheet went by, or the first digits of its SHA-256.

    Exit status 1 if a staged sheet has failed or waits for a review.
    """
    from sheetflow.settings import load_settings
    from sheetflow.status import system_status

    settings = load_settings(root=chosen_root())
    if name is not None:
        sys.exit(0 if tell_lives(settings, name, as_json=as_json) else 1)
    now = system_status(settings.folders)
    reachable = _reachable(settings)
    if as_json:
        print_json(now.to_json(reachable=reachable, embedded=settings.mongodb_uri is None))
    else:
        _show(now, settings, reachable=reachable)
    _leave(0 if now.ok else 1)


def _reachable(settings: Settings) -> bool:
    from sheetflow.store.reach import is_reachable

    return is_reachable(settings)


def _leave(code: int) -> NoReturn:
    """End the process at once: all is said, and nothing is open any more.

    Source: pymongo 4.20 waits at exit for its monitors, which sleep half a second at a time.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _show(now: SystemStatus, settings: Settings, *, reachable: bool) -> None:
    from sheetflow.status import shown_age

    folders = settings.folders
    print_table(
        ["place", "sheets", "folder"],
        [
            ["waiting in the inbox", now.waiting, folders.inbox],
            ["staged", now.staged, folders.staging],
            ["  of these: awaiting upload", now.awaiting_upload, ""],
            ["  of these: need a review", now.needs_review, ""],
            ["  of these: failed last time", now.failed, ""],
            ["archived", now.archived, folders.archive],
            ["rejected", now.rejected, folders.quarantine],
        ],
    )
    if now.sheets:
        from sheetflow.custody.names import shown_name

        print_table(
            ["staged sheet", "state", "attempts", "what is the matter"],
            [
                [
                    shown_name(sheet.name),
                    sheet.state,
                    sheet.attempts,
                    sheet.last_error or "; ".join(sheet.doubts),
                ]
                for sheet in now.sheets
            ],
        )
    if now.oldest_unarchived_s is not None:
        click.echo(f"The oldest unarchived sheet is {shown_age(now.oldest_unarchived_s)} old.")
    click.echo(f"MongoDB: {_mongodb(settings, reachable=reachable)}")


def _mongodb(settings: Settings, *, reachable: bool) -> str:
    if settings.mongodb_uri is not None:
        return "reachable" if reachable else "NOT reachable; run `sheetflow doctor`"
    return "embedded, running" if reachable else "embedded, started by the next run"
