"""Numbers of things, as people say them."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural unless it is one: `1 pair`, `12 pairs`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
