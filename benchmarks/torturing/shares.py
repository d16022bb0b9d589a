"""Ways in which hosts share a folder: over the network by sshfs, or the same local folder."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.torturing.disks import Refused
from benchmarks.torturing.network import STORAGE, Network

_SSHD = """
ListenAddress {storage}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/key.pub
StrictModes no
PermitRootLogin prohibit-password
UsePAM no
PidFile none
Subsystem sftp internal-sftp
"""


@contextlib.contextmanager
def by_sshfs(network: Network, shared: Path, mount: Path) -> Iterator[str]:
    """Serve a folder of the storage host by ssh; yield the command by which a host mounts it.

    A mount over the network which passes no locks on: each host's kernel keeps its own.

    Raises:
        Refused: There is no sshd or no sshfs here.
    """
    sshd = shutil.which("sshd") or "/usr/sbin/sshd"
    if shutil.which("sshfs") is None or not Path(sshd).exists() or not Path("/dev/fuse").exists():
        raise Refused("a mount over the network takes sshd, sshfs and FUSE")
    folder = network.folder / "ssh"
    folder.mkdir()
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    for key in ("host_key", "key"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
        subprocess.run(command, check=True, capture_output=True)
    (folder / "config").write_text(_SSHD.format(storage=STORAGE, folder=folder))
    with (folder / "log").open("w") as log:
        command = [*network.storage, sshd, "-D", "-e", "-f", str(folder / "config")]
        server = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        _wait_for(STORAGE, 22)
        options = f"IdentityFile={folder / 'key'},StrictHostKeyChecking=no"
        quiet = "UserKnownHostsFile=/dev/null,LogLevel=ERROR"
        yield f"sshfs root@{STORAGE}:{shared} {mount} -o {options},{quiet}"
    finally:
        server.kill()
        server.wait()


@contextlib.contextmanager
def by_the_same_folder(_network: Network, shared: Path, mount: Path) -> Iterator[str]:
    """Share a local folder, with locks that all hosts see; yield the command that mounts it."""
    yield f"mount --bind {shared} {mount}"


def _wait_for(address: str, port: int, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
            return
        time.sleep(0.1)
    raise Refused(f"nothing answers at {address}:{port}")
