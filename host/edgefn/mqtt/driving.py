"""Drives a client of paho from the event loop: there is no thread that could die unseen, wait for another, or be left
over, and nothing is told across threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from edgefn.errors import HubError

TICK = 0.5
"""Seconds between two looks at the keep-alive."""
READS = 16
"""Packets that one turn of the loop reads at most."""


def check_loop() -> None:
    """Raises HubError where the event loop watches no sockets, as Windows' own does not."""
    if type(asyncio.get_running_loop()).add_reader is asyncio.AbstractEventLoop.add_reader:
        raise HubError("MQTT can not run on this event loop; asyncio.SelectorEventLoop would be right")


class Drive:
    """Reads and writes for a client that has sent its CONNECT, from ``begin`` to ``end``."""

    def __init__(self, client: Any, came: Callable[[], None], broke: Callable[[str], None]) -> None:
        """``came`` is called after packets were read, ``broke`` with the words for an error of it, or of paho's own."""
        self._client = client
        self._came = came
        self._broke = broke
        self._loop = asyncio.get_running_loop()
        self._tick_timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._ended = False

    def begin(self) -> None:
        client = self._client
        client.on_socket_register_write = self._on_register_write
        client.on_socket_close = self._on_socket_close
        self._loop.add_reader(client.socket(), self.read)
        self._tick_timer = self._loop.call_later(TICK, self._tick)
        self._loop.call_soon(self._flush)
        self._loop.call_soon(self.read)  # what TLS has read along is not announced by the socket

    def end(self) -> None:
        """Nothing is read or written any more; the socket is closed a turn of the loop later.

        Later, since this may be called by a callback of paho's, which must not call it back.
        """
        if self._ended:
            return
        self._ended = True
        if self._tick_timer is not None:
            self._tick_timer.cancel()
        self._loop.call_soon(self._hang_up)

    def read(self) -> None:
        """Reads what is there."""
        if self._ended:
            return
        for _ in range(READS):
            self._step(self._client.loop_read)
            sock = self._client.socket()
            if sock is None or not (hasattr(sock, "pending") and sock.pending()):
                break
        else:
            self._loop.call_soon(self.read)
        self._step(self._came, "what came can not be handed over")

    def _flush(self) -> None:
        """Writes what waits; the rest when there is room."""
        self._flushing = False
        if self._ended:
            return
        self._step(self._client.loop_write)
        sock = self._client.socket()
        if sock is None:
            return
        if self._client.want_write():
            self._loop.add_writer(sock, self._flush)
        else:
            self._loop.remove_writer(sock)

    def _tick(self) -> None:
        self.read()
        if not self._ended:
            self._step(self._client.loop_misc)
            self._tick_timer = self._loop.call_later(TICK, self._tick)

    def _step(self, step: Callable[[], Any], what: str = "paho failed") -> None:
        """One step. An error of its own must not leave a connection that looks alive, and is not."""
        try:
            step()
        except Exception as error:
            self._broke(f"{what} ({type(error).__name__}: {error})")

    def _hang_up(self) -> None:
        """Says DISCONNECT where that can be written at once, and closes the socket."""
        if self._client.socket() is not None:
            self._step(self._client.disconnect)
            self._step(self._client.loop_write)
        sock = self._client.socket()
        if sock is not None:
            self._on_socket_close(self._client, None, sock)
            sock.close()

    def _on_register_write(self, client: Any, userdata: Any, sock: Any) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _on_socket_close(self, client: Any, userdata: Any, sock: Any) -> None:
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)
