"""A thorough look at MongoDB for `sheetflow doctor`: everything that a run will need of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sheetflow.settings import Settings
from sheetflow.store.connection import Store, open_store
from sheetflow.store.errors import translated_store_errors

_TRIAL = "sheetflow_doctor"


def examine_store(settings: Settings) -> dict[str, str]:
    """Connect, make what is missing, write, read back and remove a trial document.

    Returns:
        What was found, by what was looked at; hosts and versions, never a user or a password.

    Raises:
        StoreUnavailable: MongoDB does not answer.
        StoreRefused: It refuses something that a run needs.
        ConfigurationError: There is no MongoDB to be had.
    """
    with open_store(settings) as store, translated_store_errors():
        hello = store.client.admin.command("hello")
        version = store.client.server_info()["version"]
        _try_writing(store)
        return {
            "server": f"MongoDB {version} at {_hosts(store)}",
            "kind": _kind(hello),
            "database": f"{store.database.name}, collection {store.records.name}",
            "records": str(store.records.estimated_document_count()),
            "writing": "a document was written by a majority, read back and removed",
        }


def _try_writing(store: Store) -> None:
    trial = store.database[_TRIAL]
    key = uuid4().hex
    trial.insert_one({"_id": key})
    trial.find_one({"_id": key})
    trial.delete_one({"_id": key})


def _hosts(store: Store) -> str:
    return ", ".join(f"{host}:{port}" for host, port in sorted(store.client.nodes))


def _kind(hello: dict[str, Any]) -> str:
    if "setName" in hello:
        return f"replica set {hello['setName']}, {len(hello.get('hosts', []))} member(s)"
    return "sharded cluster" if hello.get("msg") == "isdbgrid" else "standalone"
