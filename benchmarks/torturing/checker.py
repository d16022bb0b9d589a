"""The independent checker: hashes files and asks MongoDB itself, with nothing of sheetflow.

It knows what was dropped and what stands printed on it, looks at the four folders and at the
database, and says which promise does not hold. Nothing here imports the code that it judges.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PLACES = ("inbox", "staging", "archive", "quarantine")


@dataclass(frozen=True)
class Dropped:
    """A file that was put into the inbox.

    Attributes:
        name: Under which name.
        sha256: The digest of its bytes.
        codes: The codes that are to be stored before it may be archived.
        kind: `good`, `doubtful` or `junk`.
    """

    name: str
    sha256: str
    codes: frozenset[str]
    kind: str


@dataclass
class Scene:
    """What the checker looks at.

    Attributes:
        places: The four folders, by the names in `PLACES`.
        state: The folder of work products.
        database: A pymongo database of the checker's own connection.
        dropped: Every file that was ever put into the inbox.
        pictures: Digests of the pictures, by sheet and code, as an undisturbed run stored them.
    """

    places: dict[str, Path]
    state: Path
    database: Any
    dropped: list[Dropped] = field(default_factory=list)
    pictures: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """A file in one of the four folders."""

    place: str
    name: str
    sha256: str
    inode: tuple[int, int]


def files_found(scene: Scene) -> list[Found]:
    """Hash every regular file in the four folders; reason files and temporary ones are left out."""
    found = []
    for place, folder in scene.places.items():
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


def check_settled(scene: Scene) -> list[str]:
    """Return what does not hold after a run that was left to finish."""
    found = files_found(scene)
    return [
        *check_now(scene),
        *_exactly_one_place(scene, found),
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
        if drop is None:
            problems.append(f"STRANGER {item.name} in the archive was never dropped")
        elif drop.kind != "good":
            problems.append(f"UNCONFIRMED {item.name} is archived though it is {drop.kind}")
        else:
            problems += _stored(scene, drop)
    return problems


def _stored(scene: Scene, drop: Dropped) -> list[str]:
    held = {}
    for collection in (scene.database.codes_images, scene.database.codes_images_revisions):
        for document in collection.find({"source_image.sha256": drop.sha256}):
            held[document["code"]] = (document, _picture(scene.database, document))
    problems = []
    for code in sorted(drop.codes):
        document, picture = held.get(code, (None, b""))
        digest = hashlib.sha256(picture).hexdigest()
        if document is None:
            problems.append(f"UNCONFIRMED {drop.name} is archived, its code {code} is not stored")
        elif digest != document["image_sha256"]:
            problems.append(f"UNCONFIRMED {drop.name}: the bytes of {code} are not its digest's")
        elif digest != scene.pictures.get((drop.sha256, code), digest):
            problems.append(f"UNCONFIRMED {drop.name}: {code} has another picture than undisturbed")
    return problems


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


def _exactly_one_place(scene: Scene, found: list[Found]) -> list[str]:
    problems = []
    where: dict[str, list[Found]] = {}
    for item in found:
        where.setdefault(item.sha256, []).append(item)
    expected = {"good": "archive", "doubtful": "staging", "junk": "quarantine"}
    for drop in {item.sha256: item for item in scene.dropped}.values():
        count = sum(item.sha256 == drop.sha256 for item in scene.dropped)
        here = where.get(drop.sha256, [])
        if len(here) != count:
            places = ", ".join(f"{item.place}/{item.name}" for item in here)
            problems.append(f"PLACES {drop.name}: dropped {count} times, stands in [{places}]")
        wrong = [item for item in here if item.place != expected[drop.kind]]
        if wrong and not (drop.kind == "doubtful" and count > 1):
            problems.append(f"PLACES {drop.name} ({drop.kind}) is still in {wrong[0].place}")
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
    return problems


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
