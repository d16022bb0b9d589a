"""A small network on this machine: a storage host and others, each in a network namespace.

Every host has an address, a name, a boot id, processes and mounts of its own, and sees the storage
host over a wire (a veth pair); the harness has a wire to it as well. Made with ip and unshare, by
root; nothing of it can be reached from another machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from benchmarks.torturing.disks import Refused

STORAGE = "198.18.0.1"
"""The storage host's address, in a range that is kept for such experiments (RFC 2544)."""

HARNESS = "198.18.1.2"
"""Where the hosts see the harness."""

_HOST_SCRIPT = """
set -e
hostname "$1"
mount --bind "$2" /proc/sys/kernel/random/boot_id
eval "$3"
shift 3
exec "$@"
"""


@dataclass(frozen=True)
class Network:
    """The wires and hosts, by the names of their namespaces."""

    folder: Path
    mark: str

    @property
    def storage(self) -> tuple[str, ...]:
        """The start of a command line that runs on the storage host."""
        return ("ip", "netns", "exec", f"{self.mark}-storage")

    def boot(self, host: str, mount: str) -> tuple[str, ...]:
        """Return the start of a command line that boots a host and runs on it.

        Whoever kills that process pulls the plug: everything on the host ends with it.

        Args:
            host: Its name.
            mount: A shell command by which it mounts the share.
        """
        boot_id = self.folder / f"boot-{host}"
        boot_id.write_text(f"{uuid4()}\n")
        own = ("--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
        enter = ("ip", "netns", "exec", f"{self.mark}-{host}", "unshare", *own)
        return (*enter, "sh", "-c", _HOST_SCRIPT, "sh", host, str(boot_id), mount)


@contextlib.contextmanager
def network(folder: Path, hosts: Sequence[str]) -> Iterator[Network]:
    """Lay the wires, yield, and take everything away again.

    Raises:
        Refused: This machine does not let us.
    """
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("unshare") is None:
        raise Refused("network namespaces take root, ip and unshare")
    mark = f"torture{os.getpid()}"
    spaces = [f"{mark}-{name}" for name in ("storage", *hosts)]
    try:
        for space in spaces:
            _ip("netns", "add", space)
            _ip("-n", space, "link", "set", "lo", "up")
        _ip("-n", spaces[0], "address", "add", f"{STORAGE}/32", "dev", "lo")
        _ip("netns", "exec", spaces[0], "sysctl", "-qw", "net.ipv4.ip_forward=1")
        _wire(spaces[0], 0, None, mark)
        for number, space in enumerate(spaces[1:], 1):
            _wire(spaces[0], number, space, mark)
            _ip("route", "add", f"198.18.{number + 1}.0/24", "via", "198.18.1.1")
            _ip("-n", space, "route", "add", "default", "via", f"198.18.{number + 1}.1")
        yield Network(folder, mark)
    finally:
        # The kernel takes a namespace down when it likes, and the next network has this wire too.
        with contextlib.suppress(Refused):
            _ip("link", "delete", _wire_name(mark, 0))
        for space in spaces:
            with contextlib.suppress(Refused):
                _ip("netns", "delete", space)


def _wire(storage: str, number: int, space: str | None, mark: str) -> None:
    """Lay a wire from the storage host to another, or to the harness."""
    here, there = _wire_name(mark, number), f"to{number}"
    at = ("-n", space) if space else ()
    own = ("netns", space) if space else ()
    _ip("link", "add", here, *own, "type", "veth", "peer", "name", there, "netns", storage)
    _ip("-n", storage, "address", "add", f"198.18.{number + 1}.1/24", "dev", there)
    _ip("-n", storage, "link", "set", there, "up")
    _ip(*at, "address", "add", f"198.18.{number + 1}.2/24", "dev", here)
    _ip(*at, "link", "set", here, "up")
    if space is None:
        _ip("route", "add", f"{STORAGE}/32", "via", f"198.18.{number + 1}.1")


def _wire_name(mark: str, number: int) -> str:
    return f"w{mark.removeprefix('torture')}-{number}"


def _ip(*words: str) -> None:
    command = [shutil.which("ip") or "ip", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"ip {' '.join(words)}: {done.stderr.strip()}")
