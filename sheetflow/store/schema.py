"""Collections, indexes and validators: made by one idempotent call, also at start-up."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from sheetflow.errors import StoreRefused
from sheetflow.sheets import State

logger = logging.getLogger(__name__)

SHEETS = "sheets"
_NAMESPACE_EXISTS = 48
_UNAUTHORIZED = 13

_DIGEST = {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"}
_WHOLE = {"bsonType": ["int", "long"]}
_SIZE = {"bsonType": "array", "minItems": 2, "maxItems": 2, "items": _WHOLE}
_BOX = {"bsonType": "array", "minItems": 4, "maxItems": 4, "items": _WHOLE}
_TEXT_OR_NULL = {"bsonType": ["string", "null"]}

_RECORD: dict[str, Any] = {
    "bsonType": "object",
    "required": [
        "code",
        "symbology",
        "image_media_type",
        "image_sha256",
        "image_size_px",
        "revision",
        "created_at",
        "updated_at",
        "source_image",
        "run",
    ],
    "oneOf": [{"required": ["image_bytes"]}, {"required": ["image_file_id"]}],
    "properties": {
        "code": {"bsonType": "string", "minLength": 1},
        "symbology": {"bsonType": "string"},
        "image_bytes": {"bsonType": "binData"},
        "image_file_id": _DIGEST,
        "image_media_type": {"bsonType": "string", "pattern": "^image/"},
        "image_sha256": _DIGEST,
        "image_size_px": _SIZE,
        "revision": {**_WHOLE, "minimum": 1},
        "created_at": {"bsonType": "date"},
        "updated_at": {"bsonType": "date"},
        "source_image": {
            "bsonType": "object",
            "required": ["name", "sha256", "index", "row", "column", "picture_box", "symbol_box"],
            "properties": {
                "name": {"bsonType": "string"},
                "sha256": _DIGEST,
                "index": _WHOLE,
                "row": _WHOLE,
                "column": _WHOLE,
                "picture_box": _BOX,
                "symbol_box": _BOX,
                "page": {**_WHOLE, "minimum": 1},
            },
        },
        "run": {
            "bsonType": "object",
            "required": ["flow_run_id", "sheetflow_version"],
            "properties": {
                "flow_run_id": _TEXT_OR_NULL,
                "sheetflow_version": {"bsonType": "string"},
            },
        },
    },
}

_SHEET: dict[str, Any] = {
    "bsonType": "object",
    "required": ["_id", "name", "state", "attempts", "history"],
    "properties": {
        "_id": _DIGEST,
        "name": {"bsonType": "string"},
        "state": {"enum": [str(state) for state in State if state is not State.FAILED]},
        "attempts": {**_WHOLE, "minimum": 0},
        "last_error": _TEXT_OR_NULL,
        "history": {
            "bsonType": "array",
            "items": {"bsonType": "object", "required": ["state", "at", "by"]},
        },
    },
}


def revisions_name(collection_name: str) -> str:
    """Return the name of the collection of earlier states."""
    return f"{collection_name}_revisions"


def prepare_database(database: Database[dict[str, Any]], collection_name: str) -> None:
    """Make what is missing of the collections, validators and indexes; run it as often as you like.

    Raises:
        StoreRefused: The collection of records already has one code twice.
        pymongo.errors.PyMongoError: MongoDB is away or refuses.
    """
    existing = {item["name"]: item for item in database.list_collections()}
    # "moderate": documents that an earlier tool wrote in another shape may stay, and be replaced.
    for name, schema in ((collection_name, _RECORD), (SHEETS, _SHEET)):
        _ensure_validator(database, name, {"$jsonSchema": schema}, existing.get(name))
    revisions = revisions_name(collection_name)
    if revisions not in existing:
        _create(database, revisions)
    try:
        database[collection_name].create_indexes(
            [
                IndexModel([("code", ASCENDING)], name="code_unique", unique=True),
                IndexModel([("source_image.sha256", ASCENDING)], name="source_sheet"),
                # Sparse: only large pictures are in GridFS.
                IndexModel([("image_file_id", ASCENDING)], name="image_file", sparse=True),
            ]
        )
    except (DuplicateKeyError, OperationFailure) as error:
        if error.code != 11000:
            raise
        raise StoreRefused(
            f"the collection {collection_name} holds one code in several documents",
            cure="Merge the documents of each code into one, then run again; nothing was changed",
        ) from error
    database[revisions].create_indexes(
        [
            IndexModel(
                [("code", ASCENDING), ("revision", ASCENDING)], name="code_revision", unique=True
            ),
            IndexModel([("source_image.sha256", ASCENDING)], name="source_sheet"),
            IndexModel([("image_file_id", ASCENDING)], name="image_file", sparse=True),
        ]
    )
    database[SHEETS].create_indexes(
        [
            IndexModel([("state", ASCENDING), ("updated_at", DESCENDING)], name="state"),
            IndexModel([("name", ASCENDING)], name="name"),
            IndexModel([("archived_name", ASCENDING)], name="archived_name"),
            IndexModel([("duplicates.archived_name", ASCENDING)], name="duplicate_name"),
        ]
    )


def _ensure_validator(
    database: Database[dict[str, Any]],
    name: str,
    validator: dict[str, Any],
    existing: Mapping[str, Any] | None,
) -> None:
    options: dict[str, Any] = {
        "validator": validator,
        "validationLevel": "moderate",
        "validationAction": "error",
    }
    if existing is None and _create(database, name, **options):
        return
    if existing is not None and existing.get("options", {}).get("validator") == validator:
        return
    try:
        database.command("collMod", name, **options)
    except OperationFailure as error:
        if error.code != _UNAUTHORIZED:
            raise
        logger.warning(
            "The validator of %s differs from this version's, and this user may not change it; "
            "grant dbAdmin once, or leave it.",
            name,
        )


def _create(database: Database[dict[str, Any]], name: str, **options: Any) -> bool:
    try:
        database.create_collection(name, check_exists=False, **options)
    except CollectionInvalid:
        return False
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise
        return False  # another process was quicker
    return True
