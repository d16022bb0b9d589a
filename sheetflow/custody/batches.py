"""Long streams in handy pieces, so that memory does not grow with the store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of up to `size` items, in order."""
    stream = iter(items)
    while batch := list(islice(stream, size)):
        yield batch
