"""Records: what MongoDB is asked to hold for each pair. Pure: values in, documents out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sheetflow import __version__
from sheetflow.custody.files import digest_bytes, read_file
from sheetflow.custody.names import shown_name
from sheetflow.errors import SpoiledResult
from sheetflow.reading import Pair
from sheetflow.sheets import CropFile, ProcessedSheet

if TYPE_CHECKING:
    from sheetflow.vision.geometry import Quad

Document = dict[str, Any]

MAX_INLINE_BYTES = 12 * 1024 * 1024
"""Larger pictures go to GridFS: a document of MongoDB's ends at 16 MiB, all fields included."""


@dataclass(frozen=True)
class Draft:
    """A record as a sheet wants it, before MongoDB knows of it."""

    code: str
    symbology: str
    image_bytes: bytes
    image_media_type: str
    image_sha256: str
    image_size_px: tuple[int, int]
    source_image: Document
    run: Document

    @property
    def inline(self) -> bool:
        """Whether the picture fits into the document."""
        return len(self.image_bytes) <= MAX_INLINE_BYTES


def drafts_of(
    processed: ProcessedSheet, pairs: Iterable[Pair], *, flow_run_id: str | None = None
) -> list[Draft]:
    """Return the drafts of the given pairs of a sheet, with the crops' bytes read and verified.

    Args:
        processed: The sheet with its work products.
        pairs: Those of `processed.reading.pairs` that are to be stored.
        flow_run_id: The Prefect run that stores them.

    Raises:
        SpoiledResult: A crop file is not what was written; the sheet has to be processed again.
    """
    wanted = set(pairs)
    return [
        _draft(processed, index, pair, crop, flow_run_id)
        for index, (pair, crop) in enumerate(
            zip(processed.reading.pairs, processed.crops, strict=True)
        )
        if pair in wanted
    ]


def record_fields(draft: Draft, *, revision: int, now: datetime) -> Document:
    """Return the fields that an upload sets; `category` is a person's and is never among them."""
    image: Document = (
        {"image_bytes": draft.image_bytes}
        if draft.inline
        else {"image_file_id": draft.image_sha256}
    )
    return {
        "symbology": draft.symbology,
        **image,
        "image_media_type": draft.image_media_type,
        "image_sha256": draft.image_sha256,
        "image_size_px": list(draft.image_size_px),
        "revision": revision,
        "updated_at": now,
        "source_image": draft.source_image,
        "run": draft.run,
    }


def bounding_box(quad: Quad) -> list[int]:
    """Return the smallest rectangle around a quad, [left, top, width, height] in whole pixels."""
    left, right = _span([x for x, _ in quad])
    top, bottom = _span([y for _, y in quad])
    return [left, top, right - left, bottom - top]


def _span(values: Sequence[float]) -> tuple[int, int]:
    return round(min(values)), round(max(values))


def _draft(
    processed: ProcessedSheet, index: int, pair: Pair, crop: CropFile, flow_run_id: str | None
) -> Draft:
    sheet = processed.sheet
    try:
        image_bytes = read_file(crop.path)
    except FileNotFoundError:
        image_bytes = b""  # removed by someone since the results were looked for
    if digest_bytes(image_bytes) != crop.sha256:
        raise SpoiledResult(
            f"the kept crop {crop.path.name} is not what was written",
            cure="Run again: the sheet is safe in staging and is processed afresh",
            sheet=shown_name(sheet.name),
        )
    return Draft(
        code=pair.code,
        symbology=pair.symbology,
        image_bytes=image_bytes,
        image_media_type=crop.media_type,
        image_sha256=crop.sha256,
        image_size_px=crop.size_px,
        source_image={
            "name": sheet.portable_name,
            "sha256": sheet.sha256,
            "index": index,
            "row": pair.row,
            "column": pair.column,
            "picture_box": bounding_box(pair.picture_quad),
            "symbol_box": bounding_box(pair.symbol_quad),
            **({} if pair.page is None else {"page": pair.page}),
        },
        run={"flow_run_id": flow_run_id, "sheetflow_version": __version__},
    )
