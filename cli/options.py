"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_ROOT = "sheetflow.root"


def _remember_root(context: click.Context, _option: click.Parameter, value: Path | None) -> None:
    if value is not None:
        context.meta[_ROOT] = value


def root_option(function: F) -> F:
    """Add `--root`, before the command's name or after it; the one after it wins."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        expose_value=False,
        callback=_remember_root,
        help="The data root, which holds source/ and the other folders. "
        "Default: SHEETFLOW_ROOT, or the current folder.",
    )(function)


def json_option(function: F) -> F:
    """Add `--json`: standard output is JSON alone."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, and nothing else, to standard output."
    )(function)


_KNOWN = (
    click.option(
        "--grid",
        metavar="ROWSxCOLUMNS",
        help="How many rows and columns every sheet has, as 4x3. Default: SHEETFLOW_GRID, or any.",
    ),
    click.option(
        "--label-side",
        type=click.Choice(["any", "below", "above", "left", "right"]),
        help="Where codes stand, seen from their pictures. Default: SHEETFLOW_LABEL_SIDE, or any.",
    ),
    click.option(
        "--symbologies",
        metavar="KIND,KIND",
        help="The kinds of code to look for. Default: SHEETFLOW_SYMBOLOGIES, or those of retail.",
    ),
    click.option(
        "--expected-pairs",
        type=click.IntRange(0, 10_000),
        help="How many pairs every sheet has. Default: SHEETFLOW_EXPECTED_PAIRS, or any number.",
    ),
)


def known_sheets_options(function: F) -> F:
    """Add what a person may know about the sheets; the values bear the settings' names."""
    for option in reversed(_KNOWN):
        function = option(function)
    return function


def chosen_root() -> Path | None:
    """Return what `--root` says, None if it was not given."""
    root = click.get_current_context().meta.get(_ROOT)
    return root if isinstance(root, Path) else None
