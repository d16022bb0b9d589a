"""Every setting, read once from the environment or `.env` where a run starts, and handed down."""

from __future__ import annotations

import os
import re
from enum import StrEnum
from math import prod
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import (
    AliasChoices,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from sheetflow.custody.folders import Folders
from sheetflow.custody.lease_files import LEASE_S
from sheetflow.errors import ConfigurationError
from sheetflow.symbologies import RETAIL_SYMBOLOGIES, SYMBOLOGIES, named_symbology

_GRID = re.compile(r"[1-9]\d?x[1-9]\d?")


class OnDoubt(StrEnum):
    """What becomes of a sheet that a person should look at."""

    HOLD = "hold"
    """Nothing of it is stored until it was reviewed."""
    STORE_CERTAIN = "store-certain"
    """Its certain pairs are stored; the sheet itself is held."""


class LabelSide(StrEnum):
    """Where a sheet's labels stand, seen from their pictures."""

    ANY = "any"
    BELOW = "below"
    ABOVE = "above"
    LEFT = "left"
    RIGHT = "right"


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """From which level on."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class SmtpSecurity(StrEnum):
    """How a message travels to the mail server."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


class Settings(BaseSettings):
    """What someone may tune. Each field's variable is `SHEETFLOW_` and its name, unless said."""

    model_config = SettingsConfigDict(
        env_prefix="SHEETFLOW_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        populate_by_name=True,
    )

    root: Path = Field(
        default=Path(),
        description="The data root: the folder that holds the four places of a sheet. "
        "Default: the current folder.",
    )
    source_dir: Path | None = Field(
        default=None, description="The inbox, if it is not `source/` under the data root."
    )
    staging_dir: Path | None = Field(
        default=None, description="The staging, if it is not `images_sources/` under the root."
    )
    archive_dir: Path | None = Field(
        default=None, description="The archive, if it is not `images_old/` under the root."
    )
    rejected_dir: Path | None = Field(
        default=None, description="The quarantine, if it is not `images_rejected/` under the root."
    )

    mongodb_uri: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("MONGODB_URI", "mongodb_uri"),
        description="`MONGODB_URI`: your own MongoDB. Unset: an embedded one, under the data root.",
    )
    database_name: str = Field(
        default="images_db",
        min_length=1,
        validation_alias=AliasChoices("DATABASE_NAME", "database_name"),
        description="`DATABASE_NAME`: the database.",
    )
    collection_name: str = Field(
        default="codes_images",
        min_length=1,
        validation_alias=AliasChoices("COLLECTION_NAME", "collection_name"),
        description="`COLLECTION_NAME`: the collection of records, one document for each code.",
    )
    mongodb_connect_timeout_s: Annotated[float, Field(gt=0, le=300)] = Field(
        default=5.0, description="How long to look for a MongoDB that answers."
    )
    mongodb_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=30.0, description="How long MongoDB may take to answer one call."
    )

    on_doubt: OnDoubt = Field(
        default=OnDoubt.HOLD,
        description="What becomes of a sheet that needs a review: `hold` stores nothing of it, "
        "`store-certain` stores its certain pairs; the sheet waits either way.",
    )
    settle_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=2.0, description="How long a file's size and times must stand still in the inbox."
    )
    done_suffix: Annotated[str, Field(pattern=r"^(\.[^/.\s]+)?$")] = Field(
        default="",
        description="If set, for example to `.done`, a sheet is taken only once a file of its name "
        "with this suffix stands beside it; that file is removed when the sheet is staged.",
    )
    readers: Annotated[int, Field(ge=1, le=256)] = Field(
        default_factory=lambda: _own_cores(),
        description="How many sheets are read at the same time, each in a process of its own. "
        "Default: one for each core that this process may use.",
    )
    sheets_in_flight: Annotated[int, Field(ge=1, le=512)] = Field(
        default_factory=lambda: _own_cores() + 2,
        description="How many sheets are on their way at the same time: while some are read, "
        "others are moved and uploaded. Default: two more than there are cores.",
    )
    uploads_at_once: Annotated[int, Field(ge=1, le=512)] = Field(
        default=8, description="How many sheets may be uploaded to MongoDB at the same time."
    )
    reader_memory_bytes: Annotated[int, Field(ge=512 * 1024 * 1024)] = Field(
        default=8 * 1024**3,
        description="How much memory reading one sheet may take; one that takes more has failed.",
    )
    sheets_a_run: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="How many sheets a run takes at most, oldest first; the next run takes the "
        "others. 0: all.",
    )
    lease_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=LEASE_S,
        description="How long a sheet stays with a machine that shares the folders and has fallen "
        "silent, before another takes it over.",
    )
    retries: Annotated[int, Field(ge=0, le=20)] = Field(
        default=4, description="How often a step is tried again when the world is at fault."
    )
    retry_delay_s: Annotated[float, Field(ge=0, le=600)] = Field(
        default=1.0, description="The first pause before a retry; each next one is twice as long."
    )
    max_pixels: Annotated[int, Field(gt=0)] = Field(
        default=200_000_000, description="Images, or pages, with more pixels are rejected unread."
    )
    max_file_bytes: Annotated[int, Field(gt=0)] = Field(
        default=512 * 1024 * 1024, description="Larger files are rejected unread."
    )

    max_pages: Annotated[int, Field(gt=0, le=10_000)] = Field(
        default=100, description="Files (PDF, TIFF) with more pages are rejected."
    )
    max_symbols: Annotated[int, Field(gt=0)] = Field(
        default=2000, description="Sheets with a page that has more codes are rejected."
    )
    grid: str = Field(
        default="",
        description="How many rows and columns every sheet has, as `4x3`, if you know. Of several "
        "grids that a sheet could have this one is taken, and a sheet with another one waits for a "
        "review.",
    )
    label_side: LabelSide = Field(
        default=LabelSide.ANY,
        description="Where codes stand, seen from their pictures: `below`, `above`, `left` or "
        "`right`, if you know; `any` finds out sheet by sheet. A sheet that looks otherwise waits "
        "for a review.",
    )
    symbologies: str = Field(
        default=", ".join(RETAIL_SYMBOLOGIES),
        description="The kinds of code to look for, separated by commas, of "
        f"{', '.join(SYMBOLOGIES)}. Codes of other kinds are not seen.",
    )
    expected_pairs: Annotated[int, Field(ge=0, le=10_000)] = Field(
        default=0,
        description="How many pairs every sheet has; one with another number waits for a review. "
        "0: any number.",
    )
    crop_margin_percent: Annotated[float, Field(ge=0, le=25)] = Field(
        default=0.0,
        description="How much of its surroundings a picture's crop keeps on each side, in percent "
        "of the picture's shorter side.",
    )
    sheet_timeout_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=120.0,
        description="How long reading one sheet, or one page of it, may take; then its decoder is "
        "ended and its attempt has failed.",
    )
    reviews_at_once: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=20,
        description="How many review runs wait in the Prefect UI at a time; the next ones are "
        "asked for as these are answered. 0: reviews are made with `sheetflow review` alone.",
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = Field(
        default=256 * 1024 * 1024,
        description="A run does not start with less free disk than this under the data root.",
    )
    max_backlog: Annotated[int, Field(gt=0)] = Field(
        default=1000,
        description="While MongoDB is away, no more sheets are staged than this; the others wait "
        "in the inbox.",
    )

    ingest_every_s: Annotated[float, Field(ge=0, le=7 * 86400)] = Field(
        default=300.0,
        description="How often the served or deployed `ingest-sheets` drains the inbox. 0: only "
        "when the watcher sees new sheets, or on request.",
    )
    ingest_cron: str = Field(
        default="",
        description="When it drains the inbox, as a cron line such as `*/10 7-18 * * mon-sat`; "
        "wins over `SHEETFLOW_INGEST_EVERY_S`.",
    )
    audit_cron: str = Field(
        default="17 3 * * *",
        description="When the served or deployed `audit` runs, as a cron line; `off`: on request.",
    )
    audit_sample_percent: Annotated[float, Field(gt=0, le=100)] = Field(
        default=5.0,
        description="Which part of the sheets a scheduled audit reads back and hashes, in percent; "
        "another part every day.",
    )
    timezone: str = Field(
        default="UTC", description="The time zone of the cron lines, such as `Europe/Berlin`."
    )
    watch: bool = Field(
        default=True,
        description="Whether `sheetflow serve` starts an ingest as soon as new sheets have settled "
        "in the inbox, besides the schedule.",
    )
    watch_poll_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=0.0,
        description="How often the watcher lists the inbox. 0: the system tells it, with a look "
        "every 30 s; set it, to 5 for example, for an inbox on NFS, SMB or another mount, where no "
        "such events come.",
    )

    @field_validator("grid")
    @classmethod
    def _is_grid(cls, value: str) -> str:
        plain = value.replace(" ", "").lower()
        if plain and not _GRID.fullmatch(plain):
            raise ValueError("a grid is ROWSxCOLUMNS, such as 4x3, of 1 to 99 each")
        return plain

    @field_validator("symbologies")
    @classmethod
    def _are_symbologies(cls, value: str) -> str:
        names = [name for name in value.split(",") if name.strip()]
        if not names:
            raise ValueError("name at least one kind of code, such as EAN-13")
        return ", ".join(dict.fromkeys(map(named_symbology, names)))

    @field_validator("expected_pairs")
    @classmethod
    def _fit_grid(cls, value: int, info: ValidationInfo) -> int:
        grid = info.data.get("grid")
        if grid and value > prod(_size_of(grid)):
            raise ValueError(f"a grid of {grid} cannot hold {value} pairs")
        return value

    @property
    def grid_size(self) -> tuple[int, int] | None:
        """(rows, columns) of every sheet, None if they are not known."""
        return _size_of(self.grid) if self.grid else None

    @property
    def symbologies_wanted(self) -> tuple[str, ...]:
        """The kinds of code to look for."""
        return tuple(self.symbologies.split(", "))

    @field_validator("timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, ValueError, OSError):
            raise ValueError("this is no time zone, such as Europe/Berlin or UTC") from None
        return value

    alert_age_s: Annotated[float, Field(gt=0)] = Field(
        default=6 * 3600.0,
        description="How long a sheet may be here, unarchived for no other known reason, before "
        "people are told.",
    )
    notify_slack: SecretStr | None = Field(
        default=None,
        description="The address of a Slack incoming webhook; or any Apprise address, such as "
        "`msteams://...` or `ntfys://...`.",
    )
    notify_webhook: SecretStr | None = Field(
        default=None, description="An address that gets each notice as JSON, by POST."
    )
    notify_email_to: str = Field(
        default="", description="Who gets mail: addresses, separated by commas."
    )
    notify_email_from: str = Field(
        default="", description="The sender of that mail. Default: the first receiver."
    )
    smtp_host: str = Field(default="", description="The mail server, for `..._EMAIL_TO`.")
    smtp_port: Annotated[int, Field(ge=1, le=65535)] = Field(
        default=587, description="Its port: 587 for STARTTLS, 465 for TLS."
    )
    smtp_security: SmtpSecurity = Field(
        default=SmtpSecurity.STARTTLS,
        description="How mail travels: `starttls`, `tls`, or `none`, which takes no password.",
    )
    smtp_user: str = Field(default="", description="The account there, if it wants one.")
    smtp_password: SecretStr | None = Field(default=None, description="Its password.")
    notify_again_s: Annotated[float, Field(gt=0)] = Field(
        default=24 * 3600.0,
        description="How long until people are reminded of trouble, or of a review, that lasts.",
    )

    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="How log lines look: `text` for people, or `json`, one object a line "
        "(docs/logs.md).",
    )
    log_file: Path | None = Field(
        default=None,
        description="A file for the log lines of all processes. Unset: standard error.",
    )
    log_max_bytes: Annotated[int, Field(ge=0)] = Field(
        default=10_000_000,
        description="At what size the log file is put aside and begun anew; 0: never.",
    )
    log_files_kept: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=5, description="How many log files that were put aside are kept."
    )
    log_ui_level: LogLevel = Field(
        default=LogLevel.INFO,
        description="From which level on a log line is sent to the Prefect UI as well: `info`, "
        "`warning` or `error`.",
    )
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=0,
        description="Where `sheetflow serve` and `watch` show their figures to Prometheus, on "
        "127.0.0.1; 0: nowhere (docs/metrics.md).",
    )

    @property
    def folders(self) -> Folders:
        """The folders that these settings name, as absolute paths."""
        root = self.root.expanduser().absolute()

        def place(set_apart: Path | None, name: str) -> Path:
            return root / (set_apart.expanduser() if set_apart else name)

        return Folders(
            inbox=place(self.source_dir, "source"),
            staging=place(self.staging_dir, "images_sources"),
            archive=place(self.archive_dir, "images_old"),
            quarantine=place(self.rejected_dir, "images_rejected"),
            state=root / ".sheetflow",
        )


class GivenSettings(Settings):
    """Settings as they are given, whatever the environment says: to check what a form asks for."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - of the protocol
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return what was given, alone."""
        return (init_settings,)


def _size_of(grid: str) -> tuple[int, int]:
    rows, columns = grid.split("x")
    return int(rows), int(columns)


def _own_cores() -> int:
    # Not those of the machine: a container or `taskset` may leave us fewer.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; `overrides` that are not None win over the environment.

    Raises:
        ConfigurationError: A setting has a value that it cannot have.
    """
    try:
        return Settings(**{key: value for key, value in overrides.items() if value is not None})
    except ValidationError as error:
        problems = "; ".join(
            f"{_variable(problem['loc'])}: {problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors()
        )
        raise ConfigurationError(
            f"a setting is wrong: {problems}",
            cure="Mend it in the environment or in .env; docs/settings.md lists them all",
        ) from None  # pydantic's own text could repeat a value that is a secret


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else "?"
    return name if name.isupper() else f"SHEETFLOW_{name.upper()}"
