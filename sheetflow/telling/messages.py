"""Notices as people read them: a subject, a text, and the same in parts for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sheetflow.telling.notices import Notice

_NAMED_AT_MOST = 20
_SUBJECT_CHARS = 120
# A file may be called <!channel>.png, <https://elsewhere|here>.png or @everyone.png, and a chat
# would take that for an order. What is meant to be read by people shows signs that look alike.
_HARMLESS = str.maketrans("<>@", "‹›＠")  # noqa: RUF001 - look-alikes are wanted here


def message_of(notice: Notice, *, where: str, url: str | None) -> dict[str, Any]:
    """Return a notice as the payload of its event: JSON, of bounded size.

    Args:
        notice: What to tell.
        where: Which sheetflow tells it: machine and data root.
        url: The page of the run that found it, if it has one.

    Returns:
        `subject`, `body`, and their parts: `news`, `about`, `cause`, `cure`, `sheets` (the first
        ones, by name), `sheet_count`, `since`, `where`, `url`.
    """
    return {
        "subject": _shortened(f"sheetflow: {notice.subject}").translate(_HARMLESS),
        "body": _body(notice, where=where, url=url),
        "news": str(notice.news),
        "about": notice.about,
        "cause": notice.cause,
        "cure": notice.cure,
        "sheets": list(notice.sheets)[:_NAMED_AT_MOST],
        "sheet_count": len(notice.sheets),
        "since": notice.since.isoformat() if notice.since else None,
        "where": where,
        "url": url,
    }


def _body(notice: Notice, *, where: str, url: str | None) -> str:
    lines = [
        *_listed(notice.sheets),
        f"Cause: {notice.cause}.",
        f"Cure: {notice.cure}." if notice.cure else "",
        f"Told first: {notice.since:%Y-%m-%d %H:%M} UTC." if notice.since else "",
        f"Where: {where}",
    ]
    text = "\n".join(line for line in lines if line).translate(_HARMLESS)
    return f"{text}\nRun: {url}" if url else text


def _listed(sheets: Mapping[str, str]) -> list[str]:
    names = [f"- {name}: {words}" if words else f"- {name}" for name, words in sheets.items()]
    more = len(names) - _NAMED_AT_MOST
    listed = [*names[:_NAMED_AT_MOST], f"- and {more} more"] if more > 0 else names
    return ["Sheets:", *listed] if listed else []


def _shortened(text: str) -> str:
    return text if len(text) <= _SUBJECT_CHARS else f"{text[: _SUBJECT_CHARS - 1]}…"
