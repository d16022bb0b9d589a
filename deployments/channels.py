"""The ways to people: Slack and its kin, a webhook, e-mail; each a block and an action of Prefect.

All three are blocks that Prefect brings along, so that a Prefect server of one's own, which has no
sheetflow installed, can send through them: docs/decisions/0013-notifications.md.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from apprise import Apprise
from prefect.blocks.core import Block
from prefect.blocks.notifications import SlackWebhook
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import SyncPrefectClient
from prefect.events.actions import ActionTypes, CallWebhook, SendNotification
from prefect.exceptions import ObjectNotFound
from prefect.types import SecretDict
from pydantic import SecretStr

from sheetflow.errors import ConfigurationError
from sheetflow.settings import Settings, SmtpSecurity

_BLOCKS = (
    ("slack-webhook", "sheetflow-slack"),
    ("webhook", "sheetflow-webhook"),
    ("slack-webhook", "sheetflow-email"),
)
_MODES = {
    SmtpSecurity.STARTTLS: "starttls",
    SmtpSecurity.TLS: "ssl",
    SmtpSecurity.NONE: "insecure",
}


@dataclass(frozen=True)
class Words:
    """What an automation's actions say: templates that Prefect fills in.

    Attributes:
        subject: The first line.
        body: The text.
        json: The same for machines, one JSON object.
    """

    subject: str
    body: str
    json: str


NOTICE = Words(
    subject="{{ event.payload.subject }}",
    body="{{ event.payload.body }}",
    json="{{ event.payload | tojson }}",
)
"""A notice of ours brings its words along."""


@dataclass(frozen=True)
class Channel:
    """A way to people.

    Attributes:
        name: The name of its block in Prefect.
        label: What people call it.
        block: The block, with its secrets.
    """

    name: str
    label: str
    block: Block

    def action(self, client: SyncPrefectClient, words: Words) -> ActionTypes:
        """Return the action that says `words` through the block, once that is stored."""
        slug = self.block.get_block_type_slug()
        block_id = client.read_block_document_by_name(self.name, slug).id
        if isinstance(self.block, Webhook):
            return CallWebhook(block_document_id=block_id, payload=words.json)
        return SendNotification(block_document_id=block_id, subject=words.subject, body=words.body)


def channels(settings: Settings) -> list[Channel]:
    """Return the channels that the settings name.

    Raises:
        ConfigurationError: One of them cannot work as it is set; no secret is in the message.
    """
    found = []
    if settings.notify_slack is not None:
        found.append(Channel("sheetflow-slack", "Slack", _slack(settings.notify_slack)))
    if settings.notify_webhook is not None:
        found.append(Channel("sheetflow-webhook", "webhook", _webhook(settings.notify_webhook)))
    if settings.notify_email_to:
        found.append(Channel("sheetflow-email", "e-mail", _mail(settings)))
    return found


def crashed_words(ui_url: str) -> Words:
    """Return what is said of a crashed run.

    Args:
        ui_url: Where the UI is.
    """
    return _of_run(
        "crashed",
        ui_url,
        what="crashed",
        cause="{{ flow_run.state.message }}",
        cure="Every sheet is safe where it is, and the next run goes on with it",
    )


def late_words(ui_url: str) -> Words:
    """Return what is said where runs are due and none begins; the argument is as above."""
    return _of_run(
        "late",
        ui_url,
        what="is late",
        cause="runs are due, and nothing has begun one for an hour",
        cure="Start `sheetflow serve` or the worker again; every sheet is safe where it is",
    )


def _of_run(news: str, ui_url: str, *, what: str, cause: str, cure: str) -> Words:
    subject = f"sheetflow: {{{{ flow.name }}}} {what}"
    url = f"{ui_url}/runs/flow-run/{{{{ flow_run.id }}}}"
    body = f"Cause: {cause}.\nCure: {cure}.\nRun: {url}"
    parts = {
        "news": news,
        "subject": subject,
        "body": body,
        "cause": cause,
        "cure": cure,
        "url": url,
    }
    fields = (
        f'"{name}": {{% set text %}}{text}{{% endset %}}{{{{ text | tojson }}}}'
        for name, text in parts.items()
    )
    return Words(subject, body, f"{{{', '.join(fields)}}}")


def keep_block(channel: Channel) -> str:
    """Store a channel's block in Prefect, if it is not there as it is; return what was done."""
    kind = type(channel.block)
    try:
        found = cast(Block, kind.load(channel.name))
    except ValueError:
        found = None
    if found is not None and _content(found) == _content(channel.block):
        return "unchanged"
    channel.block.save(channel.name, overwrite=True)
    return "made" if found is None else "updated"


