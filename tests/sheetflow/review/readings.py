"""Readings for the tests of reviews: a grid of pairs, with what a test wants wrong with it."""

from __future__ import annotations

from sheetflow.reading import Discard, Pair, Picture, SheetReading, Symbol, twice_on_sheet
from sheetflow.regions import NO_CODE, NO_PICTURE
from sheetflow.vision.geometry import Box, Quad


def picture(row: int, column: int) -> Quad:
    return Box(40 + 200 * column, 40 + 260 * row, 140, 150).quad()


def bars(row: int, column: int) -> Quad:
    return Box(50 + 200 * column, 205 + 260 * row, 120, 6).quad()


def code(index: int) -> str:
    digits = f"400{index:09d}"
    check = -sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(digits)) % 10
    return f"{digits}{check}"


def pair(row: int, column: int, *doubts: str, columns: int = 4, text: str | None = None) -> Pair:
    payload = text or code(row * columns + column)
    return Pair(
        payload, "EAN-13", row, column, picture(row, column), bars(row, column), 0.99, doubts
    )


def grid(
    rows: int = 3,
    columns: int = 4,
    *,
    without_code: tuple[int, ...] = (),
    without_picture: tuple[int, ...] = (),
    doubted: tuple[int, ...] = (),
    twice: tuple[int, int] | None = None,
    sheet_doubts: tuple[str, ...] = (),
) -> SheetReading:
    """A reading of rows by columns; the numbers are places, row by row, from 0."""
    pairs, pictures, symbols, doubts = [], [], [], []
    for index in range(rows * columns):
        row, column = divmod(index, columns)
        if index in without_code:
            pictures.append(Picture(picture(row, column)))
            doubts.append(NO_CODE)
        elif index in without_picture:
            symbols.append(Symbol(code(index), "EAN-13", bars(row, column)))
            doubts.append(NO_PICTURE)
        else:
            text = code(twice[0]) if twice and index in twice else code(index)
            why = ["the code was read with doubt"] if index in doubted else []
            why += [twice_on_sheet(text)] if twice and index in twice else []
            pairs.append(pair(row, column, *why, text=text))
            doubts += why
    return SheetReading(
        size_px=(200 * columns + 80, 260 * rows + 80),
        pairs=tuple(pairs),
        unpaired_pictures=tuple(pictures),
        unpaired_symbols=tuple(symbols),
        discards=(Discard(Box(10, 5, 400, 20).quad(), "a text"),),
        doubts=(*doubts, *sheet_doubts),
        sheet_doubts=sheet_doubts,
    )
