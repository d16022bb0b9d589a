"""Notices on their whole way: a run, a real Prefect server, its automations, real receivers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.events.actions import DoNothing
from prefect.events.schemas.automations import AutomationCore, EventTrigger
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Crashed

from deployments.notifications import set_up_notifications, try_channels
from flows.ingest import ingest_sheets
from sheetflow.settings import Settings, SmtpSecurity
from sheetflow.telling.told import remembering
from tests.receivers import Mailbox, Receiver, until

AWAY = "mongodb://127.0.0.1:1/?directConnection=true"
SECRET = "s3cret"


class Receivers:
    """A mailbox, a webhook and a stand-in for a chat, with what arrived since the last look."""

    def __init__(self, mailbox: Mailbox, webhook: Receiver, chat: Receiver) -> None:
        self.mailbox, self.webhook, self.chat = mailbox, webhook, chat

    def settings(self, root: Path) -> Settings:
        return Settings(
            root=root,
            notify_email_to="shop@example.org",
            notify_email_from="sheetflow@example.org",
            smtp_host="127.0.0.1",
            smtp_port=self.mailbox.port,
            smtp_security=SmtpSecurity.NONE,
            notify_webhook=f"{self.webhook.url}?token={SECRET}",
            notify_slack=self.chat.url.replace("http://", f"json://shop:{SECRET}@"),
        )

    def subjects(self) -> list[str]:
        """The subjects that arrived by mail since the last call, each on all three ways."""
        by_mail = [mail["subject"] for mail in self.mailbox.mails]
        assert [body["subject"] for body in self.webhook.bodies] == by_mail
        assert [body["title"] for body in self.chat.bodies] == by_mail
        self.forget()
        return by_mail

    def forget(self) -> None:
        for received in (self.mailbox.mails, self.webhook.bodies, self.chat.bodies):
            received.clear()


@pytest.fixture(scope="module")
def channels(prefect_server: str, tmp_path_factory: Any) -> Iterator[Receivers]:
    """Three channels, set up once for the tests of this module, and removed."""
    root = tmp_path_factory.mktemp("channels")
    api = temporary_settings({PREFECT_API_URL: prefect_server})
    with Mailbox() as mailbox, Receiver() as webhook, Receiver() as chat, api:
        receivers = Receivers(mailbox, webhook, chat)
        set_up_notifications(receivers.settings(root))
        yield receivers
        set_up_notifications(Settings(root=root))


@pytest.fixture
def heard(channels: Receivers) -> Receivers:
    channels.forget()
    return channels


def test_an_outage_is_one_message_over_several_runs_and_its_end_another(
    run, environment, folders, several, inbox_with, heard
) -> None:
    inbox_with(s0=several[0], s1=several[1])
    environment(mongodb_uri=AWAY, retries=0)
    first = run(ingest_sheets)
    [mail] = heard.mailbox.mails
    body, run_id = mail.get_content(), str(first.state.state_details.flow_run_id)
    for part in ("s0.png", "s1.png", "MongoDB did not answer", "sheetflow doctor", run_id):
        assert part in body
    assert heard.webhook.bodies[0]["sheet_count"] == 2
    assert heard.webhook.bodies[0]["url"].endswith(f"/runs/flow-run/{run_id}")
    assert len(heard.subjects()) == 1
    inbox_with(late=several[2])
    run(ingest_sheets)
    assert heard.subjects() == []
    environment()
    assert set(run(ingest_sheets).states.values()) == {"archived"}
    assert heard.subjects() == ["sheetflow: all is well again"]


def test_a_review_and_a_rejected_file_are_told_by_name(run, folders, drawn, heard) -> None:
    (folders.inbox / "doubt.png").write_bytes(drawn(5, scribbled_codes=frozenset({1}))[0])
    (folders.inbox / "letter.doc").write_bytes(b"no image at all")
    run(ingest_sheets)
    told = {body["news"]: body for body in heard.webhook.bodies}
    assert told["review"]["sheets"] == ["doubt.png"]
    assert "no readable code" in told["review"]["body"]
    assert told["trouble"]["sheets"] == ["letter.doc"]
    assert sorted(heard.subjects()) == [
        "sheetflow: doubt.png needs a review",
        "sheetflow: letter.doc rejected",
    ]


def test_what_ends_a_run_before_its_sheets_is_told_and_so_is_its_end(
    run, environment, folders, heard
) -> None:
    environment(min_free_bytes=1 << 60)
    for _ in range(2):
        assert run(ingest_sheets).state.is_failed()
    [subject] = heard.subjects()
    assert "a run could not do its work: the disk of" in subject
    environment(min_free_bytes="as much as you like")
    assert run(ingest_sheets).state.is_failed()
    assert "a setting is wrong: SHEETFLOW_MIN_FREE_BYTES" in heard.webhook.bodies[0]["cause"]
    assert len(heard.subjects()) == 1
    environment()
    assert run(ingest_sheets).state.is_completed()
    assert heard.subjects() == ["sheetflow: all is well again"]


def test_a_message_that_no_channel_took_is_told_by_the_next_run(
    run, folders, tmp_path, heard
) -> None:
    (folders.inbox / "link.png").symlink_to(tmp_path)
    heard.webhook.status = heard.chat.status = 500
    with heard.mailbox.refusing():
        run(ingest_sheets)
    heard.webhook.status = heard.chat.status = 200
    heard.forget()
    run(ingest_sheets)
    assert heard.subjects() == [
        "sheetflow: link.png could not be taken: it is a link, and links are not followed"
    ]


def test_crashed_runs_are_one_message_an_hour_and_the_next_good_run_ends_them(
    run, folders, heard
) -> None:
    with remembering(folders) as memory:
        memory.at = datetime.now(UTC)
    with get_client(sync_client=True) as client:
        for _ in range(3):
            crashed = client.create_flow_run(ingest_sheets, state=None)
            client.set_flow_run_state(crashed.id, Crashed(message="it was killed"), force=True)
    until(lambda: heard.mailbox.mails and heard.webhook.bodies and heard.chat.bodies)
    body = heard.webhook.bodies[0]
    assert body["cause"] == "it was killed"
    assert "/runs/flow-run/" in body["url"]
    run(ingest_sheets)
    assert heard.subjects() == [
        "sheetflow: ingest-sheets crashed",
        "sheetflow: all is well again",
    ]


def test_a_trial_tells_which_channel_works_and_no_secret(channels, tmp_path, capfd) -> None:
    channels.webhook.status = 503
    tried = {one.channel: one.problem for one in try_channels(channels.settings(tmp_path))}
    channels.webhook.status = 200
    assert tried["Slack"] is None
    assert tried["e-mail"] is None
    assert "503" in tried["webhook"]
    with get_client(sync_client=True) as client:
        stored = [item.model_dump_json() for item in client.read_automations()]
        stored += [
            item.model_dump_json() for item in client.read_block_documents(include_secrets=False)
        ]
        stored += [event.model_dump_json() for event in client.read_events(limit=50).events]
    assert "s3cret" not in "".join([*stored, *capfd.readouterr(), *map(str, tried.values())])


def test_set_up_again_changes_nothing_and_leaves_what_is_not_ours(channels, tmp_path) -> None:
    settings = channels.settings(tmp_path)
    with get_client(sync_client=True) as client:
        theirs = client.create_automation(
            AutomationCore(name="theirs", trigger=EventTrigger(expect={"x"}), actions=[DoNothing()])
        )
        before = client.read_automations()
        assert {change.done for change in set_up_notifications(settings)} == {"unchanged"}
        assert client.read_automations() == before
        fewer = settings.model_copy(update={"notify_slack": None})
        done = {change.name: change.done for change in set_up_notifications(fewer)}
        assert done == {
            "webhook": "unchanged",
            "e-mail": "unchanged",
            "sheetflow: tell people": "updated",
            "sheetflow: tell of crashed runs": "updated",
            "sheetflow: tell of late runs": "updated",
            "sheetflow: end dead runs": "unchanged",
            "sheetflow-slack": "removed",
        }
        assert set_up_notifications(fewer)[2].done == "unchanged"
        set_up_notifications(Settings(root=tmp_path))
        left = {automation.name for automation in client.read_automations()}
        assert left == {"theirs", "sheetflow: end dead runs"}
        client.delete_automation(theirs)
