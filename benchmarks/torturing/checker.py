"""The independent checker: hashes files and asks MongoDB itself, with nothing of sheetflow.

It knows what was dropped and what stands printed on it, looks at the four folders and at the
database, and says which promise does not hold. Nothing here imports the code that it judges.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REVIEWER = "Ada"
PLACES = ("inbox", "staging", "archive", "quarantine")


@dataclass(frozen=True)
class Dropped:
    """A file that was put into the inbox.

    Attributes:
        name: Under which name.
        sha256: The digest of its bytes.
        codes: The codes that are to be stored before it may be archived.
        kind: `good`, `doubtful`, `junk`; `forced`, by an order that is given now or was given
            before, or `undone`, whose order is taken back.
        reviewed: Whether `REVIEWER` has settled it, which must stay on record.
    """

    name: str
    sha256: str
    codes: frozenset[str]
    kind: str
    reviewed: bool = False


@dataclass
class Scene:
    """What the checker looks at.

    Attributes:
        places: The four folders, by the names in `PLACES`.
        state: The folder of work products.
        database: A pymongo database of the checker's own connection.
        dropped: Every file that was ever put into the inbox.
        pictures: Digests of the pictures, by sheet and code, as an undisturbed run stored them.
        harmed: Digests of sheets whose records the harness itself has spoiled, until they must
            have been mended.
    """

    places: dict[str, Path]
    state: Path
    database: Any
    dropped: list[Dropped] = field(default_factory=list)
    pictures: dict[tuple[str, str], str] = field(default_factory=dict)
    harmed: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Found:
    """A file in one of the four folders."""

    place: str
    name: str
    sha256: str
    inode: tuple[int, int]


def files_found(scene: Scene, only: str = "") -> list[Found]:
    """Hash every regular file in the four folders; reason files and temporary ones are left out."""
    found = []
    for place, folder in scene.places.items():
        if only and place != only:
            continue
        for path in sorted(folder.iterdir()) if folder.is_dir() else []:
            if path.is_symlink() or not path.is_file() or path.name.startswith("."):
                continue
            if place == "quarantine" and path.name.endswith(".json"):
                continue
            status = path.stat()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            found.append(Found(place, path.name, digest, (status.st_dev, status.st_ino)))
    return found


def check_now(scene: Scene) -> list[str]:
    """Return what does not hold, of the promises that hold at every instant."""
    found = files_found(scene)
    return [
        *_conservation(scene, found),
        *_archived_means_stored(scene, found),
        *_nothing_twice_in_mongodb(scene),
    ]


def conserved(scene: Scene) -> list[str]:
    """Return what was lost, by the folders alone; MongoDB is not asked."""
    return _conservation(scene, files_found(scene))


def counted(scene: Scene) -> list[str]:
    """Return which files are not in exactly one place each."""
    problems = []
    found = files_found(scene)
    for drop in {item.sha256: item for item in scene.dropped}.values():
        count = sum(item.sha256 == drop.sha256 for item in scene.dropped)
        here = [item for item in found if item.sha256 == drop.sha256]
        if len(here) != count:
            places = ", ".join(f"{item.place}/{item.name}" for item in here)
            problems.append(f"PLACES {drop.name}: dropped {count} times, stands in [{places}]")
    return problems


def check_settled(scene: Scene) -> list[str]:
    """Return what does not hold after a run that was left to finish."""
    found = files_found(scene)
    return [
        *check_now(scene),
        *counted(scene),
        *_in_the_right_place(scene, found),
        *_ledger_agrees(scene, found),
        *_nothing_left_over(scene),
    ]


def snapshot(scene: Scene) -> dict[str, Any]:
    """Return everything that a further run must not change."""
    records = scene.database.codes_images.find({}, {"image_bytes": 0})
    revisions = scene.database.codes_images_revisions.find({}, {"image_bytes": 0})
    return {
        "files": sorted((item.place, item.name, item.sha256) for item in files_found(scene)),
        "records": sorted(repr(sorted(doc.items(), key=str)) for doc in records),
        "revisions": sorted(repr(sorted(doc.items(), key=str)) for doc in revisions),
    }


def _conservation(scene: Scene, found: list[Found]) -> list[str]:
    copies: dict[str, set[tuple[int, int]]] = {}
    for item in found:
        copies.setdefault(item.sha256, set()).add(item.inode)
    wanted = Counter(item.sha256 for item in scene.dropped)
    names = {item.sha256: item.name for item in scene.dropped}
    return [
        f"LOST {names[sha256]}: dropped {count} times, {len(copies.get(sha256, ()))} whole copies"
        for sha256, count in wanted.items()
        if len(copies.get(sha256, ())) < count
    ]


def _archived_means_stored(scene: Scene, found: list[Found]) -> list[str]:
    problems = []
    by_digest = {item.sha256: item for item in scene.dropped}
    for item in found:
        if item.place != "archive":
            continue
        drop = by_digest.get(item.sha256)
        if item.sha256 in scene.harmed:
            continue
        if drop is None:
            problems.append(f"STRANGER {item.name} in the archive was never dropped")
        elif drop.kind in ("forced", "undone"):
            problems += _on_record(scene, drop)
        elif drop.kind != "good":
            problems.append(f"UNCONFIRMED {item.name} is archived though it is {drop.kind}")
        else:
            problems += _stored(scene, drop)
    return problems


def _on_record(scene: Scene, drop: Dropped) -> list[str]:
    """Look for who forced a sheet, and why: in the ledger, or on disk until that can be told."""
    document = scene.database.sheets.find_one({"_id": drop.sha256}) or {}
    order = scene.state / "forced" / f"{drop.sha256}.json"
    forced = document.get("forced") or (json.loads(order.read_bytes()) if order.exists() else {})
    said = forced.get("forced", forced)
    if not (said.get("reason") and said.get("by") and said.get("at")):
        return [f"UNCONFIRMED {drop.name} is archived by force, and nobody said why"]
    return []


def _stored(scene: Scene, drop: Dropped) -> list[str]:
    """Look for each code of a sheet among the records and their revisions; one of them will do."""
    flaws: dict[str, list[str]] = {code: [] for code in drop.codes}
    for collection in (scene.database.codes_images, scene.database.codes_images_revisions):
        for document in collection.find({"source_image.sha256": drop.sha256}):
            flaws.setdefault(document["code"], []).append(_flaw(scene, drop, document))
    return [
        f"UNCONFIRMED {drop.name} is archived, and its code {code} "
        + (" and ".join(found) or "is not stored")
        for code, found in sorted(flaws.items())
        if code in drop.codes and "" not in found
    ]


def _flaw(scene: Scene, drop: Dropped, document: dict[str, Any]) -> str:
    digest = hashlib.sha256(_picture(scene.database, document)).hexdigest()
    if digest != document["image_sha256"]:
        return "has bytes that are not its digest's"
    if digest != scene.pictures.get((drop.sha256, document["code"]), digest):
        return "has another picture than undisturbed"
    return ""


def _picture(database: Any, document: dict[str, Any]) -> bytes:
    if "image_bytes" in document:
        return bytes(document["image_bytes"])
    file_id = document.get("image_file_id")
    entry = database["codes_images.files"].find_one({"_id": file_id})
    chunks = database["codes_images.chunks"].find({"files_id": file_id}).sort("n", 1)
    data = b"".join(bytes(chunk["data"]) for chunk in chunks)
    return data if entry is not None and entry["length"] == len(data) else b""


def _nothing_twice_in_mongodb(scene: Scene) -> list[str]:
    problems = []
    records = Counter(doc["code"] for doc in scene.database.codes_images.find({}, {"code": 1}))
    problems += [f"TWICE record {code}: {n}" for code, n in records.items() if n > 1]
    fields = {"code": 1, "revision": 1}
    revisions = Counter(
        (doc["code"], doc["revision"])
        for doc in scene.database.codes_images_revisions.find({}, fields)
    )
    problems += [f"TWICE revision {key}: {n}" for key, n in revisions.items() if n > 1]
    return problems


def _in_the_right_place(scene: Scene, found: list[Found]) -> list[str]:
    expected = {
        "good": "archive",
        "doubtful": "staging",
        "junk": "quarantine",
        "forced": "archive",
        "undone": "staging",
    }
    kinds = {item.sha256: item.kind for item in scene.dropped}
    problems = [
        f"PLACES {item.name} ({kinds[item.sha256]}) is still in {item.place}"
        for item in found
        if item.sha256 in kinds and item.place != expected[kinds[item.sha256]]
    ]
    problems += [
        f"STRANGER {item.name} in {item.place} was never dropped"
        for item in found
        if item.sha256 not in kinds
    ]
    for place, folder in scene.places.items():
        parts = [path.name for path in folder.iterdir() if path.name.startswith(".")]
        problems += [f"LEFTOVER {name} in {place}" for name in parts]
    return problems


def _ledger_agrees(scene: Scene, found: list[Found]) -> list[str]:
    problems = []
    archived = {item.sha256 for item in found if item.place == "archive"}
    ledger = {doc["_id"]: doc for doc in scene.database.sheets.find()}
    for sha256 in archived:
        document = ledger.get(sha256)
        if document is None or document["state"] != "archived":
            state = document["state"] if document else "nothing"
            problems.append(f"LEDGER {sha256[:8]} is archived, the ledger says {state}")
    for sha256, document in ledger.items():
        if document["state"] == "archived" and sha256 not in archived:
            problems.append(f"LEDGER says that {document['name']} is archived, and it is not")
        events = [(event["state"], event["at"], event["by"]) for event in document["history"]]
        if len(set(events)) != len(events):
            problems.append(f"TWICE an event in the history of {document['name']}")
        if _archived_again(document):
            problems.append(f"TWICE {document['name']} was archived")
    reviewed = (item for item in scene.dropped if item.reviewed)
    for item in reviewed:
        reviews = ledger.get(item.sha256, {}).get("reviews") or []
        if not any(r["by"] == REVIEWER and r["verdict"] == "settled" for r in reviews):
            problems.append(f"LEDGER has lost the review of {item.name}")
    return problems


def _archived_again(document: dict[str, Any]) -> bool:
    """Tell whether a sheet was archived twice, and not sent back by an audit in between.

    What comes of a duplicate, a forced release or an audit has a note.
    """
    steps = [event for event in document["history"] if event["state"] in ("staged", "archived")]
    archived = False
    for event in steps:
        if event["state"] == "staged":
            archived = archived and not event["note"]
        elif not event["note"]:
            if archived:
                return True
            archived = True
    return False


def _nothing_left_over(scene: Scene) -> list[str]:
    """Work products and claims of sheets that are done are rubbish."""
    held = {item.sha256 for item in scene.dropped if item.kind != "good"}
    problems = []
    for folder in ("work", "claims"):
        path = scene.state / folder
        for child in sorted(path.iterdir()) if path.is_dir() else []:
            if not any(child.name.startswith(sha256) for sha256 in held):
                problems.append(f"LEFTOVER {folder}/{child.name[:16]}")
    return problems
