from __future__ import annotations

import socket
import threading

import pytest
from pydantic import SecretStr

from sheetflow.errors import StoreRefused, StoreUnavailable
from sheetflow.settings import Settings
from sheetflow.store.connection import StoreDoor, open_store
from sheetflow.store.examination import examine_store
from sheetflow.store.reach import is_reachable

SECRET = "hunter2-secret"


def with_uri(settings: Settings, uri: str) -> Settings:
    return settings.model_copy(update={"mongodb_uri": SecretStr(uri)})


@pytest.fixture
def dead_end() -> str:
    """An address where nobody listens."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{reserved.getsockname()[1]}"


def test_opening_makes_collections_indexes_and_validators_and_again_changes_nothing(
    settings, database
) -> None:
    for _ in range(2):
        with open_store(settings):
            pass
    options = {item["name"]: item["options"] for item in database.list_collections()}
    assert set(options) == {"codes_images", "codes_images_revisions", "sheets"}
    assert "$jsonSchema" in options["codes_images"]["validator"]
    assert database.codes_images.index_information()["code_unique"]["unique"]
    assert database.codes_images_revisions.index_information()["code_revision"]["unique"]


def test_codes_that_stand_twice_already_are_named_as_the_problem(settings, database) -> None:
    database.codes_images.insert_many([{"code": "X"}, {"code": "X"}])
    with pytest.raises(StoreRefused, match="one code in several documents"), open_store(settings):
        pass
    assert database.codes_images.count_documents({}) == 2


def test_a_mongodb_that_is_away_is_told_without_the_password(settings, dead_end) -> None:
    away = with_uri(settings, f"mongodb://shop:{SECRET}@{dead_end}/")
    with pytest.raises(StoreUnavailable) as caught, open_store(away):
        pass
    assert SECRET not in str(caught.value)
    assert "did not answer" in str(caught.value)
    assert not is_reachable(away)


@pytest.mark.parametrize(
    "uri", ["mongo://x", f"mongodb://user:{SECRET}@@host", "mongodb://h:99999999", ""]
)
def test_a_uri_that_makes_no_sense_is_told_without_repeating_it(settings, uri: str) -> None:
    with (
        pytest.raises((StoreRefused, StoreUnavailable)) as caught,
        open_store(with_uri(settings, uri)),
    ):
        pass
    assert SECRET not in str(caught.value)


def test_settings_never_show_the_password(settings) -> None:
    secret = with_uri(settings, f"mongodb://shop:{SECRET}@127.0.0.1/")
    assert SECRET not in repr(secret) + str(secret) + secret.model_dump_json()


def test_many_threads_wait_for_a_dead_mongodb_only_once(settings, dead_end, monkeypatch) -> None:
    attempts = []
    from sheetflow.store import connection

    def counted(*arguments):
        attempts.append(1)
        return original(*arguments)

    original = connection.connect
    monkeypatch.setattr(connection, "connect", counted)
    failures = []
    with StoreDoor(with_uri(settings, f"mongodb://{dead_end}/")) as door:

        def knock() -> None:
            try:
                door.open()
            except StoreUnavailable as error:
                failures.append(error)

        threads = [threading.Thread(target=knock) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(failures) == 8
    assert len(attempts) == 1


def test_the_door_opens_once_for_all(settings) -> None:
    with StoreDoor(settings) as door:
        assert door.opened() is None
        assert door.open() is door.open()
        assert door.opened() is not None


def test_an_examination_tells_server_kind_and_that_writing_works(settings, database) -> None:
    findings = examine_store(settings)
    assert "MongoDB 6" in findings["server"] or "MongoDB" in findings["server"]
    assert "replica set" in findings["kind"]
    assert "written by a majority" in findings["writing"]
    assert database.sheetflow_doctor.count_documents({}) == 0
    assert is_reachable(settings)
