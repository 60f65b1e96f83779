"""Rows that are handed out in their order, whatever happens to the file while a page of it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from edgefn.spool.tail import PAGE, Tail


class Numbered(NamedTuple):
    id: int
    size: int = 1


class Pages:
    """A file of rows, whose pages come when the test lets them."""

    def __init__(self, *ids: int) -> None:
        self.ids = list(ids)
        self.read_once = asyncio.Event()
        self.go = asyncio.Event()

    async def read(self, after: int, count: int) -> Sequence[Numbered]:
        found = [Numbered(number) for number in self.ids if number > after][:count]
        self.read_once.set()
        await self.go.wait()
        return found


async def test_a_row_that_is_given_back_while_the_file_changes_and_a_page_is_read_comes_in_its_turn() -> None:
    """One function has several workers; somebody replays a dead letter meanwhile."""
    pages = Pages(*range(1, PAGE + 2))
    pages.go.set()
    tail: Tail[Numbered] = Tail(pages.read)
    first, *others = [await tail.next() for _ in range(PAGE)]
    assert first is not None
    tail.done(row for row in others if row is not None)
    pages.ids = [1, PAGE + 1]
    pages.go.clear()
    pages.read_once.clear()
    reading = asyncio.create_task(tail.next())
    await pages.read_once.wait()
    tail.back([first])
    tail.read_again()
    pages.go.set()
    assert [await reading, await tail.next(), await tail.next()] == [Numbered(1), Numbered(PAGE + 1), None]


async def test_a_row_that_is_given_back_while_it_is_read_again_comes_once() -> None:
    pages = Pages(1, 2)
    pages.go.set()
    tail: Tail[Numbered] = Tail(pages.read)
    first, second = await tail.next(), await tail.next()
    assert (first, second) == (Numbered(1), Numbered(2))
    tail.read_again()
    pages.go.clear()
    pages.read_once.clear()
    reading = asyncio.create_task(tail.next())
    await pages.read_once.wait()
    tail.back([Numbered(1)])
    pages.go.set()
    assert [await reading, await tail.next()] == [Numbered(1), None]


async def test_a_row_that_had_to_go_while_its_page_is_read_is_not_handed_out() -> None:
    pages = Pages(1, 2, 3)
    tail: Tail[Numbered] = Tail(pages.read)
    reading = asyncio.create_task(tail.next())
    await pages.read_once.wait()
    tail.gone([1, 3, 4])
    pages.go.set()
    assert [await reading, await tail.next()] == [Numbered(2), None]
    assert tail.near == 0


async def test_a_row_that_had_to_go_while_it_was_handed_out_does_not_come_back() -> None:
    pages = Pages(1, 2)
    pages.go.set()
    tail: Tail[Numbered] = Tail(pages.read)
    first, second = await tail.next(), await tail.next()
    assert first is not None
    assert second is not None
    tail.gone([1])
    tail.back([first, second])
    assert [await tail.next(), await tail.next()] == [second, None]
