"""Draw the plots of docs/performance.md from what the benchmarks printed.

    pip install -c constraints.txt -e '.[bench]'
    python benchmarks/plots.py RESULTS.txt... docs/images

Each file holds the output of a benchmark; the lines of JSON in it are taken, the rest is not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

_PARTS = {
    "client_ms": ("the run", "#4878a8"),
    "server_ms": ("Prefect's server", "#e49444"),
    "mongod_ms": ("MongoDB", "#6a9f58"),
}


def main(arguments: Sequence[str]) -> int:
    """Read the results and write `queue.svg`, `where.svg` and `steps.svg`."""
    if len(arguments) < 2:
        print(__doc__)
        return 2
    *files, folder = map(Path, arguments)
    # The same data give the same file.
    mpl.rcParams.update({"svg.hashsalt": "sheetflow", "font.size": 9, "svg.fonttype": "none"})
    for result in _results(files):
        if result["title"].startswith("Queues"):
            _queue(result["rows"], folder / "queue.svg")
        elif result["title"].startswith("A4") and result["rows"]:
            _where(result["rows"], folder / "where.svg")
        elif result["title"].startswith("Four"):
            _where(result["rows"], folder / "steps.svg")
    return 0


def _results(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for line in file.read_text().splitlines():
            if line.startswith('{"title"'):
                yield json.loads(line)


def _queue(rows: Sequence[dict[str, Any]], file: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 3.2))
    lengths = [row["queue"] for row in rows]
    for column, (label, colour) in _PARTS.items():
        axes.plot(lengths, [row[column] for row in rows], "o-", label=label, color=colour)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set(xlabel="sheets in the queue", ylabel="CPU, ms a sheet")
    axes.grid(visible=True, alpha=0.3)
    memory = axes.twinx()
    memory.plot(lengths, [row["highest_mb"] for row in rows], "s--", color="#888888")
    memory.set_ylim(bottom=0)
    memory.set_ylabel("most memory of the run, MB (dashed)")
    axes.legend(frameon=False, loc="lower left")
    _save(figure, file)


def _where(rows: Sequence[dict[str, Any]], file: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 1.8))
    names = [row["system"] for row in rows]
    left = [0.0] * len(rows)
    for column, (label, colour) in _PARTS.items():
        if column not in rows[0]:
            continue
        widths = [row[column] / row.get("slowness", 1.0) for row in rows]
        label = "the run, all its processes" if column == "client_ms" else label
        axes.barh(names, widths, left=left, label=label, color=colour)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("CPU, ms a sheet, corrected")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.35))
    _save(figure, file)


def _save(figure: Any, file: Path) -> None:
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
