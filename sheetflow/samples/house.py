"""The house styles of the shops whose catalogues are drawn: names, colours, small print."""

from __future__ import annotations

from dataclasses import dataclass

from sheetflow.samples.canvas import Colour


@dataclass(frozen=True)
class House:
    """A shop.

    Attributes:
        brand: Its name.
        title: What its header says.
        small_print: What its footer says.
        accent: The colour of its rules and prices.
    """

    brand: str
    title: str
    small_print: str
    accent: Colour


HOUSES = (
    House("NORTHGATE", "Home & Table, spring", "Prices include tax.", (178, 58, 46)),
    House("Fern & Finch", "Made to last", "Prices per piece, ex works.", (34, 104, 82)),
    House("HARBOUR ROW", "Everyday goods", "While stocks last.", (30, 78, 140)),
    House("Atelier Lund", "Collection 26", "Recommended retail prices.", (150, 96, 24)),
    House("Brightwell", "Trade list", "Prices for resellers only.", (108, 52, 116)),
)


def house(number: int) -> House:
    """Return a shop, any number."""
    return HOUSES[number % len(HOUSES)]
