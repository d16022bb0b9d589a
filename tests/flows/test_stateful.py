"""Files come, go, double and change names, MongoDB comes and goes: the promises hold throughout."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
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

from flows.ingest import ingest_sheets

PLACES = ("source", "images_sources", "images_old", "images_rejected")
NAMES = st.sampled_from(["a.png", "b.png", "ü c.png", "-d.png"])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_the_promises_hold_whatever_happens(
    tmp_path: Path,
    mongod_uri: str,
    environment: Callable[..., None],
    run: Callable[..., Any],
    several: list[tuple[bytes, dict[str, Any]]],
) -> None:
    sheets = [data for data, _ in several] + [b"no image at all"]
    codes = {
        digest(data): {item["code"]["text"] for item in truth["items"]} for data, truth in several
    }
    client: MongoClient[dict[str, Any]] = MongoClient(mongod_uri)

    class World(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.root = tmp_path / uuid4().hex
            self.database = f"test_{uuid4().hex[:12]}"
            for place in PLACES:
                (self.root / place).mkdir(parents=True)
            self.dropped: Counter[str] = Counter()
            self.up = True

        @rule(sheet=st.sampled_from(range(len(sheets))), name=NAMES)
        def drop(self, sheet: int, name: str) -> None:
            path = self.root / "source" / name
            if not path.exists():
                path.write_bytes(sheets[sheet])
                self.dropped[digest(sheets[sheet])] += 1

        @rule(name=NAMES, other=NAMES)
        def rename(self, name: str, other: str) -> None:
            path, target = self.root / "source" / name, self.root / "source" / other
            if path.exists() and not target.exists():
                path.rename(target)

        @rule(name=NAMES)
        def take_away(self, name: str) -> None:
            path = self.root / "source" / name
            if path.exists():
                self.dropped[digest(path.read_bytes())] -= 1
                path.unlink()

        @rule()
        def unplug_or_plug_in_mongodb(self) -> None:
            self.up = not self.up

        @rule()
        def ingest(self) -> None:
            environment(
                root=self.root,
                database_name=self.database,
                mongodb_uri=mongod_uri if self.up else "mongodb://127.0.0.1:1/",
                mongodb_connect_timeout_s=0.3,
                retries=0,
            )
            run(ingest_sheets)

        @precondition(lambda self: self.up)
        @rule()
        def lose_the_work_products(self) -> None:
            import shutil

            shutil.rmtree(self.root / ".sheetflow" / "work", ignore_errors=True)

        def held(self) -> Counter[str]:
            return Counter(
                digest(path.read_bytes())
                for place in PLACES
                for path in (self.root / place).iterdir()
                if not path.name.endswith(".json")
            )

        @invariant()
        def nothing_is_lost_or_doubled(self) -> None:
            assert self.held() == +self.dropped

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

    try:
        run_state_machine_as_test(
            World,
            settings=settings(
                max_examples=4,
                stateful_step_count=8,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        client.close()
