"""The doctor's look at Prefect."""

from __future__ import annotations

from collections.abc import Iterator

from sheetflow.doctor import Check
from sheetflow.settings import Settings


def check_prefect(settings: Settings) -> Iterator[Check]:
    """Look at Prefect's version, and at its server as a run would."""
    import httpx
    import prefect
    from prefect.client.orchestration import get_client

    from deployments.server import prefect_api
    from sheetflow.custody.folders import prepare_folders
    from sheetflow.errors import SheetflowError

    yield Check("Prefect", True, prefect.__version__)
    try:
        prepare_folders(settings.folders)
        home = settings.folders.prefect
        with prefect_api(home) as api_url, get_client(sync_client=True) as client:
            problem = client.api_healthcheck()
            if problem is None:
                detail = f"{api_url}, version {client.api_version()}"
                yield Check("Prefect server", True, detail)
                return
            what = type(problem).__name__
    except SheetflowError as error:
        yield Check("Prefect server", False, error.cause, error.cure)
        return
    except httpx.HTTPError as error:
        what = type(error).__name__
    yield Check(
        "Prefect server",
        False,
        f"it does not answer ({what})",
        "Check PREFECT_API_URL and PREFECT_API_KEY, or unset them to use a server of sheetflow's",
    )
