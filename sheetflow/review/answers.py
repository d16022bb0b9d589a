"""From what a person answers, in numbers and words, to decisions; each fault with its cure.

Pure. An answer settles a sheet whole or is refused whole, with everything that is wrong with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sheetflow.errors import UsageError
from sheetflow.reading import SheetReading
from sheetflow.regions import Kind, Region, regions_of
from sheetflow.review.applying import NO_PAIR, apply
from sheetflow.review.codes import CodeRefused, checked_code
from sheetflow.review.decisions import Action, Decision, Mark

LEFT_OUT = "left out: the sheet was said to be complete without it"


class AnswerRefused(UsageError):
    """What was answered cannot be, or leaves doubts open.

    Args:
        problems: Everything that is wrong with it, a sentence each.
        sheet: The sheet's printable name.
    """

    def __init__(self, problems: Iterable[str], *, sheet: str) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "; ".join(self.problems),
            cure="Nothing was stored; answer again. `sheetflow review NAME` shows the numbers",
            sheet=sheet,
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_refused, (self.problems, self.sheet))


def _refused(problems: tuple[str, ...], sheet: str) -> AnswerRefused:
    return AnswerRefused(problems, sheet=sheet)


@dataclass(frozen=True)
class Answers:
    """What a person says about the regions of a sheet, by their numbers.

    Attributes:
        accept: Doubtful pairs that are right.
        accept_all: All doubtful pairs are right.
        codes: The codes that pictures have: (code, kind or None).
        assign: Which code on the sheet a picture belongs to.
        discard: What is not to be stored, and why.
        complete: The sheet is complete as it is: what has no partner is left out, and doubts about
            the sheet as a whole are unfounded.
    """

    accept: tuple[int, ...] = ()
    accept_all: bool = False
    codes: Mapping[int, tuple[str, str | None]] = field(default_factory=dict)
    assign: Mapping[int, int] = field(default_factory=dict)
    discard: Mapping[int, str] = field(default_factory=dict)
    complete: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return self == Answers()

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answers:
        """Read answers as a file holds them.

        The keys are those of `Answers`; numbers that are keys are text, as JSON has it, and a code
        is a text or a list of the code and its kind.

        Raises:
            ValueError: It has another shape.
        """
        unknown = set(value) - {"accept", "accept_all", "codes", "assign", "discard", "complete"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(map(str, unknown)))}")
        try:
            return cls(
                accept=tuple(int(number) for number in value.get("accept", ())),
                accept_all=bool(value.get("accept_all", False)),
                codes={int(k): _typed(code) for k, code in value.get("codes", {}).items()},
                assign={int(k): int(symbol) for k, symbol in value.get("assign", {}).items()},
                discard={int(k): str(why) for k, why in value.get("discard", {}).items()},
                complete=bool(value.get("complete", False)),
            )
        except (TypeError, AttributeError) as error:
            raise ValueError(str(error)) from error


def _typed(value: Any) -> tuple[str, str | None]:
    if isinstance(value, str):
        return value, None
    code, kind = value
    return str(code), None if kind is None else str(kind)


def decided(reading: SheetReading, answers: Answers, *, sheet: str) -> tuple[Decision, ...]:
    """Return the decisions that an answer amounts to; together they settle the sheet.

    Args:
        reading: The reading whose numbers the answer speaks of.
        answers: What the person said.
        sheet: The sheet's printable name, for messages.

    Raises:
        AnswerRefused: A number is unknown or named twice, a code cannot be, or doubts are left.
    """
    regions = {region.number: region for region in regions_of(reading)}
    problems = [*_unknown(answers, regions), *_named_twice(answers)]
    decisions: list[Decision] = []
    for number, region in regions.items():
        try:
            decision = _decision(region, answers, regions)
        except CodeRefused as refusal:
            problems.append(f"{region.label}: {refusal}")
            continue
        decisions += [decision] if decision is not None else []
        problems += [] if decision is not None else _misplaced(number, region, answers)
    if answers.complete and reading.sheet_doubts:
        decisions.append(Decision(Action.COMPLETE, settles=reading.sheet_doubts))
    problems = problems or _left(apply(reading, decisions) if decisions else reading)
    if problems:
        raise AnswerRefused(problems, sheet=sheet)
    return tuple(decisions)


def _decision(region: Region, answers: Answers, regions: Mapping[int, Region]) -> Decision | None:
    number, mark, symbol = region.number, Mark.of(region), region.symbol
    if number in answers.codes and region.kind is not Kind.CODE:
        text, kind = answers.codes[number]
        code, symbology = checked_code(text, kind)
        stands = _free_code(code, answers, regions)
        if stands is not None:
            mark_of_code = _mark_of_code(stands)
            return Decision(Action.ASSIGN, mark, mark_of_code, code=code, symbology=symbology)
        return Decision(Action.CODE, mark, code=code, symbology=symbology)
    if number in answers.assign and region.kind is not Kind.CODE:
        partner = regions.get(answers.assign[number])
        if partner is None or partner.symbol is None:
            return None
        code, symbology = partner.symbol.payload, partner.symbol.symbology
        return Decision(Action.ASSIGN, mark, _mark_of_code(partner), code=code, symbology=symbology)
    if number in answers.discard and region.kind is not Kind.DISCARD:
        reason = answers.discard[number].strip() or "discarded by a person"
        return Decision(Action.DISCARD, mark, reason=reason)
    accepted = number in answers.accept or (answers.accept_all and region.is_open)
    if accepted and region.kind is Kind.PAIR and symbol is not None:
        code, symbology = symbol.payload, symbol.symbology
        return Decision(Action.ACCEPT, mark, code=code, symbology=symbology)
    taken = set(answers.assign.values())
    lonely = region.kind in (Kind.PICTURE, Kind.CODE) and number not in taken
    if answers.complete and lonely and number not in answers.accept:
        return Decision(Action.DISCARD, mark, reason=LEFT_OUT)
    return None


def _free_code(code: str, answers: Answers, regions: Mapping[int, Region]) -> Region | None:
    """Return the code on the sheet that a person has typed off it, if it has no picture yet."""
    taken = {*answers.assign.values(), *answers.discard}
    free = (region for region in regions.values() if region.number not in taken)
    return next(
        (it for it in free if it.kind is Kind.CODE and it.symbol and it.symbol.payload == code),
        None,
    )


def _mark_of_code(region: Region) -> Mark:
    """Mark the code of a region; a pair's is found by where its code lies."""
    quad = region.symbol.quad if region.symbol is not None else region.quad
    return Mark(region.kind, region.number, quad, region.page)


