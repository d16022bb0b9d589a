"""`sheetflow review`: what waits for a person, what is in doubt, and what the person decides."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.options import chosen_root, json_option, root_option
from cli.review_options import answer_options, answers_of
from cli.review_page import draw_pictures, open_picture, show_sheet, show_waiting
from cli.review_questions import Said, ask_about
from cli.tables import print_json

if TYPE_CHECKING:
    from sheetflow.custody.journal import Entry
    from sheetflow.custody.lookup import Found
    from sheetflow.settings import Settings


@click.command()
@click.argument("name", required=False)
@answer_options
@click.option("--reject", metavar="REASON", help="Nothing of the sheet is to be stored.")
@click.option("--reread", is_flag=True, help="Read it again; earlier decisions are dropped.")
@click.option("--by", metavar="WHO", help="Who decides. Default: your account and machine.")
@click.option("--note", default="", help="What else there is to say; kept on record.")
@click.option(
    "--overlay",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where the picture goes. Default: beside the sheet's work products, until it is stored.",
)
@click.option("--open", "opened", is_flag=True, help="Open the picture in the desktop's viewer.")
@click.option("--ingest", is_flag=True, help="Take the settled sheet on at once.")
@root_option
@json_option
def review(
    name: str | None,
    *,
    reject: str | None,
    reread: bool,
    by: str | None,
    note: str,
    overlay: Path | None,
    opened: bool,
    ingest: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Decide about sheets that need a person.

    Without NAME, list them. With NAME, draw the sheet with a number on each region, show what is
    in doubt, and ask; or take the answers from the options. Answers settle the sheet whole: what is
    wrong, or leaves a doubt open, is refused with the reason, and nothing is stored. The next
    `sheetflow ingest` takes the sheet on from there.

    \b
      sheetflow review mugs.png --code 5=4006381333931 --discard 7="a logo"
      sheetflow review mugs.png --accept-all --complete --by Ada --ingest

    Exit status 1 if a sheet waits for a review, 2 if an answer was refused.
    """  # noqa: D301 - click wants the backspace itself
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    if name is None:
        sys.exit(1 if show_waiting(settings, as_json=as_json) else 0)
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.custody.reviewing import sheet_to_review

    prepare_folders(settings.folders)
    found = sheet_to_review(settings.folders, name)
    answers = answers_of(**given)
    if sum([reject is not None, reread, not answers.is_empty]) > 1:
        raise click.UsageError("Give decisions, or --reject, or --reread: one of them.")
    said = Said(answers, reject, reread)
    if reject is None and not reread and answers.is_empty:
        said = _looked_at(settings, found, overlay, opened=opened, as_json=as_json)
    entry = _decide(settings, found, said, by=by, note=note)
    _tell_ledger(settings, entry)
    going_on = ingest and entry.state == "staged"
    _tell(entry, as_json=as_json, going_on=going_on)
    if going_on:
        from cli.commands.ingest import take_one

        take_one(settings, settings.folders.staging / entry.staged_name, as_json=as_json)


def _looked_at(
    settings: Settings, found: Found, overlay: Path | None, *, opened: bool, as_json: bool
) -> Said:
    """Show the sheet, and ask about it where there is somebody to ask."""
    from sheetflow.custody.reviewing import look_at_sheet

    looked_at = look_at_sheet(settings.folders, found)
    pictures = draw_pictures(settings, looked_at, overlay)
    show_sheet(looked_at, pictures, as_json=as_json)
    if opened:
        open_picture(pictures[0])
    said = ask_about(looked_at) if sys.stdin.isatty() and not as_json else None
    if said is None:
        click.echo("Nothing was decided.", err=True)
        sys.exit(1)
    return said


def _decide(settings: Settings, found: Found, said: Said, *, by: str | None, note: str) -> Entry:
    from sheetflow.custody.reviewing import reject_sheet, reread_sheet, settle_sheet
    from sheetflow.review.answers import Answers

    folders = settings.folders
    if said.reject is not None:
        return reject_sheet(folders, found, said.reject, by=by)
    if said.reread:
        return reread_sheet(folders, found, by=by, note=note)
    return settle_sheet(folders, found, said.answers or Answers(), by=by, note=note)


def _tell_ledger(settings: Settings, entry: Entry) -> None:
    """Tell the ledger if it can be had; of a sheet that goes on, the next run tells it."""
    from sheetflow.errors import SheetflowError
    from sheetflow.store.reach import store_at_hand

    last = entry.state == "rejected"
    with contextlib.suppress(SheetflowError), store_at_hand(settings, start=last) as at_hand:
        if at_hand.store is None:
            return
        from sheetflow.store.ledger import write_entry

        write_entry(at_hand.store, entry)


def _tell(entry: Entry, *, as_json: bool, going_on: bool) -> None:
    from sheetflow.custody.names import portable_name, shown_name

    review = entry.reviews[-1]
    if as_json and not going_on:
        value = {"name": portable_name(entry.name), "sha256": entry.sha256}
        print_json({**value, "state": str(entry.state), "review": review.to_json(), "ok": True})
        return
    told = entry.history[-1].note or review.told
    click.echo(f"{shown_name(entry.name)}: {told} (by {review.by})", err=as_json)
    if entry.stored_pairs and entry.state == "rejected":
        click.echo(f"{entry.stored_pairs} certain pairs of it are stored and stay in MongoDB.")
    if entry.state == "staged" and not going_on:
        click.echo("The next `sheetflow ingest` takes it on.")
