"""What is the matter now, as the folders and the journal show it, MongoDB there or not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from sheetflow.audit.report import Problem
from sheetflow.custody.folders import Folders
from sheetflow.custody.names import shown_name
from sheetflow.custody.quarantine import quarantined_files, read_reason
from sheetflow.errors import Failure
from sheetflow.sheets import State
from sheetflow.status import StagedStatus, staged_statuses, waiting_ages_s
from sheetflow.telling.notices import Kind, Trouble

_ANSWER = "Look at its review in the Prefect UI, or run `sheetflow review`"
_LOOK_BESIDE = "See the .json file beside each in images_rejected/; `sheetflow retry` takes it back"
_UNTOLD = Failure(
    "unknown", "the last attempt failed", "`sheetflow status NAME` tells its whole life"
)


@dataclass(frozen=True)
class Missed:
    """A sheet that a run failed on, perhaps without a word of it in the journal."""

    name: str
    sha256: str | None
    failure: Failure


def troubles_in(
    folders: Folders,
    *,
    alert_age_s: float,
    missed: Iterable[Missed] = (),
    known_rejected: Collection[str] = (),
) -> list[Trouble]:
    """List what is the matter with the sheets.

    Args:
        folders: The four places; missing ones count as empty.
        alert_age_s: How long a sheet may be here before that is trouble in itself.
        missed: The sheets on which the run failed; those that the journal tells of count once.
        known_rejected: Names in quarantine whose reasons need not be read again.
    """
    staged = staged_statuses(folders)
    failed = [*_failed(staged), *_missed(missed, staged)]
    late = {} if any(trouble.shared for trouble in failed) else _late(folders, staged, alert_age_s)
    return [
        *failed,
        *_review(staged),
        *_rejected(folders, known_rejected),
        *([_told_late(late)] if late else []),
    ]


def run_trouble(error: BaseException) -> Trouble:
    """Describe what ended a run before it could do its work."""
    failure = Failure.of(error)
    return Trouble(Kind.RUN, failure.kind, failure.cause, failure.cure, shared=True)


def audit_troubles(problems: Iterable[Problem]) -> list[Trouble]:
    """Group what an audit found by the kinds of problems."""
    return _grouped(
        Kind.AUDIT,
        (
            (problem.kind, shown_name(problem.sheet), Failure("", problem.detail, problem.cure))
            for problem in problems
        ),
        cause=lambda about, _failure: about.replace("_", " "),
    )


def _failed(staged: Iterable[StagedStatus]) -> list[Trouble]:
    failures = (
        (shown_name(sheet.name), sheet.failure or _UNTOLD) for sheet in staged if sheet.last_error
    )
    return _grouped(
        Kind.FAILED,
        ((failure.kind, name, failure) for name, failure in failures),
        cause=lambda _about, failure: failure.cause,
    )


def _missed(missed: Iterable[Missed], staged: Iterable[StagedStatus]) -> list[Trouble]:
    known = {sheet.sha256 for sheet in staged if sheet.last_error and sheet.sha256}
    # One group, whatever their causes: these may bear names and paths, and would be many.
    return _grouped(
        Kind.MISSED,
        (("", shown_name(it.name), it.failure) for it in missed if it.sha256 not in known),
        cause=lambda _about, failure: failure.cause,
    )


def _review(staged: Iterable[StagedStatus]) -> list[Trouble]:
    doubts = {
        shown_name(sheet.name): "; ".join(sheet.doubts)
        for sheet in staged
        if sheet.state is State.NEEDS_REVIEW and not sheet.last_error
    }
    if not doubts:
        return []
    cause = "what was read on it is in doubt" if len(doubts) == 1 else "what was read is in doubt"
    return [Trouble(Kind.REVIEW, "", cause, _ANSWER, doubts)]


def _rejected(folders: Folders, known: Collection[str]) -> list[Trouble]:
    if not folders.quarantine.is_dir():
        return []
    reasons, cures = {}, set()
    for path in sorted(quarantined_files(folders)):
        name = shown_name(path.name)
        reason = read_reason(path) if name not in known else {}
        reasons[name] = reason.get("cause", "")
        cures.add(reason.get("cure") or _LOOK_BESIDE)
    if not reasons:
        return []
    cause = next((words for words in reasons.values() if words), "they are no readable images")
    cure = cures.pop() if len(cures) == 1 else _LOOK_BESIDE
    return [Trouble(Kind.REJECTED, "", cause, cure, reasons)]


def _late(
    folders: Folders, staged: Iterable[StagedStatus], alert_age_s: float
) -> Mapping[str, str]:
    ages_s = dict(waiting_ages_s(folders))
    for sheet in staged:
        if not sheet.last_error and sheet.state is not State.NEEDS_REVIEW:
            ages_s[sheet.name] = sheet.age_s
    return {
        shown_name(name): f"for {age_s / 3600:.1f} hours"
        for name, age_s in sorted(ages_s.items(), key=lambda item: -item[1])
        if age_s > alert_age_s
    }


def _told_late(late: Mapping[str, str]) -> Trouble:
    return Trouble(
        Kind.LATE,
        "",
        f"the oldest has been here {next(iter(late.values()))} and is not archived",
        "`sheetflow status` shows where they are: still being written, or waiting for a run",
        late,
        shared=True,
    )


def _grouped(
    kind: Kind,
    found: Iterable[tuple[str, str, Failure]],
    *,
    cause: Callable[[str, Failure], str],
) -> list[Trouble]:
    groups: dict[str, dict[str, Failure]] = {}
    for about, name, failure in found:
        groups.setdefault(about, {})[name] = failure
    troubles = []
    for about, failures in groups.items():
        first = next(iter(failures.values()))
        shared = all(failure.shared for failure in failures.values())
        words = {name: "" if shared else failure.cause for name, failure in failures.items()}
        troubles.append(Trouble(kind, about, cause(about, first), first.cure, words, shared))
    return troubles
