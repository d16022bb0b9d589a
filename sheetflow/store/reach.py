"""MongoDB, if it can be had just now: for what also works without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sheetflow.errors import ConfigurationError, SheetflowError, StoreUnavailable
from sheetflow.settings import Settings

if TYPE_CHECKING:
    from sheetflow.store.connection import Store

_PATIENCE_S = 1.0


def is_reachable(settings: Settings) -> bool:
    """Tell whether the configured MongoDB, or the embedded one if it runs, answers a ping.

    Takes a second at most, then the answer is no.
    """
    uri = mongodb_address(settings)
    if uri is None:
        return False
    # Only here, because the driver takes longer to import than the rest of `status` takes to run.
    from pymongo.errors import PyMongoError

    from sheetflow.store.connection import connect

    quick = settings.model_copy(
        update={"mongodb_connect_timeout_s": _PATIENCE_S, "mongodb_timeout_s": _PATIENCE_S}
    )
    try:
        with contextlib.closing(connect(uri, quick)) as client:
            client.admin.command("ping")
    except (PyMongoError, SheetflowError):
        return False
    return True


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
