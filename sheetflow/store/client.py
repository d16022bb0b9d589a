"""A client of MongoDB as sheetflow wants it: its time limits, and what it waits for."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import ConfigurationError, InvalidURI

from sheetflow.errors import StoreRefused
from sheetflow.settings import Settings


def connect(uri: str, settings: Settings) -> MongoClient[dict[str, Any]]:
    """Make a client for `uri` with our timeouts and concerns; nothing is sent yet.

    Raises:
        StoreRefused: The URI cannot be understood.
    """
    try:
        return MongoClient(
            uri,
            appname="sheetflow",
            tz_aware=True,
            w="majority",
            journal=True,
            readConcernLevel="majority",
            serverSelectionTimeoutMS=int(settings.mongodb_connect_timeout_s * 1000),
            connectTimeoutMS=int(settings.mongodb_connect_timeout_s * 1000),
            # Not pymongo's timeoutMS: with it, a dead server is asked again until that time is up.
            socketTimeoutMS=int(settings.mongodb_timeout_s * 1000),
            wTimeoutMS=int(settings.mongodb_timeout_s * 1000),
        )
    except (InvalidURI, ConfigurationError, ValueError, TypeError) as error:
        # The library's text may repeat a piece of the URI, so it is not repeated here.
        raise StoreRefused(
            f"MONGODB_URI cannot be understood ({type(error).__name__})",
            cure="It should read mongodb://USER:PASSWORD@HOST:PORT/?authSource=admin, with special "
            "characters in the password percent-encoded",
        ) from None
