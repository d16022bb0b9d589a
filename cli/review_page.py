"""What `sheetflow review` shows: the sheets that wait, or one of them with its regions."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.tables import print_json, print_table

if TYPE_CHECKING:
    from sheetflow.custody.reviewing import UnderReview
    from sheetflow.custody.waiting import WaitingReview
    from sheetflow.settings import Settings

_DOUBTS_AT_MOST = 3


def show_waiting(settings: Settings, *, as_json: bool) -> bool:
    """List the sheets that wait for a person; tell whether there are any."""
    from sheetflow.custody.waiting import waiting_reviews

    waiting = waiting_reviews(settings.folders)
    if as_json:
        print_json({"waiting": [item.to_json() for item in waiting]})
    elif waiting:
        columns = ["sheet", "SHA-256", "waits for", "doubts", "what is in doubt"]
        print_table(columns, [_row(item) for item in waiting])
        click.echo("Look at one with: sheetflow review NAME")
    else:
        click.echo("No sheet waits for a review.")
    return bool(waiting)


def show_sheet(looked_at: UnderReview, pictures: Sequence[Path], *, as_json: bool) -> None:
    """Show the regions of a sheet with their numbers, and what is in doubt."""
    from sheetflow.custody.names import portable_name, shown_name
    from sheetflow.regions import on_page, shown_regions

    entry, reading = looked_at.entry, looked_at.reading
    regions = shown_regions(reading)
    if as_json:
        print_json(
            {
                "name": portable_name(entry.name),
                "sha256": entry.sha256,
                "state": str(entry.state),
                "overlay": portable_name(str(pictures[0])),
                "overlays": [portable_name(str(picture)) for picture in pictures],
                "regions": [
                    {
                        "number": region.number,
                        "kind": str(region.kind),
                        "page": region.page,
                        "code": region.symbol.payload if region.symbol else None,
                        "symbology": region.symbol.symbology if region.symbol else None,
                        "quad": [[round(x, 1), round(y, 1)] for x, y in region.quad],
                        "doubts": list(region.doubts),
                        "reason": region.reason or None,
                    }
                    for region in regions
                ],
                "sheet_doubts": list(reading.sheet_doubts),
                "reviews": [review.to_json() for review in entry.reviews],
            }
        )
        return
    print_table(
        ["number", "what", "code", "kind", "doubts"],
        [
            [
                region.number,
                f"{region.kind}{on_page(region.page)}",
                shown_name(region.symbol.payload) if region.symbol else "",
                region.symbol.symbology if region.symbol else "",
                "; ".join(region.doubts) or region.reason,
            ]
            for region in regions
        ],
        title=f"{shown_name(entry.name)}: {entry.state}",
    )
    for doubt in reading.sheet_doubts:
        click.echo(f"of the whole sheet: {doubt}")
    for earlier in entry.reviews:
        click.echo(f"earlier, {earlier.at[:16]}, by {earlier.by}: {earlier.told}")
    for picture in pictures:
        click.echo(f"Picture: {picture}")


def draw_pictures(settings: Settings, looked_at: UnderReview, overlay: Path | None) -> list[Path]:
    """Draw a sheet with its regions numbered; beside its work products, unless told where.

    Of several pages those in doubt are drawn, into files that bear their numbers.
    """
    from sheetflow.custody.files import write_file
    from sheetflow.custody.journal import work_folder
    from sheetflow.overlays import overlays_of, pages_to_look_at

    path = overlay or work_folder(settings.folders, looked_at.entry.sha256) / "overlay.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    pages = pages_to_look_at(looked_at.reading)
    paths = [path if page is None else path.with_stem(f"{path.stem}-{page}") for page in pages]
    for drawn, picture in zip(paths, overlays_of(settings, looked_at, pages), strict=True):
        write_file(drawn, picture)
    return paths


def open_picture(picture: Path) -> None:
    """Open a picture with the desktop's viewer, if there is one."""
    viewer = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if viewer is None:
        click.echo("There is no viewer here that could open it.", err=True)
        return
    quiet = subprocess.DEVNULL
    subprocess.Popen([viewer, str(picture)], stdout=quiet, stderr=quiet, start_new_session=True)


def _row(item: WaitingReview) -> list[object]:
    from sheetflow.custody.names import shown_name
    from sheetflow.status import shown_age

    shown = "; ".join(item.doubts[:_DOUBTS_AT_MOST])
    more = " ..." if len(item.doubts) > _DOUBTS_AT_MOST else ""
    name = shown_name(item.name)
    return [name, item.sha256[:12], shown_age(item.age_s), len(item.doubts), f"{shown}{more}"]
