"""The wire between a host and its hub: it may be cut, or go dead so that neither side hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.standin.hubs import free_address

PORT = 8883
PIECE = 16_384


class Wire:
    """Carries bytes both ways between those who connect to ``address`` and the hub, in a thread of its own."""

    def __init__(self) -> None:
        self.address = free_address()
        self.to = ""
        """The address of the hub."""
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._dead: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._left = -1
        """Bytes until it is cut by itself; less than 0 for never."""

    def cut(self) -> None:
        """Ends all connections."""
        self._call(self._cut)

    def cut_after(self, count: int) -> None:
        """Ends all connections when so many more bytes have passed, wherever in a packet that is."""

        def note() -> None:
            self._left = count

        self._call(note)

    def go_dead(self) -> None:
        """What comes on the connections of now is swallowed from now on; new ones are not concerned."""
        self._call(lambda: self._dead.update(self._writers))

    # --- in its thread -------------------------------------------------------------------------------------------

    def _call(self, step: Callable[[], None]) -> None:
        done = threading.Event()
        self._loop.call_soon_threadsafe(lambda: (step(), done.set()))
        assert done.wait(10)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def serve(self, ended: asyncio.Event, ready: threading.Event) -> None:
        async with await asyncio.start_server(self._came, self.address, PORT):
            ready.set()
            await ended.wait()
            self._cut()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(self.to, PORT)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))
        self._writers -= both
        self._dead -= both
        for each in both:
            each.close()
            with contextlib.suppress(OSError):
                await each.wait_closed()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                if writer in self._dead:
                    continue
                if 0 <= self._left < len(data):
                    writer.write(data[: self._left])
                    self._left = -1
                    self._cut()
                    return
                self._left -= len(data) if self._left >= 0 else 0
                writer.write(data)
                await writer.drain()
        if writer not in self._dead:
            writer.close()


@contextmanager
def wire() -> Iterator[Wire]:
    """One that is there for a while. Start the hub with its address as ``--gateway``, and tell it the hub's."""
    found = Wire()
    loop, ended, ready = found._loop, asyncio.Event(), threading.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(found.serve(ended, ready)), name="wire")
    thread.start()
    assert ready.wait(10)
    try:
        yield found
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
