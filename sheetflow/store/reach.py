"""Whether MongoDB can be reached just now, asked quickly and without starting anything."""

from __future__ import annotations

import contextlib

from sheetflow.errors import SheetflowError
from sheetflow.settings import Settings

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


def mongodb_address(settings: Settings) -> str | None:
    """Return the configured URI, or the embedded server's if it runs; None if it does not."""
    if settings.mongodb_uri is not None:
        return settings.mongodb_uri.get_secret_value()
    from sheetflow.mongod import embedded_mongod

    return embedded_mongod(settings.folders.mongodb).peek()
