"""The fields of the flows' forms, as the Prefect UI draws them.

An optional value would be drawn as a pair of tabs, "str" and "None". So a text that may be left out
is an empty text, and a choice that may be left out has a choice for that. Called from Python, None
and paths are taken all the same. Descriptions stand in the flows' docstrings, where Prefect looks.
"""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from sheetflow.settings import GivenSettings, OnDoubt
from sheetflow.symbologies import SYMBOLOGIES


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


class Side(StrEnum):
    """Where labels stand, seen from their pictures."""

    AS_SET = "as set"
    ANY = "any"
    BELOW = "below"
    ABOVE = "above"
    LEFT = "left"
    RIGHT = "right"


class KnownSheets(BaseModel):
    """What is known of the sheets of this run; what is left alone is as the settings say."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    grid: Text = Field(
        default="",
        pattern=r"^( *[1-9][0-9]? *[xX] *[1-9][0-9]? *)?$",
        title="Rows and columns of every sheet",
        description="Such as 4x3. Empty: SHEETFLOW_GRID.",
    )
    label_side: Side = Field(
        default=Side.AS_SET,
        title="Where codes stand",
        description="Seen from their pictures. As set: SHEETFLOW_LABEL_SIDE.",
    )
    symbologies: Text = Field(
        default="",
        title="Kinds of code",
        description=f"Some of {', '.join(SYMBOLOGIES)}. Empty: SHEETFLOW_SYMBOLOGIES.",
    )
    expected_pairs: int = Field(
        default=0,
        ge=0,
        le=10_000,
        title="Pairs on every sheet",
        description="0: SHEETFLOW_EXPECTED_PAIRS.",
    )

    @model_validator(mode="after")
    def _can_be(self) -> KnownSheets:
        # Refused in the form, and not when the run has begun.
        GivenSettings(**self.chosen())
        return self

    def chosen(self) -> dict[str, Any]:
        """Return what was filled in, by the names of the settings."""
        given = self.model_dump(mode="json", exclude_defaults=True)
        return {name: value for name, value in given.items() if value != Side.AS_SET}


AS_SET = KnownSheets()
"""Nothing is known but what the settings say."""

OnDoubtChoice = Annotated[
    Doubt, BeforeValidator(lambda value: Doubt.AS_SET if value is None else str(value))
]
