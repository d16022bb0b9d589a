"""`sheetflow metrics`: the figures, once."""

from __future__ import annotations

import click

from cli.options import chosen_root, root_option


@click.command()
@root_option
def metrics() -> None:
    """Print all figures once, in the text format that Prometheus reads.

    For its textfile collector, or to look at; `sheetflow serve` shows the same over HTTP if
    SHEETFLOW_METRICS_PORT is set. docs/metrics.md tells what each of them means.
    """
    from sheetflow.settings import load_settings
    from sheetflow.telling.metrics import metrics_text

    click.echo(metrics_text(load_settings(root=chosen_root()).folders), nl=False)
