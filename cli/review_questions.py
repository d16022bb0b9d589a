"""Asking a person on a terminal about each doubt of a sheet, until the answers settle it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from cli.review_options import typed_code

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sheetflow.custody.reviewing import UnderReview
    from sheetflow.regions import Region
    from sheetflow.review.answers import Answers

_HOW = """\
For each region, type its code (CODE or CODE,KIND), or one of these:
  a         it is right as it is
  =NUMBER   it belongs to the code with that number on the picture
  d REASON  it is not to be stored
  r REASON  reject the whole sheet         n  have the sheet read again
  q         leave it for another time      Enter alone leaves the region open"""


@dataclass(frozen=True)
class Said:
    """What a person wants: answers that settle the sheet, a rejection, or another reading."""

    answers: Answers | None = None
    reject: str | None = None
    reread: bool = False


def ask_about(looked_at: UnderReview) -> Said | None:
    """Ask about every region in doubt, again until nothing is wrong; None if the person leaves."""
    from sheetflow.custody.names import shown_name
    from sheetflow.regions import regions_of
    from sheetflow.review.answers import AnswerRefused, decided

    click.echo(_HOW)
    regions = regions_of(looked_at.reading)
    typed: dict[int, str] = {}
    while True:
        for region in regions:
            if region.is_open or region.number in typed:
                typed[region.number] = _ask(region, typed.get(region.number, ""))
                match typed[region.number].partition(" "):
                    case ("q", _, _):
                        return None
                    case ("n", _, ""):
                        return Said(reread=True)
                    case ("r", _, reason):
                        return Said(reject=reason or str(click.prompt("Why?")))
        answers = _answers(typed, complete=_is_complete(looked_at, typed))
        try:
            decided(looked_at.reading, answers, sheet=shown_name(looked_at.entry.name))
        except AnswerRefused as error:
            for problem in error.problems:
                click.echo(f"- {problem}")
            if not click.confirm("Answer again?", default=True):
                return None
            more = str(click.prompt("Another region to correct (its number)", default="")).strip()
            if more.isdecimal():
                typed.setdefault(int(more), "")
            continue
        return Said(answers=answers)


def _ask(region: Region, before: str) -> str:
    question = f"{region.told}: {'; '.join(region.doubts) or region.reason or 'certain'}"
    return str(click.prompt(question, default=before, show_default=bool(before))).strip()


def _is_complete(looked_at: UnderReview, typed: Mapping[int, str]) -> bool:
    doubts = looked_at.reading.sheet_doubts
    if not doubts and all(typed.values()):
        return False
    for doubt in doubts:
        click.echo(f"of the whole sheet: {doubt}")
    question = "Is the sheet complete as it is? What has no partner is left out then."
    return click.confirm(question, default=False)


def _answers(typed: Mapping[int, str], *, complete: bool) -> Answers:
    from sheetflow.review.answers import Answers

    accept, codes = list[int](), dict[int, tuple[str, str | None]]()
    assign, discard = dict[int, int](), dict[int, str]()
    for number, text in typed.items():
        if text == "a":
            accept.append(number)
        elif text == "d" or text.startswith("d "):
            discard[number] = text[2:]
        elif text.startswith("=") and text[1:].strip().isdecimal():
            assign[number] = int(text[1:])
        elif text:
            codes[number] = typed_code(text)
    return Answers(tuple(accept), False, codes, assign, discard, complete)
