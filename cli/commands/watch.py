"""`sheetflow watch`: what `sheetflow serve` does besides running flows, for use beside workers."""

from __future__ import annotations

import click

from cli.options import chosen_root, root_option
from cli.running import prepare_prefect


@click.command()
@root_option
@click.option("--verbose", "-v", is_flag=True, help="Show Prefect's own log lines too.")
def watch(*, verbose: bool) -> None:
    """Beside Prefect workers: ask for an ingest as new sheets settle, and end killed runs.

    Needs PREFECT_API_URL, and the deployments of deployments/prefect.yaml. Where `sheetflow serve`
    runs, it does this itself.
    """
    prepare_prefect(verbose=verbose)
    import asyncio

    from deployments.server import configured_api
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.errors import ConfigurationError
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    if configured_api() is None:
        raise ConfigurationError(
            "there is no Prefect server to ask for runs",
            cure="Set PREFECT_API_URL; or use `sheetflow serve`, which brings its own server",
        )
    prepare_folders(settings.folders)
    from deployments.leftovers import end_leftovers
    from deployments.watcher import watch_inbox
    from flows.beginning import begin_logs
    from sheetflow.telling.metrics import metrics_served

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(watch_inbox(settings))
            group.create_task(end_leftovers(settings))

    begin_logs(settings)
    with metrics_served(settings):
        click.echo(f"Watching {settings.folders.inbox}; Ctrl-C stops it.")
        asyncio.run(both())
