"""`sheetflow force-archive`: the emergency lever, with a reason, a confirmation and an undo."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json

if TYPE_CHECKING:
    from sheetflow.custody.forced_steps import Forced
    from sheetflow.custody.forcing import Plan
    from sheetflow.settings import Settings
    from sheetflow.store.connection import Store


@click.command(name="force-archive")
@click.argument("name", required=False)
@click.option("--reason", help="Why; kept in the ledger. Asked for on a terminal if not given.")
@click.option("--yes", is_flag=True, help="Confirm it, for scripts; else it is asked for.")
@click.option("--undo", is_flag=True, help="Bring the sheet NAME back to where it was.")
@root_option
@json_option
def force_archive(
    name: str | None, *, reason: str | None, yes: bool, undo: bool, as_json: bool
) -> None:
    """Archive a staged sheet WITHOUT proof that its pairs are stored. For emergencies.

    Without NAME it is the only staged sheet; with several, one has to be named. You are shown what
    is stored and what is not, and asked why. Who, when, why and what was not stored is kept in the
    ledger, or on disk until MongoDB is back. The work products are kept under .sheetflow/forced/,
    so that --undo NAME brings the sheet back to staging.
    """
    if undo and name is None:
        raise click.UsageError("Name the sheet whose force-archive shall be undone.")
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.custody.forced_steps import settle_forced
    from sheetflow.settings import load_settings
    from sheetflow.store.reach import store_at_hand

    settings = load_settings(root=chosen_root())
    prepare_folders(settings.folders)
    settle_forced(settings.folders)
    with store_at_hand(settings, start=True) as at_hand:
        if at_hand.problem is not None:
            click.echo(f"Without MongoDB: {at_hand.problem}", err=True)
        if undo and name is not None:
            done = _undo(settings, name, reason, at_hand.store, yes=yes)
        else:
            done = _force(settings, name, reason, at_hand.store, yes=yes)
    _show(settings, done, as_json=as_json)


def _force(
    settings: Settings, name: str | None, reason: str | None, store: Store | None, *, yes: bool
) -> Forced:
    from sheetflow.custody.forcing import force_archive as force
    from sheetflow.custody.forcing import plan_force

    plan = plan_force(settings.folders, name, store)
    _warn(plan)
    reason = _reason(reason)
    confirmed = _confirmed("Archive it all the same?", yes=yes)
    return force(settings.folders, plan.found, reason=reason, confirmed=confirmed, store=store)


def _undo(
    settings: Settings, name: str, reason: str | None, store: Store | None, *, yes: bool
) -> Forced:
    from sheetflow.custody.forcing import sheet_to_undo, undo_force
    from sheetflow.custody.names import shown_name

    found = sheet_to_undo(settings.folders, name)
    if not yes and sys.stdin.isatty():
        question = f"Bring {shown_name(found.path.name)} back to {settings.folders.staging}?"
        click.confirm(question, abort=True, err=True)
    return undo_force(settings.folders, found, reason=reason or "", store=store)


def _warn(plan: Plan) -> None:
    from sheetflow.custody.names import shown_name

    name, standing = shown_name(plan.found.path.name), plan.standing
    click.echo(f"{name} [{plan.sha256[:8]}] is {plan.found.state}: {standing.told()}.", err=True)
    for title, codes in (("stored", standing.stored), ("NOT stored", standing.unstored)):
        if codes:
            shown = ", ".join(shown_name(code) for code in codes[:20])
            more = f" and {len(codes) - 20} more" if len(codes) > 20 else ""
            click.echo(f"  {title}: {shown}{more}", err=True)
    for trouble in plan.troubles:
        click.echo(f"  {trouble}", err=True)


def _reason(given: str | None) -> str:
    if given is not None or not sys.stdin.isatty():
        return given or ""  # refused, with the cure, by the domain
    return str(click.prompt("Why must it be archived?", err=True))


def _confirmed(question: str, *, yes: bool) -> bool:
    if yes or not sys.stdin.isatty():
        return yes
    return click.confirm(question, default=False, abort=True, err=True)


def _show(settings: Settings, done: Forced, *, as_json: bool) -> None:
    from sheetflow.custody.names import shown_name

    value = done.to_json()
    if as_json:
        print_json({**value, "ok": True})
        return
    name = shown_name(done.record.before.name)
    if value["undone"]:
        click.echo(f"{name}: back in {settings.folders.staging}, {value['state']}")
    else:
        click.echo(f"{name}: archived by force in {settings.folders.archive}")
        click.echo(f"Take it back with: sheetflow force-archive --undo {done.record.sha256[:12]}")
    if not value["ledger_told"]:
        click.echo("The ledger will be told by the next run; until then it is on record on disk.")
