"""Tables and JSON, with the versions and the machine that they were measured on."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

_LIBRARIES = ("prefect", "pymongo", "opencv-python-headless", "pillow", "zxing-cpp")


def conditions() -> dict[str, Any]:
    """Return when and on what this was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: version(name) for name in _LIBRARIES},
    }


def show(title: str, rows: Sequence[Mapping[str, Any]], more: Mapping[str, Any]) -> None:
    """Print a table of rows, which may have different keys, then everything as a line of JSON."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    print(f"\n{title}")
    for line in (columns, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print(json.dumps({"title": title, **conditions(), **more, "rows": list(rows)}))


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
    return "" if value is None else str(value)
