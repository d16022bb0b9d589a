"""The fields of the flows' forms, as the Prefect UI draws them.

An optional value would be drawn as a pair of tabs, "str" and "None". So a text that may be left out
is an empty text, and a choice that may be left out has a choice for that. Called from Python, None
and paths are taken all the same. Descriptions stand in the flows' docstrings, where Prefect looks.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator

from sheetflow.settings import OnDoubt


def _text(value: Any) -> Any:
    if value is None:
        return ""
    return os.fspath(value) if isinstance(value, os.PathLike) else value


Text = Annotated[str, BeforeValidator(_text)]
"""A text, a name or a path; empty if left out."""


class Doubt(StrEnum):
    """What becomes of a sheet that needs a review."""

    AS_SET = "as set"
    HOLD = "hold"
    STORE_CERTAIN = "store-certain"

    def chosen(self) -> OnDoubt | None:
        """Return the choice, None if it is left to the settings."""
        return None if self is Doubt.AS_SET else OnDoubt(self.value)


OnDoubtChoice = Annotated[
    Doubt, BeforeValidator(lambda value: Doubt.AS_SET if value is None else str(value))
]
