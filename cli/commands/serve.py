"""`sheetflow serve`: everything that runs by itself, in one command."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from threading import Thread
from typing import TYPE_CHECKING

import click

from cli.options import chosen_root, root_option
from cli.running import prepare_prefect

if TYPE_CHECKING:
    from sheetflow.servers.companions import Membership
    from sheetflow.settings import Settings


@click.command()
@root_option
@click.option("--verbose", "-v", is_flag=True, help="Show Prefect's own log lines too.")
def serve(*, verbose: bool) -> None:
    """Run everything by itself until Ctrl-C: servers, schedules, watcher, Prefect's UI.

    Starts a Prefect server and a MongoDB if none is configured, offers every flow in the UI,
    drains the inbox by schedule and soon after new sheets have settled in it, and audits the
    archive at night. Ctrl-C stops it: sheets end their present step and stay where they are.
    """
    _keep_interrupts_from_runs()
    prepare_prefect(verbose=verbose)
    from deployments.server import prefect_api_starting, ui_url
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    settings = settings.model_copy(update={"root": settings.root.expanduser().absolute()})
    prepare_folders(settings.folders)
    click.echo("Starting ...")
    with (
        prefect_api_starting(settings.folders.prefect, heartbeats=True) as api,
        _mongodb(settings) as mongodb,
    ):
        from deployments.notifications import keep_notifications
        from deployments.serving import Servers, serve
        from flows.beginning import begin_logs
        from sheetflow.telling.metrics import metrics_served

        begin_logs(settings)
        with api.in_use() as api_url, metrics_served(settings):
            keep_notifications(settings)

            def revive() -> None:
                api.revive()
                if mongodb is not None:
                    mongodb.address()

            def ready() -> None:
                click.echo(f"Put sheets into {settings.folders.inbox}")
                click.echo(f"Prefect's pages: {ui_url(api_url)}")
                click.echo("Ctrl-C stops everything.")

            serve(settings, Servers(revive), ready=ready)
            click.echo("Stopping ...")
    click.echo("Stopped. Every sheet is safe where it is; `sheetflow serve` goes on.")


@contextlib.contextmanager
def _mongodb(settings: Settings) -> Iterator[Membership | None]:
    """Keep the embedded MongoDB up between the runs; nothing if there is one of your own."""
    if settings.mongodb_uri is not None:
        yield None
        return
    from sheetflow.servers.mongod import embedded_mongod

    with embedded_mongod(settings.folders.mongodb).joining() as membership:
        yield membership


def _keep_interrupts_from_runs() -> None:
    """Make Ctrl-C an ordinary stop of this process alone.

    A terminal sends it to every process, and a run that gets it ends as crashed. A blocked signal
    stays blocked in the threads and processes that are begun from now on; one thread waits for it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def wait() -> None:
        while True:
            signal.sigwait({signal.SIGINT})
            os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=wait, name="Ctrl-C", daemon=True).start()