def remove_blocks(client: SyncPrefectClient, keep: Collection[str]) -> list[str]:
    """Remove the blocks of channels that are no longer wanted; return their names."""
    removed = []
    for slug, name in _BLOCKS:
        if name not in keep:
            try:
                found = client.read_block_document_by_name(name, slug)
            except ObjectNotFound:
                continue
            client.delete_block_document(found.id)
            removed.append(name)
    return removed


def _slack(address: SecretStr) -> SlackWebhook:
    return _apprise(address, setting="SHEETFLOW_NOTIFY_SLACK", what="a Slack webhook or an Apprise")


def _webhook(address: SecretStr) -> Webhook:
    parts = urlsplit(address.get_secret_value())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(
            "SHEETFLOW_NOTIFY_WEBHOOK is not a web address",
            cure="Set it to a whole one, such as https://example.org/hooks/sheetflow",
        )
    return Webhook(url=address, headers=SecretDict({"content-type": "application/json"}))


def _mail(settings: Settings) -> SlackWebhook:
    # Prefect's one block for mail sends through a company's service. Its Slack block takes every
    # address that Apprise knows, and mailto: is one.
    host, security = settings.smtp_host, settings.smtp_security
    if not host:
        raise ConfigurationError(
            "mail is to be sent, and no mail server is set", cure="Set SHEETFLOW_SMTP_HOST"
        )
    if security is SmtpSecurity.NONE and settings.smtp_password is not None:
        raise ConfigurationError(
            "a password would travel to the mail server for everyone to read",
            cure="Set SHEETFLOW_SMTP_SECURITY to starttls or tls, or unset SHEETFLOW_SMTP_PASSWORD",
        )
    account = ""
    if settings.smtp_user and settings.smtp_password is not None:
        password = settings.smtp_password.get_secret_value()
        if not f"{settings.smtp_user}{password}".isascii():
            # Source: smtplib, as of Python 3.11, encodes both as ASCII before it sends them.
            raise ConfigurationError(
                "the mail account's name or password holds letters beyond ASCII",
                cure="Give that account another password; mail cannot be sent with this one",
            )
        account = f"{quote(settings.smtp_user, safe='')}:{quote(password, safe='')}@"
    to = [address.strip() for address in settings.notify_email_to.split(",") if address.strip()]
    options = {
        "smtp": host,  # said twice, so that Apprise does not go by what it knows of providers
        "mode": _MODES[security],
        "from": settings.notify_email_from or to[0],
        "to": ",".join(to),
        "format": "text",
    }
    scheme = "mailto" if security is SmtpSecurity.NONE else "mailtos"
    address = f"{scheme}://{account}{host}:{settings.smtp_port}/?{urlencode(options)}"
    return _apprise(SecretStr(address), setting="SHEETFLOW_NOTIFY_EMAIL_TO", what="a mail")


def _apprise(address: SecretStr, *, setting: str, what: str) -> SlackWebhook:
    with _silent_apprise():
        known = Apprise.instantiate(address.get_secret_value())
    if known is None:
        raise ConfigurationError(
            f"{setting} is not {what} address",
            cure="docs/notifications.md has examples; percent-encode what is special in a password",
        )
    return SlackWebhook(url=address)


@contextlib.contextmanager
def _silent_apprise() -> Iterator[None]:
    # It repeats the addresses that it does not understand, secrets included.
    logger = logging.getLogger("apprise")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _content(block: Block) -> dict[str, Any]:
    fields = block.model_dump(mode="json", context={"include_secrets": True})
    # What begins with an underscore tells where Prefect keeps it.
    return {name: value for name, value in fields.items() if not name.startswith("_")}
