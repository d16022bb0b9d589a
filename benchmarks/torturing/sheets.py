"""The sheets that are dropped: drawn once, kept, with the truth about their codes."""

from __future__ import annotations

import hashlib
import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sheetflow.samples.drawing import draw_sheet
from sheetflow.samples.files import sheet_bytes
from sheetflow.samples.spec import SheetSpec

_CACHE = Path(__file__).resolve().parents[1] / ".cache" / "torture"
# Frames, so that no label could as well belong to the picture on its other side.
_SMALL: dict[str, Any] = {"page": "A5", "rows": 2, "columns": 2, "frame": "card"}
_TINY: dict[str, Any] = {"page": "A6", "rows": 1, "columns": 2, "frame": "card", "dpi": 150}


@dataclass(frozen=True)
class TestSheet:
    """A file to drop.

    Attributes:
        name: A name for it.
        data: Its bytes.
        codes: The codes that its truth says are beside a picture.
        kind: `good`, `doubtful` (to be held for a person) or `junk` (to be rejected).
    """

    __test__ = False  # no test of pytest's

    name: str
    data: bytes
    codes: frozenset[str]
    kind: str = "good"

    @property
    def sha256(self) -> str:
        """The digest of its bytes."""
        return hashlib.sha256(self.data).hexdigest()


def plain_sheet(seed: int) -> TestSheet:
    """Return a small sheet of four pairs."""
    return _drawn(SheetSpec(**_SMALL, seed=seed), f"plain{seed}")


def revised_sheet(seed: int) -> TestSheet:
    """Return a sheet with the codes of the plain one and other pictures."""
    payloads = _payloads(plain_sheet(seed))
    spec = SheetSpec(**_SMALL, seed=seed + 500, payloads=payloads)
    return _drawn(spec, f"revised{seed}")


def doubtful_sheet(seed: int) -> TestSheet:
    """Return a sheet with a code that nobody can read."""
    spec = SheetSpec(**_SMALL, seed=seed + 900, scribbled_codes=frozenset({1}))
    return _drawn(spec, f"doubtful{seed}", kind="doubtful")


def junk(seed: int) -> TestSheet:
    """Return a file that is no image."""
    return TestSheet(
        f"junk{seed}.png", f"no image at all, number {seed}".encode(), frozenset(), "junk"
    )


def _payloads(sheet: TestSheet) -> tuple[str, ...]:
    truth = json.loads((_CACHE / f"{Path(sheet.name).stem}.json").read_text())
    return tuple(item["code"]["text"] for item in truth["items"])


def _drawn(spec: SheetSpec, stem: str, kind: str = "good") -> TestSheet:
    _CACHE.mkdir(parents=True, exist_ok=True)
    image, facts = _CACHE / f"{stem}.png", _CACHE / f"{stem}.json"
    key = repr(spec)
    if not (facts.exists() and json.loads(facts.read_text())["key"] == key):
        sheet = draw_sheet(spec)
        image.write_bytes(sheet_bytes(sheet, spec))
        facts.write_text(json.dumps({"key": key, "items": sheet.truth["items"]}))
    items = json.loads(facts.read_text())["items"]
    unreadable = spec.scribbled_codes
    codes = frozenset(
        item["code"]["text"]
        for item in items
        if item["code"] and item["picture"] and item["index"] not in unreadable
    )
    return TestSheet(f"{stem}.png", image.read_bytes(), codes, kind)


def crowd(count: int) -> list[TestSheet]:
    """Return many small sheets, no two with a code in common, each of which is read without doubt.

    Whether it is, the product itself says: here it is only to choose a cast, not to judge.
    """
    from sheetflow.vision.images import load_image
    from sheetflow.vision.recognition import read_sheet

    sheets: list[TestSheet] = []
    for seed in itertools.count(5000):
        if len(sheets) == count:
            break
        known = (_CACHE / f"crowd{seed}.json").exists()
        sheet = _drawn(SheetSpec(**_TINY, seed=seed), f"crowd{seed}")
        doubtful = _CACHE / f"crowd{seed}.doubtful"
        if not known and read_sheet(load_image(sheet.data, sheet=sheet.name)).doubts:
            doubtful.touch()
        if not doubtful.exists():
            sheets.append(sheet)
    return sheets
