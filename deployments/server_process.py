"""The process of our own Prefect server: `python -m deployments.server_process server start ...`.

It is `prefect` itself, with a garbage collector that fits a server. Every event makes some
thousand objects that die at once, by their count of references; with Python's threshold of 700
the collector looks through them, and through all of Prefect's, many times a second for nothing.
And it asks SQLite for task runs in words for which there is an index.
"""

from __future__ import annotations

import gc
import runpy

from deployments.sqlite_lookups import use_the_index

_NEW_OBJECTS = 50_000
"""Some ten MB that may wait for the collector; ten times as many gained nothing more."""

if __name__ == "__main__":
    gc.set_threshold(_NEW_OBJECTS, 20, 100)
    use_the_index()
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)
