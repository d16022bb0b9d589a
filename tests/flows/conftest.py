from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.outcomes import Outcome, listening
from sheetflow.settings import Settings


@pytest.fixture(autouse=True)
def _in_a_real_server(prefect_server: str) -> Iterator[None]:
    """Flows of these tests run against the session's server."""
    with temporary_settings({PREFECT_API_URL: prefect_server}):
        yield


@pytest.fixture
def environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put the test's settings into the environment, where flows read them; keywords win."""

    def put(**changes: Any) -> None:
        values = {**settings.model_dump(exclude_none=True), **changes}
        values["mongodb_uri"] = changes.get("mongodb_uri", settings.mongodb_uri.get_secret_value())
        for name, value in values.items():
            plain = name in ("mongodb_uri", "database_name", "collection_name")
            monkeypatch.setenv(name.upper() if plain else f"SHEETFLOW_{name.upper()}", str(value))

    put()
    return put


class Ran:
    """A finished flow run: its state, its outcomes by name, and its task runs."""

    def __init__(self, state: Any, outcomes: list[Outcome]) -> None:
        self.state = state
        self.outcomes = {outcome.name: outcome for outcome in outcomes}

    @property
    def states(self) -> dict[str, str]:
        return {name: str(outcome.state) for name, outcome in self.outcomes.items()}

    def task_runs(self) -> list[Any]:
        """The task runs as the server has them, once it has recorded them all."""
        run_id = self.state.state_details.flow_run_id
        known: list[Any] = []
        quiet = 0
        with get_client(sync_client=True) as client:
            while quiet < 5:  # the server records within a second or so of the last event
                time.sleep(0.4)
                found = client.read_task_runs(
                    flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
                )
                settled = all(run.state.is_final() for run in found)
                quiet = quiet + 1 if settled and len(found) == len(known) else 0
                known = found
        return known

    def steps(self) -> list[str]:
        """The names of the steps that ran, sorted."""
        return sorted(run.name.split(" ")[0] for run in self.task_runs())


@pytest.fixture
def run(environment: Callable[..., None]) -> Callable[..., Ran]:
    """Run a flow as the command line does and return how it went."""

    def go(flow: Any, *arguments: Any, **options: Any) -> Ran:
        outcomes: list[Outcome] = []

        class Collector:
            def expecting(self, sheets: int) -> None:
                pass

            def heard(self, outcome: Outcome) -> None:
                outcomes.append(outcome)

        with listening(Collector()):
            return Ran(flow(*arguments, **options, return_state=True), outcomes)

    return go


@pytest.fixture
def codes_of() -> Callable[[dict[str, Any]], set[str]]:
    """The codes that a sheet's truth names."""
    return lambda truth: {item["code"]["text"] for item in truth["items"] if item["code"]}


@pytest.fixture
def inbox_with(folders: Any) -> Callable[..., None]:
    """Put drawn sheets into the inbox under the given names."""

    def put(**sheets: tuple[bytes, Any]) -> None:
        for stem, (data, _) in sheets.items():
            Path(folders.inbox / f"{stem}.png").write_bytes(data)

    return put
