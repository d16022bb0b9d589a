"""MongoDB, if it can be had just now: for what also works without it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sheetflow.errors import ConfigurationError, SheetflowError, StoreUnavailable
from sheetflow.settings import Settings

if TYPE_CHECKING:
    from pymongo import MongoClient

    from sheetflow.store.connection import Store

T = TypeVar("T")

_PATIENCE_S = 1.0


@dataclass(frozen=True)
class StoreFigures:
    """How much the store holds.

    Attributes:
        records: Codes with their present pictures.
        revisions: Earlier pictures.
    """

    records: int
    revisions: int


def is_reachable(settings: Settings) -> bool:
    """Tell whether the configured MongoDB, or the embedded one if it runs, answers a ping.

    Takes a second at most, then the answer is no.
    """
    return _asked(settings, lambda client: client.admin.command("ping")) is not None


def store_figures(settings: Settings) -> StoreFigures | None:
    """Return how much the store holds, None if it does not answer within a second."""

    def ask(client: MongoClient[dict[str, Any]]) -> StoreFigures:
        from sheetflow.store.schema import revisions_name

        database, name = client[settings.database_name], settings.collection_name
        return StoreFigures(
            database[name].estimated_document_count(),
            database[revisions_name(name)].estimated_document_count(),
        )

    return _asked(settings, ask)


def _asked(settings: Settings, question: Callable[[MongoClient[dict[str, Any]]], T]) -> T | None:
    """Ask MongoDB something if it answers at once; None if it does not."""
    uri = mongodb_address(settings)
    if uri is None:
        return None
    # Only here, because the driver takes longer to import than the rest of `status` takes to run.
    from pymongo.errors import PyMongoError

    from sheetflow.store.client import connect

    quick = settings.model_copy(
        update={"mongodb_connect_timeout_s": _PATIENCE_S, "mongodb_timeout_s": _PATIENCE_S}
    )
    try:
        with contextlib.closing(connect(uri, quick)) as client:
            return question(client)
    except (PyMongoError, SheetflowError):
        return None


@dataclass(frozen=True)
class AtHand:
    """The open store, or why there is none; neither if it was not to be started."""

    store: Store | None
    problem: SheetflowError | None = None


@contextlib.contextmanager
def store_at_hand(settings: Settings, *, start: bool) -> Iterator[AtHand]:
    """Open the store if that is possible now.

    Args:
        settings: Where it is.
        start: Whether an embedded MongoDB that does not run is started for it.
    """
    if not start and mongodb_address(settings) is None:
        yield AtHand(None)
        return
    from sheetflow.store.connection import open_store

    with contextlib.ExitStack() as stack:
        try:
            at_hand = AtHand(stack.enter_context(open_store(settings)))
        except (StoreUnavailable, ConfigurationError) as error:
            at_hand = AtHand(None, error)
        yield at_hand


def mongodb_address(settings: Settings) -> str | None:
    """Return the configured URI, or the embedded server's if it runs; None if it does not."""
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value()
    from sheetflow.servers.mongod import embedded_mongod

    return embedded_mongod(settings.folders.mongodb).peek()
