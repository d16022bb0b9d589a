"""The receipt: proof that MongoDB holds what a sheet gave, made only from bytes it returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from datetime import datetime

from sheetflow.custody.files import digest_bytes
from sheetflow.custody.names import shown_name
from sheetflow.errors import CustodyError, TransientError
from sheetflow.records import Draft
from sheetflow.sheets import ProcessedSheet


class UploadUnconfirmed(TransientError):
    """MongoDB did not return what was sent; uploading again mends it."""


@dataclass(frozen=True)
class StoredImage:
    """What a read-back returned for one code.

    Attributes:
        code: The record's code.
        image_bytes: The picture's bytes, as MongoDB returned them just now.
        revision: The record's revision that holds them.
        superseded: Whether a later sheet has given the code another picture since; the bytes are
            then in the revisions.
    """

    code: str
    image_bytes: bytes
    revision: int
    superseded: bool = False


@dataclass(frozen=True)
class ReceiptLine:
    """One pair that MongoDB holds: its code and the digest of the bytes that came back."""

    code: str
    image_sha256: str
    revision: int
    superseded: bool


_PROOF = object()


@dataclass(frozen=True)
class UploadReceipt:
    """Proof that a sheet's pairs are stored. Only `confirm_against` can make one.

    Attributes:
        sheet_sha256: Whose receipt it is.
        lines: One for each pair that was sent, in the order of the sheet.
        pairs_on_sheet: How many pairs the sheet has; more than lines where some were held back.
        confirmed_at: When the bytes were read back, UTC.
    """

    sheet_sha256: str
    lines: tuple[ReceiptLine, ...]
    pairs_on_sheet: int
    confirmed_at: datetime
    proof: InitVar[object] = None

    def __post_init__(self, proof: object) -> None:
        if proof is not _PROOF:
            raise CustodyError(
                "a receipt was made without reading the stored bytes back",
                cure="Take the receipt that confirm_upload returns",
            )

    @property
    def complete(self) -> bool:
        """Whether every pair of the sheet is stored, and there is at least one."""
        return len(self.lines) == self.pairs_on_sheet > 0

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a receipt proves what was read back now; it cannot be kept or sent")


def confirm_against(
    processed: ProcessedSheet,
    sent: Sequence[Draft],
    returned: Sequence[StoredImage],
    *,
    confirmed_at: datetime,
) -> UploadReceipt:
    """Compare what MongoDB returned with what was sent, byte for byte, and make the receipt.

    Raises:
        UploadUnconfirmed: A code is missing, or came back with other bytes.
    """
    found = {image.code: image for image in returned}
    lines = []
    for draft in sent:
        image = found.get(draft.code)
        digest = digest_bytes(image.image_bytes) if image is not None else None
        if image is None or digest != draft.image_sha256:
            raise UploadUnconfirmed(
                f"MongoDB returned {'no' if image is None else 'another'} picture for code "
                f"{draft.code}",
                cure="The sheet stays staged and is uploaded again",
                sheet=shown_name(processed.sheet.name),
            )
        lines.append(ReceiptLine(draft.code, digest, image.revision, image.superseded))
    return UploadReceipt(
        sheet_sha256=processed.sheet.sha256,
        lines=tuple(lines),
        pairs_on_sheet=len(processed.reading.pairs),
        confirmed_at=confirmed_at,
        proof=_PROOF,
    )
