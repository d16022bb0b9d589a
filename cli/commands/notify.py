"""`sheetflow notify`: who is told when something is the matter."""

from __future__ import annotations

import sys

import click

from cli.options import chosen_root, json_option, root_option
from cli.running import prepare_prefect
from cli.tables import print_json, print_table


@click.command()
@root_option
@json_option
@click.option("--test", "try_it", is_flag=True, help="Send a test message through every channel.")
@click.option("--off", is_flag=True, help="Tell nobody any more, whatever the settings say.")
def notify(*, as_json: bool, try_it: bool, off: bool) -> None:
    """Set up who is told when a sheet fails, waits for a review or is late, or a run dies.

    The channels are settings: SHEETFLOW_NOTIFY_SLACK, SHEETFLOW_NOTIFY_WEBHOOK and
    SHEETFLOW_NOTIFY_EMAIL_TO with SHEETFLOW_SMTP_HOST; docs/notifications.md has examples. Run this
    once, and again after every change of them; run twice, it changes nothing.

    Exit status 1 if a test message was not sent.
    """
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    if off:
        silent = {"notify_slack": None, "notify_webhook": None, "notify_email_to": ""}
        settings = settings.model_copy(update=silent)
    prepare_prefect(verbose=False)
    prepare_folders(settings.folders)
    from deployments.server import prefect_api

    with prefect_api(settings.folders.prefect):
        from deployments.notifications import set_up_notifications, try_channels

        changes = set_up_notifications(settings)
        tried = try_channels(settings) if try_it else []
    ok = all(one.problem is None for one in tried)
    if as_json:
        done = [{"name": change.name, "done": change.done} for change in changes]
        sent = [{"channel": one.channel, "problem": one.problem} for one in tried]
        print_json({"ok": ok, "changes": done, "tests": sent})
    else:
        print_table(["channel or automation", ""], [[one.name, one.done] for one in changes])
        for one in tried:
            click.echo(f"{one.channel}: {one.problem or 'the test message was sent'}")
        if not (settings.notify_slack or settings.notify_webhook or settings.notify_email_to):
            click.echo("Nobody is told: no channel is set. docs/notifications.md has examples.")
    sys.exit(0 if ok else 1)
