"""Markdown for the pages that people read in the Prefect UI."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from prefect.settings import get_current_settings

from sheetflow.custody.names import shown_name

# An underscore within a word means nothing to Markdown, and stands in many names.
_SPECIAL = re.compile(r"[\\`*{}\[\]<>|#~]|(?<![^\W_])_|_(?![^\W_])")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table; columns whose cells are all numbers stand to the right."""
    cells = [[cell(value) for value in row] for row in rows]
    numeric = [
        bool(cells) and all(_is_number(row[index]) for row in cells)
        for index in range(len(columns))
    ]
    rule = ["---:" if right else "---" for right in numeric]
    return "\n".join(f"| {' | '.join(line)} |" for line in (columns, rule, *cells))


def cell(value: object) -> str:
    """Return a value as text that cannot break out of its cell, nor become HTML."""
    if value is None:
        return ""
    return _escaped(shown_name(str(value))) if not isinstance(value, Link) else str(value)


class Link:
    """A link, for a cell or a line.

    Args:
        text: What is shown.
        url: Where it leads.
    """

    def __init__(self, text: str, url: str) -> None:
        self._text, self._url = text, url

    def __str__(self) -> str:
        return f"[{_escaped(shown_name(self._text))}]({self._url})"


def flow_run_url(flow_run_id: object) -> str | None:
    """Return the address of a flow run's page, None if the UI's address is not known."""
    return _ui(f"runs/flow-run/{flow_run_id}")


def artifact_url(artifact_id: object) -> str | None:
    """Return the address of an artifact's page, None if the UI's address is not known."""
    return _ui(f"artifacts/artifact/{artifact_id}")


def task_run_url(task_run_id: object) -> str | None:
    """Return the address of a task run's page, None if the UI's address is not known."""
    return _ui(f"runs/task-run/{task_run_id}")


def _ui(path: str) -> str | None:
    settings = get_current_settings()
    # The API's settings know it for Prefect Cloud; one's own server has it beside the API.
    base = settings.ui_url or (settings.api.url or "").removesuffix("/api")
    return f"{base.rstrip('/')}/{path}" if base else None


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit() or not text


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)
