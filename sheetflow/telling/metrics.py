"""Figures for Prometheus: the folders as they are at the moment, and the sums of all runs.

This is the door to prometheus_client. docs/metrics.md tells what each figure means.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sheetflow import __version__
from sheetflow.custody.folders import Folders
from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings
from sheetflow.sheets import State
from sheetflow.status import SystemStatus, system_status
from sheetflow.telling.figures import BUCKETS_S, Series, load_figures

_BOUNDS = (*map(str, BUCKETS_S), "+Inf")
_IN_STAGING = (State.STAGED, State.PROCESSED, State.UPLOADED, State.NEEDS_REVIEW)


class FolderCollector(Collector):
    """Looks at the folders and at the sums whenever it is asked; holds nothing itself."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not look at the folders."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every figure."""
        yield _gauge("sheetflow_info", "Which sheetflow this is.", {(__version__,): 1}, "version")
        yield from _of_folders(system_status(self._folders))
        yield from _of_runs(load_figures(self._folders))


def metrics_text(folders: Folders) -> str:
    """Return all figures in the text format that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(FolderCollector(folders))
    return generate_latest(registry).decode()


@contextmanager
def metrics_served(settings: Settings) -> Iterator[None]:
    """Serve the figures on 127.0.0.1 while the block runs, if `SHEETFLOW_METRICS_PORT` is set.

    Raises:
        ConfigurationError: The port is taken.
    """
    if not settings.metrics_port:
        yield
        return
    registry = CollectorRegistry()
    registry.register(FolderCollector(settings.folders))
    try:
        server, thread = start_http_server(settings.metrics_port, "127.0.0.1", registry)
    except OSError as error:
        raise ConfigurationError(
            f"the figures cannot be served on port {settings.metrics_port}: {error.strerror}",
            cure="Set SHEETFLOW_METRICS_PORT to a free port, or unset it",
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _of_folders(now: SystemStatus) -> Iterator[Metric]:
    staged = Counter(sheet.state for sheet in now.sheets)
    states = {state: staged[state] for state in _IN_STAGING}
    states |= {State.WAITING: now.waiting, State.ARCHIVED: now.archived}
    states |= {State.REJECTED: now.rejected}
    yield _gauge(
        "sheetflow_sheets",
        "Sheets by state; each is in one.",
        {(str(state),): number for state, number in states.items()},
        "state",
    )
    yield _gauge(
        "sheetflow_queue_sheets",
        "Sheets that the next run works on: waiting or staged, but for those that await a person.",
        {(): now.waiting + now.staged - now.needs_review},
    )
    yield _gauge(
        "sheetflow_failed_sheets", "Staged sheets whose last attempt failed.", {(): now.failed}
    )
    yield _gauge(
        "sheetflow_oldest_unarchived_seconds",
        "For how long the first sheet that is waiting or staged has been here; 0 if there is none.",
        {(): now.oldest_unarchived_s or 0},
    )
    reviews = [sheet.age_s for sheet in now.sheets if sheet.state is State.NEEDS_REVIEW]
    yield _gauge(
        "sheetflow_oldest_review_seconds",
        "For how long the first of the sheets that await a person has been here; 0 if none does.",
        {(): max(reviews, default=0)},
    )


def _of_runs(sums: Mapping[Series, float]) -> Iterator[Metric]:
    yield _histogram("step_seconds", "Seconds that a step of a sheet took.", sums, "step")
    yield _counter(
        "step_failures", "Attempts at a step that failed, by the error.", sums, "step", "cause"
    )
    yield _counter("pairs_stored", "Pairs that MongoDB was proved to hold.", sums)
    yield _counter("stored_bytes", "Bytes of the pictures of these pairs.", sums)
    name = "run_ended_timestamp_seconds"
    yield _gauge(
        f"sheetflow_{name}",
        "When a run of the flow ended last, by its result.",
        _values(name, sums, "flow", "result"),
        "flow",
        "result",
    )


def _gauge(
    name: str, text: str, values: Mapping[tuple[str, ...], float], *labels: str
) -> GaugeMetricFamily:
    metric = GaugeMetricFamily(name, text, labels=labels)
    for label_values, value in values.items():
        metric.add_metric(label_values, value)
    return metric


def _counter(
    name: str, text: str, sums: Mapping[Series, float], *labels: str
) -> CounterMetricFamily:
    metric = CounterMetricFamily(f"sheetflow_{name}", text, labels=labels)
    values = _values(name, sums, *labels)
    # One without labels stands at 0 from the start, so that its first increase is seen.
    for label_values, value in values.items() if labels else {(): values.get((), 0)}.items():
        metric.add_metric(label_values, value)
    return metric


def _histogram(
    name: str, text: str, sums: Mapping[Series, float], label: str
) -> HistogramMetricFamily:
    metric = HistogramMetricFamily(f"sheetflow_{name}", text, labels=[label])
    classes = _values(f"{name}_class", sums, label, "le")
    for label_values, total in _values(f"{name}_sum", sums, label).items():
        numbers = [classes.get((*label_values, bound), 0) for bound in _BOUNDS]
        buckets = list(zip(_BOUNDS, itertools.accumulate(numbers), strict=True))
        metric.add_metric(label_values, buckets, total)
    return metric


def _values(name: str, sums: Mapping[Series, float], *labels: str) -> dict[tuple[str, ...], float]:
    found = {}
    for (series, series_labels), value in sums.items():
        if series == name:
            by_label = dict(series_labels)
            found[tuple(by_label.get(label, "") for label in labels)] = value
    return found
