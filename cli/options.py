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


def chosen_root() -> Path | None:
    """Return what `--root` says, None if it was not given."""
    root = click.get_current_context().meta.get(_ROOT)
    return root if isinstance(root, Path) else None
