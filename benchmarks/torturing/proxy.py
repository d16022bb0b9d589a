"""A bad line to MongoDB: a TCP proxy that cuts after so many bytes, or is slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field

_CHUNK_BYTES = 4096


@dataclass
class BadLine:
    """A proxy on 127.0.0.1, or on another address.

    Attributes:
        port: Of the server behind it.
        up_bytes: Cut each connection after so many bytes to the server; None for never.
        down_bytes: Likewise for bytes from the server.
        delay_s: How long each piece from the server is held up.
        address: Where it listens.
    """

    port: int
    up_bytes: int | None = None
    down_bytes: int | None = None
    delay_s: float = 0.0
    address: str = "127.0.0.1"
    _listener: socket.socket = field(init=False)

    def __enter__(self) -> BadLine:
        self._listener = socket.create_server((self.address, 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # To close it alone would leave the thread in accept with the port open.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def uri(self) -> str:
        """The address to give to the victim, where a MongoDB is behind it."""
        return f"mongodb://{self.host}/?directConnection=true"

    @property
    def host(self) -> str:
        """Its address and port."""
        return f"{self.address}:{self._listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.port))
            except OSError:
                return
            for source, target, limit, delay_s in (
                (client, server, self.up_bytes, 0.0),
                (server, client, self.down_bytes, self.delay_s),
            ):
                threading.Thread(
                    target=_pump, args=(source, target, limit, delay_s), daemon=True
                ).start()


def _pump(source: socket.socket, target: socket.socket, limit: int | None, delay_s: float) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK_BYTES):
            time.sleep(delay_s)
            if limit is not None and passed + len(data) > limit:
                target.sendall(data[: limit - passed])
                break
            target.sendall(data)
            passed += len(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
