"""The files that functions have had: noted with their messages, kept over restarts and damage, forgotten in time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import SpoolError
from edgefn.spool.arrivals import FORGOTTEN, Arrival
from edgefn.spool.schema import FILE, open_file, salvage
from tests.spool.ports import came, out, spool_in

A, B = Arrival("/in/a.jpg", 10, 1), Arrival("/in/b.jpg", 20, 2)


async def test_a_file_is_noted_in_the_transaction_of_its_message(tmp_path: Path) -> None:
    async with spool_in(tmp_path, functions=["f"]) as spool:
        ours = spool.inbox.subscribe("f", "")
        await ours.store(came("a"), spool.arrivals.noted("f", A))

        def fails(connection: sqlite3.Connection) -> Any:
            spool.arrivals.noted("f", B)(connection)
            raise sqlite3.OperationalError("no")

        with pytest.raises(SpoolError):
            await ours.store(came("b"), fails)
        assert await spool.arrivals.known("f") == {A.path: A}
        assert await spool.arrivals.known("g") == {}
        assert spool.inbox.totals()[0] == 1


async def test_messages_of_the_hub_are_not_for_a_function_that_stores_its_own(tmp_path: Path) -> None:
    async with spool_in(tmp_path, functions=["f"]) as spool:
        spool.inbox.subscribe("f", "")
        await spool.inbox.on_input(came("x", input_name=""))
        assert spool.inbox.totals()[0] == 0


async def test_what_is_still_to_be_done_is_noted_with_the_end_and_the_outputs(tmp_path: Path) -> None:
    wished = Arrival(A.path, A.size, A.modified, "delete")
    async with spool_in(tmp_path, functions=["f"]) as spool:
        ours = spool.inbox.subscribe("f", "")
        await ours.store(came("a"), spool.arrivals.noted("f", A))
        row = await ours.next(1)
        assert row is not None
        await ours.done([row], [out("x")], spool.arrivals.noted("f", wished))
        assert await ours.next(1) is None
    async with spool_in(tmp_path, functions=["f"]) as spool:
        assert await spool.arrivals.known("f") == {A.path: wished}
        spool.arrivals.forget("f", [B, Arrival(A.path, A.size, 99)])
        assert await spool.arrivals.known("f") == {A.path: wished}, "another file of that name"
        spool.arrivals.forget("f", [wished])
        assert await spool.arrivals.known("f") == {}


async def test_files_of_functions_that_are_gone_are_forgotten_after_a_month(tmp_path: Path) -> None:
    async with spool_in(tmp_path, functions=["f", "g"]) as spool:
        for function in ("f", "g"):
            await spool.inbox.subscribe(function, "").store(came("a"), spool.arrivals.noted(function, A))
    async with spool_in(tmp_path, functions=["f"]) as spool:
        assert await spool.arrivals.known("g") != {}
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute("UPDATE arrivals SET seen = seen - ?", (FORGOTTEN + 1,))
    connection.close()
    async with spool_in(tmp_path, functions=["f"]) as spool:
        assert await spool.arrivals.known("g") == {}
        assert await spool.arrivals.known("f") != {}


async def test_files_are_saved_out_of_a_damaged_store(tmp_path: Path) -> None:
    async with spool_in(tmp_path / "old", functions=["f"]) as spool:
        await spool.inbox.subscribe("f", "").store(came("a"), spool.arrivals.noted("f", A))
    fresh, _ = open_file(tmp_path / "new", power=False)
    assert salvage(tmp_path / "old" / FILE, fresh) == 1, "messages"
    fresh.close()
    async with spool_in(tmp_path / "new", functions=["f"]) as spool:
        assert await spool.arrivals.known("f") == {A.path: A}
