"""`sheetflow doctor`: what is wrong with the set-up, and the cure."""

from __future__ import annotations

import sys

import click

from cli.options import chosen_root, json_option, root_option
from cli.tables import print_json, print_table


@click.command()
@root_option
@json_option
def doctor(*, as_json: bool) -> None:
    """Check the set-up: libraries, folders, disk, MongoDB and Prefect, each with its cure.

    Nothing of your sheets is touched. Exit status 2 if something is wrong.
    """
    from deployments.checks import check_prefect
    from sheetflow.doctor import check_machine, check_store
    from sheetflow.settings import load_settings

    settings = load_settings(root=chosen_root())
    checks = [*check_machine(settings), *check_store(settings), *check_prefect(settings)]
    ok = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": [check.to_json() for check in checks]})
    else:
        print_table(
            ["check", "", "what was found", "cure"],
            [
                [check.name, "ok" if check.ok else "WRONG", check.detail, check.cure or ""]
                for check in checks
            ],
        )
    sys.exit(0 if ok else 2)
