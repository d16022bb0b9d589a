"""What can go wrong with a sheet, sorted by what should happen next.

`SheetRejected` is the sheet's own fault and would happen again: quarantine it.
`CustodyError` means that a file or a record is not what it should be: stop and move nothing.
`TransientError` is the world's fault: the same call may work later.
`ConfigurationError` is a setting that a person has to mend before anything can work.

Every message says what happened, to which sheet, and what to do next; `cause` and `cure` keep
the two halves apart for tables and reason files.
"""

from __future__ import annotations

from dataclasses import dataclass


class SheetflowError(Exception):
    """Base of every error that sheetflow raises on purpose.

    Args:
        cause: What happened, a clause without a full stop.
        cure: What a person can do about it, a sentence without a full stop.
        sheet: The printable name of the sheet that it happened to, if it happened to one.
    """

    def __init__(self, cause: str, *, cure: str, sheet: str | None = None) -> None:
        self.cause = cause
        self.cure = cure
        self.sheet = sheet
        subject = f"{sheet}: " if sheet else ""
        super().__init__(f"{subject}{cause}. {cure}.")

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments are lost by BaseException's own pickling.
        return (_rebuild, (type(self), self.cause, self.cure, self.sheet))


def _rebuild(
    kind: type[SheetflowError], cause: str, cure: str, sheet: str | None
) -> SheetflowError:
    return kind(cause, cure=cure, sheet=sheet)


class SheetRejected(SheetflowError):
    """The sheet is at fault and would be again: it goes to the quarantine, without a retry."""


class UnreadableImage(SheetRejected):
    """The file is not an image that can be read whole."""


class ImageTooLarge(SheetRejected):
    """The image has more pixels, or the file more bytes, than the limits allow."""


class TooManyPages(SheetRejected):
    """The file has more pages than the limit allows."""


class TooManySymbols(SheetRejected):
    """More codes than any sheet has: the file is something else."""


class WorkerFailed(SheetflowError):
    """The process that read the sheet crashed or hung: this attempt is lost, and no retry now."""


class CustodyError(SheetflowError):
    """A file or a record is not what it should be: stop, move nothing, no retry."""


class DigestMismatch(CustodyError):
    """Bytes that should agree with a SHA-256 do not."""


class SpoiledResult(CustodyError):
    """A kept work product is not what was written: it has to be made again."""


class NameTaken(CustodyError):
    """Another file, with other bytes, already has the name that was to be given."""


class TransientError(SheetflowError):
    """The world is at fault; the same call may work later."""


class StoreUnavailable(TransientError):
    """MongoDB did not answer, or not in time."""


class FolderUnavailable(TransientError):
    """A folder cannot be read or written now: full, unmounted or not permitted."""


class SheetBusy(TransientError):
    """Another run is working on this sheet."""


class ConfigurationError(SheetflowError):
    """A setting, or the machine's set-up, has to be mended by a person first."""


class StoreRefused(ConfigurationError):
    """MongoDB answered, and refuses: credentials, permissions, version or validation."""


class UsageError(ConfigurationError):
    """A command or a flow was asked for something that cannot be."""


@dataclass(frozen=True)
class Failure:
    """What went wrong, in parts: as the journal keeps it and as people are told of it.

    Attributes:
        kind: The error's class name, which makes two failures the same trouble.
        cause: What happened, a clause without a full stop.
        cure: What a person can do about it, a sentence without a full stop.
        shared: Whether it would meet any other sheet as well, so that one message will do for all.
    """

    kind: str
    cause: str
    cure: str
    shared: bool = False

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an error; one that nobody expected too."""
        kind = type(error).__name__
        if isinstance(error, SheetflowError):
            shared = isinstance(error, TransientError | ConfigurationError)
            return cls(kind, error.cause, error.cure, shared)
        return cls(
            kind,
            f"unexpectedly, {kind}: {error}",
            "The sheet is safe where it is; please report this with the run's log",
        )

    def told(self, sheet: str) -> str:
        """Return it in one line that leads with the sheet's printable name."""
        return f"{sheet}: {self.cause}. {self.cure}."
