"""`sheetflow samples`: sheets to try sheetflow with."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import json_option
from cli.tables import print_json, print_table
from sheetflow.wording import counted

_BOUND_AT_MOST = 24


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 500), help="Sheets.")
@click.option("--seed", default=1, show_default=True, help="Another number gives other sheets.")
@click.option("--without-truth", is_flag=True, help="Draw sheets only, as into an inbox.")
@click.option(
    "--bound",
    type=click.Choice(["pdf", "tiff"]),
    help="Draw them as the pages of one file, DIR/catalogue.pdf or .tif; 24 at most.",
)
@json_option
def samples(
    folder: Path,
    *,
    count: int,
    seed: int,
    without_truth: bool,
    bound: str | None,
    as_json: bool,
) -> None:
    """Draw printable catalogue sheets into DIR.

    What each shows, and where, stands in DIR/truth.json, unless you draw --without-truth.
    """
    from sheetflow.samples.catalogue import draw_bound_samples, draw_samples

    if bound is not None and count > _BOUND_AT_MOST:
        raise click.UsageError(f"--bound takes {_BOUND_AT_MOST} sheets at most.")
    with_truth = not without_truth
    drawn = (
        draw_samples(folder, seed=seed, count=count, with_truth=with_truth)
        if bound is None
        else draw_bound_samples(
            folder, bound.upper(), seed=seed, count=count, with_truth=with_truth
        )
    )
    if as_json:
        print_json({"files": list(dict.fromkeys(str(sheet.path) for sheet in drawn))})
        return
    print_table(
        ["sheet", "pictures", "codes"],
        [[sheet.path.name, sheet.pictures, len(sheet.codes)] for sheet in drawn],
        title=f"{counted(len(drawn), 'sheet')} drawn into {folder}",
    )
