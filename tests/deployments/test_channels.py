"""The channels' blocks by themselves, mail above all: against a real mail server on loopback."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
from aiosmtpd.smtp import AuthResult
from prefect.blocks.abstract import NotificationError

from deployments.automations import FLOWS
from deployments.channels import Channel, channels
from deployments.definitions import deployments
from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings
from tests.receivers import Mailbox
from tests.sheetflow.store.test_own_mongod import write_certificate

PASSWORD = "p@ss/w:rd%+ &?#"
USER = "sheet@flow.example"
MAIL = {
    "notify_email_to": "shop@example.org, Ölaf <o@example.org>",
    "smtp_host": "127.0.0.1",
    "smtp_user": USER,
}


def only_with_the_password(_server, _session, _envelope, _mechanism, given) -> AuthResult:
    right = given.login.decode() == USER and given.password.decode() == PASSWORD
    return AuthResult(success=right)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A certificate that this process trusts, because `SSL_CERT_FILE` names it."""
    path = write_certificate(tmp_path / "server.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


def channel(**settings: object) -> Channel:
    [found] = channels(Settings(**settings))
    return found


def send(channel: Channel) -> None:
    with channel.block.raise_on_failure():
        channel.block.notify(body="Cause: ünknown.\nCure: Wait.", subject="sheetflow: mügs.png")


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_travels_encrypted_with_a_password(security: str, certificate) -> None:
    encrypted = {"tls_context" if security == "starttls" else "ssl_context": certificate}
    options = {"authenticator": only_with_the_password, "auth_required": True, **encrypted}
    if security == "starttls":
        options["require_starttls"] = True
    else:
        options["auth_require_tls"] = False  # aiosmtpd does not count TLS from the first byte
    with Mailbox(**options) as mailbox:
        at = {**MAIL, "smtp_port": mailbox.port, "smtp_security": security}
        send(channel(**at, smtp_password=PASSWORD))
        first, second = mailbox.mails
        assert first["subject"] == "sheetflow: mügs.png"
        assert first.get_content().splitlines()[:2] == ["Cause: ünknown.", "Cure: Wait."]
        assert [first["to"], second["to"]] == ["shop@example.org", "Ölaf <o@example.org>"]
        with pytest.raises(NotificationError) as failed:
            send(channel(**at, smtp_password="wrong/one"))
        assert "wrong" not in failed.value.log
        assert len(mailbox.mails) == 2


def test_a_mail_server_that_nobody_vouches_for_gets_no_password(certificate, monkeypatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with Mailbox(tls_context=certificate) as mailbox:
        with pytest.raises(NotificationError):
            send(channel(**MAIL, smtp_port=mailbox.port, smtp_password=PASSWORD))
        assert mailbox.mails == []


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"notify_slack": "https://example.org/s3cret"}, "SHEETFLOW_NOTIFY_SLACK"),
        ({"notify_webhook": "example.org/s3cret"}, "SHEETFLOW_NOTIFY_WEBHOOK"),
        ({"notify_email_to": "a@example.org"}, "SHEETFLOW_SMTP_HOST"),
        ({**MAIL, "notify_email_to": "nobody", "smtp_password": "s3cret"}, "EMAIL"),
        ({**MAIL, "smtp_security": "none", "smtp_password": "s3cret"}, "SHEETFLOW_SMTP_SECURITY"),
        ({**MAIL, "smtp_password": "s3cret-ö"}, "ASCII"),
    ],
)
def test_a_channel_that_cannot_work_is_told_without_its_secret(
    settings: dict[str, str], variable: str, caplog, capfd
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(ConfigurationError, match=variable) as refused:
        channel(**settings)
    assert "s3cret" not in f"{refused.value}{caplog.text}{''.join(capfd.readouterr())}"


def test_slacks_own_address_is_known() -> None:
    address = "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    found = channel(notify_slack=address)
    assert found.name == "sheetflow-slack"
    [way] = found.block._apprise_client
    assert way.service_name == "Slack"


def test_the_automations_know_every_flow(settings) -> None:
    assert {deployment.flow_name for deployment in deployments(settings)} <= set(FLOWS)
