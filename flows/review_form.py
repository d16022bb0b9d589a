"""The form of a review in the Prefect UI: made for one sheet, its regions in the drop-downs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal

from prefect.input import RunInput
from pydantic import BaseModel, Field, create_model

from sheetflow.reading import SheetReading
from sheetflow.regions import Region, regions_of, shown_regions
from sheetflow.review.answers import AnswerRefused, Answers
from sheetflow.symbologies import SYMBOLOGIES

NONE = "none"
TOLD_BY_DIGITS = "tell it from the digits"
_PREFILLED_AT_MOST = 100
_TOLD_AT_MOST = 12


class Whole(StrEnum):
    """What becomes of the sheet."""

    SETTLE = "settle it as decided below"
    ACCEPT = "everything is right: accept every pair, leave out what has no partner"
    REREAD = "read it again; earlier decisions are dropped"
    REJECT = "reject it: nothing of it is to be stored (say why in the note)"


class What(StrEnum):
    """What becomes of a region."""

    LATER = "not decided"
    RIGHT = "it is right as it is"
    TYPED = "its code is the one that I type below"
    CHOSEN = "its code is the one that I choose below"
    DISCARD = "it is not to be stored"


def review_form(
    reading: SheetReading,
    *,
    sheet: str,
    description: str,
    problems: Sequence[str] = (),
    before: Mapping[str, Any] | None = None,
) -> type[RunInput]:
    """Return the form for one sheet.

    Args:
        reading: What was read on it; regions are numbered by it.
        sheet: Its printable name.
        description: Markdown that stands above the fields. Prefect 3.8.8 squeezes it to nothing
            where the form is longer than the window, so nothing may stand there alone.
        problems: Why the answer before was refused.
        before: That answer; it stands in the fields again.
    """
    regions = shown_regions(reading)
    line = _line(regions)
    before = before or {}
    lines = (
        before.get("decisions")
        or [{"region": region.told} for region in regions if region.is_open][:_PREFILLED_AT_MOST]
    )
    fields: dict[str, Any] = {
        "sheet": (
            Whole,
            Field(
                default=before.get("sheet") or Whole.SETTLE,
                title=sheet,
                description=_told(reading, problems),
            ),
        ),
        "by": (
            str,
            Field(
                min_length=2,
                max_length=100,
                title="Your name",
                description="Kept on record with the decision.",
                **({"default": before["by"]} if before.get("by") else {}),
            ),
        ),
        "decisions": (
            list[line],  # type: ignore[valid-type]  # a model that is made here
            Field(
                default=[line(**item) for item in lines if _fits(item, regions)],
                title="What is in doubt",
                description="A part for each doubt; add one to correct any other region. The "
                "numbers are those on the picture.",
            ),
        ),
        "complete": (
            bool,
            Field(
                default=bool(before.get("complete", False)),
                title="The sheet is complete",
                description="Nothing is missing: what has no partner is left out, and doubts about "
                "the sheet as a whole are unfounded.",
            ),
        ),
        "note": (
            str,
            Field(
                default=before.get("note", ""),
                max_length=1000,
                title="Note",
                description="Anything else; the reason, if you reject the sheet.",
            ),
        ),
    }
    form = create_model("Review", __base__=RunInput, **fields)
    return form.with_initial_data(description=description)


def answers_of(value: Mapping[str, Any], reading: SheetReading, *, sheet: str) -> Answers:
    """Return what a filled-in form says about the regions.

    Args:
        value: The form as the API holds it; fields that were left alone may be missing.
        reading: The reading that the form was made for.
        sheet: The sheet's printable name.

    Raises:
        AnswerRefused: A part is half filled in, or speaks of a region that is not there.
    """
    numbers = {region.told: region.number for region in regions_of(reading)}
    accept, codes = list[int](), dict[int, tuple[str, str | None]]()
    assign, discard, problems = dict[int, int](), dict[int, str](), list[str]()
    for item in value.get("decisions") or ():
        told = str(item.get("region", ""))
        what, number = item.get("what", What.LATER), numbers.get(told)
        if number is None:
            problems.append(f"there is no {told or 'such region'} on the sheet any more")
        elif what != What.LATER and number in {*accept, *codes, *assign, *discard}:
            problems.append(f"{told} is decided about twice: once will do")
        elif what == What.RIGHT:
            accept.append(number)
        elif what == What.TYPED:
            kind = item.get("kind", TOLD_BY_DIGITS)
            codes[number] = (str(item.get("code", "")), None if kind == TOLD_BY_DIGITS else kind)
        elif what == What.CHOSEN and numbers.get(str(item.get("belongs_to"))) is None:
            problems.append(f"{told}: choose the code that it belongs to, or type it")
        elif what == What.CHOSEN:
            assign[number] = numbers[str(item["belongs_to"])]
        elif what == What.DISCARD:
            discard[number] = str(item.get("reason", ""))
        elif str(item.get("code", "")).strip():
            problems.append(f"{told}: a code was typed, and not that it is its code")
    if problems:
        raise AnswerRefused(problems, sheet=sheet)
    everything = value.get("sheet") == Whole.ACCEPT
    return Answers(
        accept=tuple(accept),
        accept_all=everything,
        codes=codes,
        assign=assign,
        discard=discard,
        complete=everything or bool(value.get("complete", False)),
    )


def _told(reading: SheetReading, problems: Sequence[str]) -> str:
    """Say, above the first field, what was wrong and what is in doubt."""
    parts = [f"YOUR ANSWER WAS NOT TAKEN: {'; '.join(problems)}."] if problems else []
    doubts = [f"{it.label}: {doubt}" for it in regions_of(reading) for doubt in it.doubts]
    doubts += reading.sheet_doubts
    more = len(doubts) - _TOLD_AT_MOST
    shown = "; ".join(doubts[:_TOLD_AT_MOST]) + (f"; and {more} more" if more > 0 else "")
    parts += [f"In doubt: {shown}.", "The picture with the numbers is among the run's artifacts."]
    return " ".join(parts)


def _line(regions: Sequence[Region]) -> type[BaseModel]:
    names: Any = Literal[tuple(region.told for region in regions) or (NONE,)]
    codes: Any = Literal[(NONE, *(it.told for it in regions if it.symbol is not None))]
    kinds: Any = Literal[(TOLD_BY_DIGITS, *SYMBOLOGIES)]
    return create_model(
        "Decision",
        region=(names, Field(title="Region", description="As numbered on the picture.")),
        what=(What, Field(default=What.LATER, title="What is to become of it")),
        code=(
            str,
            Field(
                default="", title="Its code, typed", description="As it is printed under the bars."
            ),
        ),
        kind=(
            kinds,
            Field(
                default=TOLD_BY_DIGITS,
                title="The kind of the typed code",
                description="Needed unless it is an EAN, a UPC or an ITF-14.",
            ),
        ),
        belongs_to=(
            codes,
            Field(default=NONE, title="Its code, chosen", description="A code on this sheet."),
        ),
        reason=(
            str,
            Field(default="", title="Why it is not to be stored", description="If it is not."),
        ),
    )


def _fits(item: Mapping[str, Any], regions: Sequence[Region]) -> bool:
    """Tell whether an earlier answer's part still speaks of regions that there are."""
    names = {region.told for region in regions}
    return item.get("region") in names and item.get("belongs_to", NONE) in {NONE, *names}
