"""A socket that keeps one deadline over all of an exchange."""

from __future__ import annotations

import io
import socket
import time
from typing import Any


class Timely:
    """A socket whose operations all end at one time: http.client alone would wait anew for each piece."""

    def __init__(self, inner: socket.socket, until: float = 0.0) -> None:
        self._inner = inner
        self.until = until
        """Of the monotonic clock."""

    def sendall(self, data: Any) -> None:
        self.hurry()
        self._inner.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimelyReader(self, self._inner.makefile(mode, buffering=0)))  # type: ignore[call-overload]

    def hurry(self) -> None:
        """Gives the next operation the time that is left."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._inner.settimeout(left)

    def close(self) -> None:
        self._inner.close()


class _TimelyReader(io.RawIOBase):
    def __init__(self, timely: Timely, raw: io.RawIOBase) -> None:
        self._timely = timely
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._timely.hurry()
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()
