"""Opening the store: your own MongoDB, or the embedded one, with bounded patience."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gridfs
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import InvalidName
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from sheetflow.errors import SheetflowError, StoreRefused
from sheetflow.servers.mongod import embedded_mongod
from sheetflow.settings import Settings
from sheetflow.store.client import connect
from sheetflow.store.errors import translated_store_errors
from sheetflow.store.schema import SHEETS, prepare_database, revisions_name

_FAILURE_HOLDS_S = 2.0


@dataclass(frozen=True)
class Store:
    """An open connection, with the collections that sheetflow writes.

    Every write is acknowledged by a majority, from the journal; every read sees only what a
    majority has.
    """

    client: MongoClient[dict[str, Any]]
    database: Database[dict[str, Any]]
    records: Collection[dict[str, Any]]
    revisions: Collection[dict[str, Any]]
    sheets: Collection[dict[str, Any]]
    pictures: gridfs.GridFSBucket


@contextlib.contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """Connect, make what is missing, and close again.

    Raises:
        StoreUnavailable: MongoDB does not answer.
        StoreRefused: It answers and refuses, or `MONGODB_URI` cannot be understood.
        ConfigurationError: `MONGODB_URI` is unset and no mongod is to be had here.
    """
    with contextlib.ExitStack() as stack:
        if settings.mongodb_uri is not None:
            uri = settings.mongodb_uri.get_secret_value()
        else:
            companion = embedded_mongod(settings.folders.mongodb)
            uri = stack.enter_context(companion.joined())
        client = stack.enter_context(contextlib.closing(connect(uri, settings)))
        store = _bind(client, settings)
        with translated_store_errors():
            client.admin.command("ping")
            prepare_database(store.database, settings.collection_name)
        yield store


class StoreDoor:
    """Opens the store once, when it is first needed, for all the threads of a run.

    While MongoDB is away, one thread waits for it and the others learn from its answer, so that
    a queue of sheets does not pay the time limit one after the other.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._store: Store | None = None
        self._failure: SheetflowError | None = None
        self._failed_at = 0.0

    def open(self) -> Store:
        """Return the store, opened now if it was not; raises as `open_store` does."""
        with self._lock:
            if self._store is not None:
                return self._store
            if self._failure is not None and time.monotonic() - self._failed_at < _FAILURE_HOLDS_S:
                raise self._failure.with_traceback(None)
            try:
                self._store = self._stack.enter_context(open_store(self._settings))
            except SheetflowError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            return self._store

    def open_in_background(self) -> None:
        """Begin to open the store and come back at once; a failure shows when it is needed."""

        def open_quietly() -> None:
            with contextlib.suppress(SheetflowError):
                self.open()

        threading.Thread(target=open_quietly, name="open store", daemon=True).start()

    def opened(self) -> Store | None:
        """Return the store if it is open already; never waits."""
        return self._store

    @property
    def failed(self) -> bool:
        """Whether it could not be opened when that was last tried."""
        return self._store is None and self._failure is not None

    def close(self) -> None:
        """Close what was opened."""
        with self._lock:
            self._store = None
            self._stack.close()

    def __enter__(self) -> StoreDoor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _bind(client: MongoClient[dict[str, Any]], settings: Settings) -> Store:
    try:
        database = client.get_database(
            settings.database_name,
            write_concern=WriteConcern("majority", j=True),
            read_concern=ReadConcern("majority"),
        )
        return Store(
            client=client,
            database=database,
            records=database[settings.collection_name],
            revisions=database[revisions_name(settings.collection_name)],
            sheets=database[SHEETS],
            pictures=gridfs.GridFSBucket(database, bucket_name=settings.collection_name),
        )
    except InvalidName as error:
        raise StoreRefused(
            f"DATABASE_NAME or COLLECTION_NAME is not a name that MongoDB allows: {error}",
            cure="Use letters, digits, - and _",
        ) from error
