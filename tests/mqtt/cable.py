"""A cable between a host and a broker, that can be pulled, and that can lose what the broker says."""

from __future__ import annotations

import asyncio
import contextlib


class Cable:
    """Listens on a port of its own, and carries what comes to another one."""

    def __init__(self, port: int) -> None:
        self._there = port
        self.port = 0
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    async def plug(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def pull(self) -> None:
        """Ends all connections, and takes no new one."""
        assert self._server is not None
        self._server.close()
        for writer in list(self._ends):
            writer.transport.abort()
        carrying = list(self._carrying)
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    def hush(self) -> None:
        """The host hears nothing more by the connections that there are."""
        self._silent |= self._ends

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there_reader, there = await asyncio.open_connection("127.0.0.1", self._there)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, there}
        for source, sink in ((reader, there), (there_reader, writer)):
            task = asyncio.create_task(self._carry(source, sink, is_back=sink is writer))
            self._carrying.add(task)
            task.add_done_callback(self._carrying.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                if not (is_back and sink in self._silent):
                    sink.write(data)
                    await sink.drain()
        self._ends.discard(sink)
        sink.close()
