"""From the options of `sheetflow review` to answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from sheetflow.review.answers import Answers

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--accept", type=int, multiple=True, metavar="PAIR", help="This pair is right."),
    click.option("--accept-all", is_flag=True, help="Every pair in doubt is right."),
    click.option(
        "--code",
        "codes",
        multiple=True,
        metavar="PICTURE=CODE[,KIND]",
        help="The picture, or pair, has this code. KIND, as in Code 128, is needed unless it is an "
        "EAN, a UPC or an ITF-14.",
    ),
    click.option(
        "--assign",
        multiple=True,
        metavar="PICTURE=NUMBER",
        help="The picture belongs to the code with this number.",
    ),
    click.option(
        "--discard",
        multiple=True,
        metavar="REGION[=REASON]",
        help="The region is not to be stored.",
    ),
    click.option(
        "--complete",
        is_flag=True,
        help="The sheet is complete: what has no partner is left out, and doubts about the sheet "
        "as a whole are unfounded.",
    ),
    click.option(
        "--answers", type=click.File("rb"), metavar="FILE", help="All these as JSON; - is a pipe."
    ),
)


def answer_options(function: F) -> F:
    """Add the options that say what is to become of the regions."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def answers_of(
    *,
    accept: Sequence[int],
    accept_all: bool,
    codes: Sequence[str],
    assign: Sequence[str],
    discard: Sequence[str],
    complete: bool,
    answers: IO[bytes] | None,
) -> Answers:
    """Return what the options say.

    Raises:
        click.UsageError: One of them cannot be understood.
    """
    from sheetflow.review.answers import Answers

    given = Answers(
        accept=tuple(accept),
        accept_all=accept_all,
        codes={number: typed_code(rest) for number, rest in map(_coded, codes)},
        assign=dict(map(_assigned, assign)),
        discard=dict(map(_discarded, discard)),
        complete=complete,
    )
    if answers is None:
        return given
    if not given.is_empty:
        raise click.UsageError("Give the answers as options or in a file, not both.")
    try:
        return Answers.from_json(json.load(answers))
    except (ValueError, AttributeError, TypeError) as error:
        raise click.UsageError(
            f"The file of answers cannot be understood: {error}. docs/review.md shows one."
        ) from None


def typed_code(text: str) -> tuple[str, str | None]:
    """Split `CODE,KIND`; a comma that no kind of code follows is the code's own."""
    from sheetflow.review.codes import CodeRefused, named_symbology

    code, _, kind = text.rpartition(",")
    try:
        named_symbology(kind)
    except CodeRefused:
        return text, None
    return code, kind


def _coded(text: str) -> tuple[int, str]:
    number, equals, rest = text.partition("=")
    if not equals or not number.strip().isdecimal():
        raise click.UsageError(f"--code {text}: it wants a number and a code, as in 5=73513537.")
    return int(number), rest


def _assigned(text: str) -> tuple[int, int]:
    number, _, rest = text.partition("=")
    if not (number.strip().isdecimal() and rest.strip().isdecimal()):
        raise click.UsageError(f"--assign {text}: it wants two numbers, as in 5=7.")
    return int(number), int(rest)


def _discarded(text: str) -> tuple[int, str]:
    number, _, reason = text.partition("=")
    if not number.strip().isdecimal():
        raise click.UsageError(f'--discard {text}: it wants a number, as in 7="a logo".')
    return int(number), reason
