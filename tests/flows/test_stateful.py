"""Files come, grow, go, double and change names, MongoDB comes and goes, runs are killed.

The promises hold throughout: nothing is lost or doubled, and what is archived is stored.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from pymongo import MongoClient

from benchmarks.torturing.doors import WHENS, Harm
from benchmarks.torturing.victims import Victims
from flows.ingest import ingest_sheets

PLACES = ("source", "images_sources", "images_old", "images_rejected")
NAMES = st.sampled_from(["a.png", "b.png", "ü c.png", "-d.png"])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_promises_hold_whatever_happens(
    tmp_path: Path,
    mongod_uri: str,
    prefect_server: str,
    environment: Callable[..., None],
    run: Callable[..., Any],
    several: list[tuple[bytes, dict[str, Any]]],
) -> None:
    sheets = [data for data, _ in several] + [b"no image at all"]
    codes = {
        digest(data): {item["code"]["text"] for item in truth["items"]} for data, truth in several
    }
    client: MongoClient[dict[str, Any]] = MongoClient(mongod_uri)
    victims = Victims(tmp_path / "scratch", prefect_server)

    class World(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.root = tmp_path / uuid4().hex
            self.database = f"test_{uuid4().hex[:12]}"
            for place in PLACES:
                (self.root / place).mkdir(parents=True)
            self.writing: tuple[IO[bytes], bytes] | None = None
            self.killed = False
            self.dropped: Counter[str] = Counter()
            self.up = True

        @rule(sheet=st.sampled_from(range(len(sheets))), name=NAMES)
        def drop(self, sheet: int, name: str) -> None:
            path = self.root / "source" / name
            if not path.exists():
                path.write_bytes(sheets[sheet])
                self.dropped[digest(sheets[sheet])] += 1

        @precondition(lambda self: self.writing is None)
        @rule(sheet=st.sampled_from(range(len(sheets))), name=NAMES)
        def begin_to_write(self, sheet: int, name: str) -> None:
            path = self.root / "source" / name
            if not path.exists():
                file, data = path.open("wb", buffering=0), sheets[sheet]
                file.write(data[: len(data) // 2])
                self.writing = (file, data)

        @precondition(lambda self: self.writing is not None)
        @rule()
        def write_the_rest(self) -> None:
            file, data = self.writing
            file.write(data[len(data) // 2 :])
            file.close()
            self.dropped[digest(data)] += 1
            self.writing = None

        def of_a_person(self, name: str) -> Path | None:
            """A file in the inbox that its owner may take in hand: it is whole and only there."""
            path = self.root / "source" / name
            busy = self.writing is not None and path == Path(self.writing[0].name)
            return None if busy or self.killed or not path.exists() else path

        @rule(name=NAMES, other=NAMES)
        def rename(self, name: str, other: str) -> None:
            path, target = self.of_a_person(name), self.root / "source" / other
            if path is not None and not target.exists():
                path.rename(target)

        @rule(name=NAMES)
        def take_away(self, name: str) -> None:
            path = self.of_a_person(name)
            if path is not None:
                self.dropped[digest(path.read_bytes())] -= 1
                path.unlink()

        @rule()
        def unplug_or_plug_in_mongodb(self) -> None:
            self.up = not self.up

        def settings(self) -> dict[str, Any]:
            return {
                "root": self.root,
                "database_name": self.database,
                "mongodb_uri": mongod_uri if self.up else "mongodb://127.0.0.1:1/",
                "mongodb_connect_timeout_s": 0.3,
                "retries": 0,
            }

        @rule()
        def ingest(self) -> None:
            environment(**self.settings())
            run(ingest_sheets)
            self.killed = False

        @rule(door=st.integers(1, 150), when=st.sampled_from(WHENS))
        def ingest_and_be_killed(self, door: int, when: str) -> None:
            names = ("database_name", "mongodb_uri")
            values = {
                name.upper() if name in names else f"SHEETFLOW_{name.upper()}": str(value)
                for name, value in {**self.settings(), "settle_s": 0.05}.items()
            }
            harm = Harm(door=door, when=when)
            self.killed = victims.run(values, [str(self.root)], harm=harm).killed

        @precondition(lambda self: self.up)
        @rule()
        def lose_the_work_products(self) -> None:
            shutil.rmtree(self.root / ".sheetflow" / "work", ignore_errors=True)

        def found(self) -> list[Path]:
            return [
                path
                for place in PLACES
                for path in (self.root / place).iterdir()
                if not path.name.endswith(".json") and not path.name.startswith(".")
            ]

        def held(self) -> Counter[str]:
            """The whole files, each counted once though a killed move left it two names."""
            growing = Path(self.writing[0].name) if self.writing is not None else None
            files = {path.stat().st_ino: path for path in self.found() if path != growing}
            return Counter(digest(path.read_bytes()) for path in files.values())

        @invariant()
        def nothing_is_lost_or_doubled(self) -> None:
            held = self.held()
            assert held >= +self.dropped if self.killed else held == +self.dropped

        @invariant()
        def a_growing_file_is_left_alone(self) -> None:
            if self.writing is not None:
                file, data = self.writing
                assert Path(file.name).read_bytes() == data[: len(data) // 2]

        @invariant()
        def archived_means_stored(self) -> None:
            wanted = set().union(
                *(codes[digest(path.read_bytes())] for path in (self.root / "images_old").iterdir())
            )
            stored = {}
            for record in client[self.database].codes_images.find():
                assert digest(record["image_bytes"]) == record["image_sha256"]
                assert record["code"] not in stored
                stored[record["code"]] = record
            assert wanted <= set(stored)

        def teardown(self) -> None:
            self.up = True
            if self.writing is not None:
                self.write_the_rest()
            self.ingest()
            self.ingest()
            assert self.held() == +self.dropped
            left = [
                path
                for place in ("source", "images_sources")
                for path in (self.root / place).iterdir()
            ]
            assert left == []
            client.drop_database(self.database)

    with client, victims:
        run_state_machine_as_test(
            World,
            settings=settings(
                max_examples=4,
                stateful_step_count=10,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