def _named(answers: Answers) -> list[int]:
    return [*answers.accept, *answers.codes, *answers.assign, *answers.discard]


def _unknown(answers: Answers, regions: Mapping[int, Region]) -> list[str]:
    unknown = sorted({*_named(answers), *answers.assign.values()} - set(regions))
    return [f"there is no region {n}: they go from 1 to {len(regions)}" for n in unknown]


def _named_twice(answers: Answers) -> list[str]:
    times, taken = Counter(_named(answers)), Counter(answers.assign.values())
    named = [f"region {n} is decided about twice: once will do" for n, t in times.items() if t > 1]
    return named + [
        f"code {n} is given to {t} pictures: it can have one" for n, t in taken.items() if t > 1
    ]


def _misplaced(number: int, region: Region, answers: Answers) -> list[str]:
    """Say why what was answered about a region is no decision, if something was."""
    if number in answers.codes or number in answers.assign:
        if region.kind is Kind.CODE:
            return [
                f"{region.label} is a code: say to which picture it belongs, as in PICTURE={number}"
            ]
        source = answers.assign.get(number)
        return [f"{region.label}: {source} has no code that could be assigned; type its code in"]
    if number in answers.discard:
        return [f"{region.label} is discarded already"]
    if number in answers.accept:
        return [f"{region.label} is no pair: give it a partner, or discard it"]
    return []


def _left(settled: SheetReading) -> list[str]:
    """Return what is still open, each with what would settle it."""
    if not settled.doubts:
        return []
    left = [f"still open: {doubt}" for doubt in settled.doubts if doubt not in settled.sheet_doubts]
    for doubt in settled.sheet_doubts:
        cure = (
            "reject the sheet, or give a picture its code"
            if doubt == NO_PAIR
            else "say that it is complete, if it is"
        )
        left.append(f"still open: {doubt} ({cure})")
    return left
