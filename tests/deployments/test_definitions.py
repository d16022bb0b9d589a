from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import DeploymentResponse
from prefect.settings import PREFECT_API_URL, temporary_settings

from deployments.definitions import deployments
from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings
from tests.deployments.serving import prefect

PREFECT_YAML = Path(__file__).parents[2] / "deployments" / "prefect.yaml"


@pytest.fixture
def api(prefect_server: str) -> Iterator[Any]:
    with temporary_settings({PREFECT_API_URL: prefect_server}), get_client(sync_client=True) as it:
        yield it


def essence(deployment: DeploymentResponse) -> dict[str, Any]:
    """What makes a deployment do what it does, wherever it runs."""
    schedules = [item.schedule.model_dump(mode="json") for item in deployment.schedules]
    limit = deployment.global_concurrency_limit
    return {
        "name": deployment.name,
        "entrypoint": deployment.entrypoint,
        "tags": deployment.tags,
        "schedules": [
            {key: value for key, value in schedule.items() if value is not None}
            for schedule in schedules
        ],
        "limit": limit.limit if limit else None,
        "collision": deployment.concurrency_options,
        "parameters": {k: v for k, v in deployment.parameters.items() if k != "root"},
        "form": deployment.parameter_openapi_schema,
        "description": deployment.description,
    }


def known(api: Any) -> dict[str, DeploymentResponse]:
    return {deployment.name: deployment for deployment in api.read_deployments()}


def test_the_work_pools_deployments_are_those_that_serve_offers(
    api: Any, prefect_server: str, tmp_path: Path
):
    prefect(prefect_server, "work-pool", "create", "sheetflow", "--type", "process", "--overwrite")
    prefect(prefect_server, "deploy", "--all", "--prefect-file", str(PREFECT_YAML))
    pooled = known(api)
    assert {deployment.work_pool_name for deployment in pooled.values()} == {"sheetflow"}
    for deployment in deployments(Settings(root=tmp_path)):
        deployment.apply()
    served = known(api)
    assert {deployment.work_pool_name for deployment in served.values()} == {None}
    assert [essence(served[name]) for name in sorted(served)] == [
        essence(pooled[name]) for name in sorted(pooled)
    ]


def test_the_settings_say_when_and_where(tmp_path: Path):
    settings = Settings(
        root=tmp_path,
        ingest_cron="*/10 7-18 * * mon-sat",
        timezone="Europe/Berlin",
        audit_cron="off",
    )
    by_name = {deployment.name: deployment for deployment in deployments(settings)}
    (ingest,) = by_name["ingest-sheets"].schedules or []
    assert ingest.schedule.model_dump()["cron"] == "*/10 7-18 * * mon-sat"
    assert ingest.schedule.model_dump()["timezone"] == "Europe/Berlin"
    assert not by_name["audit"].schedules
    assert by_name["audit"].parameters["root"] == str(tmp_path)


def test_a_line_that_is_no_cron_line_is_told_with_its_variable(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="SHEETFLOW_INGEST_CRON is no cron line"):
        deployments(Settings(root=tmp_path, ingest_cron="every morning"))


def test_a_time_zone_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no time zone"):
        Settings(root=tmp_path, timezone="Europe/Atlantis")


def test_every_parameter_of_every_form_says_what_it_is(tmp_path: Path):
    for deployment in deployments(Settings(root=tmp_path)):
        properties = deployment._parameter_openapi_schema.properties
        unexplained = [name for name, field in properties.items() if not field.get("description")]
        assert not unexplained, f"{deployment.name}: {unexplained}"
