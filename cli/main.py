"""The `sheetflow` command.

Only click is imported here: `sheetflow --help` and `sheetflow status` must answer at once, so each
command imports what it needs when it runs, and Prefect only where a flow runs.
"""

from __future__ import annotations

import gc
import signal
import sys
from types import FrameType

import click

from cli.commands.audit import audit
from cli.commands.doctor import doctor
from cli.commands.force_archive import force_archive
from cli.commands.ingest import ingest, ingest_one
from cli.commands.metrics import metrics
from cli.commands.notify import notify
from cli.commands.read import read
from cli.commands.retry import retry
from cli.commands.review import review
from cli.commands.samples import samples
from cli.commands.serve import serve
from cli.commands.status import status
from cli.commands.watch import watch
from cli.options import root_option
from sheetflow import __version__

_NEW_OBJECTS = 50_000
"""Some ten MB that may wait for the collector."""
_EPILOG = """
\b
A first try, in an empty folder:
  sheetflow samples source --without-truth
  sheetflow ingest
  sheetflow status

Exit status: 0 all well; 1 some sheet failed or waits for a person; 2 wrong usage or settings.
"""


@click.group(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sheetflow")
@root_option
def sheetflow() -> None:
    """Bring catalogue sheets into MongoDB without ever losing one.

    A sheet dropped into source/ is staged in images_sources/, cut apart, its codes are read and
    paired with their pictures, the pairs are stored in MongoDB and read back, and only then the
    sheet goes to images_old/.
    """


for command in (
    ingest,
    ingest_one,
    read,
    status,
    review,
    retry,
    force_archive,
    audit,
    serve,
    watch,
    notify,
    metrics,
    samples,
    doctor,
):
    sheetflow.add_command(command)


def main() -> None:
    """Run the command line."""
    # Imports make objects by the hundred thousand, all to stay: Python's collector would look
    # through them again and again, for a fifth of the time that a command takes to begin.
    gc.set_threshold(_NEW_OBJECTS, 20, 100)
    run_command(sheetflow)


def run_command(command: click.Command) -> None:
    """Run a command; every expected trouble ends in a sentence and an exit status."""
    from sheetflow.errors import ConfigurationError, SheetflowError

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    try:
        command.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        click.echo("\nStopped. Every sheet is safe; run again to go on.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except SheetflowError as error:
        click.echo(f"sheetflow: {error}", err=True)
        sys.exit(2 if isinstance(error, ConfigurationError) else 1)
    except BrokenPipeError:
        # `sheetflow status | head`: nobody reads on, which is no fault.
        sys.stderr.close()
        sys.exit(0)


def _leave(number: int, _frame: FrameType | None) -> None:
    # An ordinary exit, so that what was opened is closed and our servers are stopped.
    sys.exit(128 + number)
