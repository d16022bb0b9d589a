"""The audit as a whole, in an order in which what one check mends is not told again by the next."""

from __future__ import annotations

from sheetflow.audit.agreement import check_agreement
from sheetflow.audit.archive import check_archive
from sheetflow.audit.ledger import check_ledger
from sheetflow.audit.leftovers import check_leftovers, is_at_rest
from sheetflow.audit.pictures import check_pictures
from sheetflow.audit.quarantine import check_quarantine
from sheetflow.audit.report import Problem, Repair, Report, Unknown
from sheetflow.audit.sampling import Sample
from sheetflow.audit.staging import check_staging
from sheetflow.custody.folders import Folders
from sheetflow.custody.forced import Phase, forced_records
from sheetflow.custody.forced_steps import settle_forced, tell_untold
from sheetflow.custody.inbox import waiting_names
from sheetflow.custody.reconciling import reconcile
from sheetflow.errors import SheetflowError
from sheetflow.settings import Settings
from sheetflow.store.connection import Store
from sheetflow.store.reach import store_at_hand

_WHOLE = Sample()


def audit(
    settings: Settings,
    *,
    sample: Sample = _WHOLE,
    repair: bool = False,
    unknown: Unknown = Unknown.LEAVE,
) -> Report:
    """Hold folders, journal, ledger, records and GridFS against each other.

    Args:
        settings: Where they are.
        sample: Which sheets' bytes are read and hashed; everything else is looked at in any case.
        repair: Whether to mend what can be mended without a risk.
        unknown: What a repair does with sheets in the archive that nothing is known of: an archive
            may have thousands of an earlier tool's, and to store all those is for a person to say.

    Returns:
        What was looked at, found and mended.
    """
    report, folders = Report(repair, unknown), settings.folders
    with store_at_hand(settings, start=True) as at_hand:
        if at_hand.problem is not None:
            report.add([_away(at_hand.problem)])
        if repair:
            _finish(folders, at_hand.store, report)
        try:
            _check(folders, at_hand.store, sample, report)
        except SheetflowError as error:
            report.add([_cut_short(error)])
    return report


def _check(folders: Folders, store: Store | None, sample: Sample, report: Report) -> None:
    if folders.inbox.is_dir():
        report.count("waiting_files", len(waiting_names(folders)))
    check_leftovers(folders, report)
    _check_forced(folders, report)
    check_archive(folders, store, sample, report)
    check_staging(folders, store, report)
    check_quarantine(folders, sample, report)
    if store is not None:
        check_ledger(folders, store, sample, report)
        check_agreement(folders, store, report)
        check_pictures(folders, store, sample, report)


def _finish(folders: Folders, store: Store | None, report: Report) -> None:
    """Do what the start of a run does, so that only real trouble is left to be found."""
    for line in reconcile(folders):
        sheet, _, what = line.partition(": ")
        report.repaired.append(Repair("unfinished", sheet, what))
    settle_forced(folders)
    if store is not None:
        untold = {record.sha256: record for record in forced_records(folders) if not record.told}
        tell_untold(folders, lambda: store)
        left = {record.sha256 for record in forced_records(folders) if not record.told}
        report.repaired += [
            Repair("untold_force", record.before.name, "the ledger was told of the force-archive")
            for sha256, record in untold.items()
            if sha256 not in left
        ]


def _check_forced(folders: Folders, report: Report) -> None:
    for record in forced_records(folders):
        report.count("forced_records")
        unfinished = not record.told or record.phase in (Phase.BEGUN, Phase.UNDOING)
        if unfinished and is_at_rest(folders, record.sha256):
            problem = Problem(
                "untold_force",
                record.before.name,
                f"it was archived by force or taken back ({record.phase}), and the ledger has not "
                "heard of it",
                "The next run tells the ledger, and so does `sheetflow audit --repair`",
                sha256=record.sha256,
            )
            report.add([problem])


def _away(problem: SheetflowError) -> Problem:
    return Problem(
        "mongodb_away",
        "MongoDB",
        f"{problem.cause}; only the folders and the journal were looked at",
        problem.cure,
    )


def _cut_short(error: SheetflowError) -> Problem:
    return Problem(
        "cut_short",
        error.sheet or "the audit",
        f"the audit could not go on: {error.cause}",
        f"{error.cure}; then audit again",
    )
