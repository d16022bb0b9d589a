"""A mongod of one's own: standalone, with TLS and credentials, and a user who may do little."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote_plus

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr
from pymongo import MongoClient

from sheetflow.errors import StoreRefused, StoreUnavailable
from sheetflow.records import drafts_of
from sheetflow.servers.mongod_binary import find_mongod
from sheetflow.settings import Settings
from sheetflow.store.catalogue import confirm_upload, upload_sheet
from sheetflow.store.connection import open_store
from sheetflow.store.examination import examine_store

PASSWORD = "p@ss/wörd:%"


@dataclass(frozen=True)
class Own:
    """Where it listens, and the certificate authority to check it against."""

    port: int
    authority: Path

    def uri(self, user: str, password: str = PASSWORD, *, tls: bool = True) -> str:
        security = f"&tls=true&tlsCAFile={self.authority}" if tls else ""
        return (
            f"mongodb://{user}:{quote_plus(password)}@127.0.0.1:{self.port}/"
            f"?authSource=admin{security}"
        )


def write_certificate(path: Path) -> Path:
    """Write a self-signed certificate for 127.0.0.1, with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "db").mkdir()
    pem = write_certificate(folder / "server.pem")
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    command = [find_mongod().path, "--dbpath", folder / "db", "--port", port, "--auth"]
    command += ["--bind_ip", "127.0.0.1", "--tlsMode", "requireTLS"]
    command += ["--tlsCertificateKeyFile", pem, "--tlsAllowConnectionsWithoutCertificates"]
    command += ["--tlsCAFile", pem, "--logpath", folder / "log", "--wiredTigerCacheSizeGB", "0.25"]
    mongod = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL)
    try:
        # The first user may be made from the same machine without a password.
        options = {"tls": True, "tlsCAFile": str(pem), "serverSelectionTimeoutMS": 60_000}
        with MongoClient("127.0.0.1", port, **options) as first:
            first.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient("127.0.0.1", port, username="root", password=PASSWORD, **options) as admin:
            for user, role in (("shop", "readWrite"), ("looker", "read")):
                roles = [{"role": role, "db": "images_db"}]
                admin.admin.command("createUser", user, pwd=PASSWORD, roles=roles)
        yield Own(port, pem)
    finally:
        mongod.terminate()
        mongod.wait()


def settings_for(uri: str) -> Settings:
    return Settings(mongodb_uri=SecretStr(uri), mongodb_connect_timeout_s=3)


def test_a_user_with_readwrite_alone_can_store_and_confirm(own: Own, processed) -> None:
    sheet = processed("a.png", {"X": b"mug"})
    for _ in range(2):  # the second start finds the validators as it wants them
        with open_store(settings_for(own.uri("shop"))) as store:
            drafts = drafts_of(sheet, sheet.reading.pairs)
            upload_sheet(store, sheet, drafts)
            assert confirm_upload(store, sheet, drafts).complete
    assert examine_store(settings_for(own.uri("shop")))["kind"] == "standalone"


def test_a_wrong_password_is_refused_without_repeating_it(own: Own) -> None:
    with (
        pytest.raises(StoreRefused, match="user name or the password") as caught,
        open_store(settings_for(own.uri("shop", "wr0ng-secret"))),
    ):
        pass
    assert "wr0ng-secret" not in str(caught.value)


def test_a_user_who_may_only_read_is_told_what_to_grant(own: Own) -> None:
    with pytest.raises(StoreRefused, match="Grant readWrite"):
        examine_store(settings_for(own.uri("looker")))


def test_plain_text_to_a_server_that_wants_tls_does_not_get_through(own: Own) -> None:
    with (
        pytest.raises(StoreUnavailable),
        open_store(settings_for(own.uri("shop", tls=False))),
    ):
        pass


def test_a_certificate_of_an_unknown_authority_is_not_trusted(own: Own, tmp_path: Path) -> None:
    stranger = Own(own.port, write_certificate(tmp_path / "other.pem"))
    with (
        pytest.raises(StoreUnavailable, match=r"(?i)certificate|ssl"),
        open_store(settings_for(stranger.uri("shop"))),
    ):
        pass
