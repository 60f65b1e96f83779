"""Writes of one turn of the loop leave together, in their order, and none is lost."""

from __future__ import annotations

import asyncio

from edgefn.web.corked import ENOUGH, Corked


class Written(asyncio.Transport):
    """A transport that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": "here"})
        self.parts: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview[int]) -> None:
        self.parts.append(bytes(data))

    def close(self) -> None:
        self.parts.append(b"closed")


async def test_head_and_body_leave_as_one() -> None:
    transport = Written()
    corked = Corked(transport)
    corked.write(b"head ")
    corked.write(b"body")
    assert transport.parts == []
    await asyncio.sleep(0)
    assert transport.parts == [b"head body"]
    assert corked.get_extra_info("peername") == "here"


async def test_what_is_large_does_not_wait() -> None:
    transport = Written()
    corked = Corked(transport)
    corked.write(b"x" * ENOUGH)
    assert transport.parts == [b"x" * ENOUGH]
    corked.write(b"rest")
    await asyncio.sleep(0)
    assert transport.parts[1:] == [b"rest"]


async def test_closing_writes_what_is_left_first() -> None:
    transport = Written()
    corked = Corked(transport)
    corked.write(b"last")
    corked.close()
    await asyncio.sleep(0)
    assert transport.parts == [b"last", b"closed"]
