"""pymongo's errors, told as what a person or a retry can do about them, never with a secret."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

from sheetflow.errors import StoreRefused, StoreUnavailable

UNREACHABLE = (
    AutoReconnect,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    WTimeoutError,
)

_CREDENTIALS = {18, 8000}
_NOT_ALLOWED = {13}
_INVALID_DOCUMENT = {121}
# NotWritablePrimary and its kin, shutdowns, write conflicts, a full disk: all pass with time.
_PASSING = {6, 7, 89, 91, 112, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031, 50, 64}


@contextlib.contextmanager
def translated_store_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` for what may pass, `StoreRefused` for what a person must mend."""
    try:
        yield
    except PyMongoError as error:
        raise translate(error) from error


def translate(error: PyMongoError) -> StoreUnavailable | StoreRefused:
    """Return our error for one of pymongo's.

    pymongo's own text is not repeated where it could hold documents; hosts may be named, user
    names and passwords never are.
    """
    if isinstance(error, UNREACHABLE) or error.timeout:
        return StoreUnavailable(
            f"MongoDB did not answer in time ({_summary(error)})",
            cure="Check that it runs and can be reached (`sheetflow doctor`); the sheet stays "
            "staged and the next run uploads it",
        )
    code, text = _code_and_text(error)
    if code in _PASSING or error.has_error_label("RetryableWriteError"):
        return StoreUnavailable(
            f"MongoDB cannot write just now ({text})",
            cure="Check its log and its disk; the sheet stays staged and the next run uploads it",
        )
    if code in _CREDENTIALS:
        return StoreRefused(
            "MongoDB refuses the user name or the password",
            cure="Mend them in MONGODB_URI (special characters percent-encoded), and name "
            "authSource if the user is kept in another database",
        )
    if code in _NOT_ALLOWED:
        return StoreRefused(
            f"MongoDB does not allow this user what sheetflow needs ({text})",
            cure="Grant readWrite on the database; docs/settings.md has the command",
        )
    if code in _INVALID_DOCUMENT:
        return StoreRefused(
            "MongoDB's validator refused a document",
            cure="Check whether someone changed the collection's validator; "
            "`sheetflow doctor` compares it",
        )
    return StoreRefused(
        f"MongoDB refused: {text}", cure="Run `sheetflow doctor`, and check MongoDB's log"
    )


def _code_and_text(error: PyMongoError) -> tuple[int | None, str]:
    if isinstance(error, BulkWriteError):
        # Its own text repeats whole documents, pictures included.
        problems_of = error.details or {}
        problems = problems_of.get("writeErrors") or problems_of.get("writeConcernErrors") or [{}]
        first = problems[0]
        return first.get("code"), str(first.get("errmsg", "a bulk write failed"))[:200]
    if isinstance(error, OperationFailure):
        details = error.details or {}
        return error.code, str(details.get("errmsg", type(error).__name__))[:200]
    return None, type(error).__name__


def _summary(error: PyMongoError) -> str:
    text = str(error).split(", Timeout:")[0].split("(configured timeouts")[0].strip()
    return text[:160] if isinstance(error, UNREACHABLE) and text else type(error).__name__
