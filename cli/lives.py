"""Telling the whole life of a sheet: `sheetflow status NAME`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cli.tables import print_json, print_table

if TYPE_CHECKING:
    from sheetflow.custody.lives import Life
    from sheetflow.settings import Settings
    from sheetflow.store.connection import Store


def tell_lives(settings: Settings, name: str, *, as_json: bool) -> bool:
    """Print the lives of all the sheets that `name` means.

    Returns:
        Whether none of them has failed and none waits for a person.

    Raises:
        UsageError: Nothing is known of such a sheet.
    """
    from sheetflow.custody.names import shown_name
    from sheetflow.errors import UsageError
    from sheetflow.store.reach import store_at_hand

    with store_at_hand(settings, start=True) as at_hand:
        lives = _lives(settings, name, at_hand.store)
    if at_hand.problem is not None:
        click.echo(f"Without the ledger: {at_hand.problem}", err=True)
    if not lives:
        unasked = "" if at_hand.store is not None else ", and the ledger could not be asked"
        raise UsageError(
            f"no such sheet is known here{unasked}",
            cure="Check the name; `sheetflow status` lists the staged ones, and the first six "
            "digits of a file's SHA-256 will do as well",
            sheet=shown_name(name),
        )
    if as_json:
        reachable, embedded = at_hand.store is not None, settings.mongodb_uri is None
        print_json(
            {
                "sheets": [life.to_json() for life in lives],
                "mongodb": {"reachable": reachable, "embedded": embedded},
            }
        )
    else:
        for life in lives:
            _tell(life)
    return all(life.ok for life in lives)


def _lives(settings: Settings, name: str, store: Store | None) -> list[Life]:
    from sheetflow.custody.lives import digests_meant, lives_of
    from sheetflow.custody.lookup import is_digest_start

    digests = digests_meant(settings.folders, name)
    documents = []
    if store is not None:
        from sheetflow.store.ledger_search import find_sheets

        start = name if is_digest_start(name) else None
        documents = find_sheets(store, name=name, digest_start=start, digests=digests)
    return lives_of(settings.folders, digests, documents)


def _tell(life: Life) -> None:
    from sheetflow.custody.names import shown_name

    click.echo(f"{shown_name(life.name)}: {life.state}")
    click.echo(f"  SHA-256   {life.sha256}")
    for place in life.places or ("in none of the four folders",):
        click.echo(f"  where     {shown_name(place)}")
    if life.counts:
        counts = ", ".join(f"{number} {what}" for what, number in life.counts.items())
        click.echo(f"  found     {counts}")
    if life.receipt:
        pairs = len(life.receipt.get("pairs", ()))
        click.echo(f"  stored    {pairs} pairs, read back {life.receipt.get('confirmed_at')}")
    if life.forced:
        forced = life.forced
        click.echo(
            f"  FORCED    {forced['at']} by {forced['by']}: {forced['reason']}; "
            f"{forced['stored_pairs']} pairs stored, {len(forced['unstored_pairs'])} not"
        )
    for doubt in life.doubts:
        click.echo(f"  doubt     {doubt}")
    if life.last_error:
        click.echo(f"  failed    {life.last_error}")
    for twin in life.duplicates:
        click.echo(f"  again as  {shown_name(str(twin['archived_name']))}, {twin['at']}")
    print_table(
        ["when (UTC)", "step", "by", "run", "note"],
        [
            [
                str(event["at"])[:23],
                event["state"],
                event["by"],
                event.get("flow_run_id") or "",
                event.get("note") or "",
            ]
            for event in life.history
        ],
    )
