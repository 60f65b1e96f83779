"""The one file of the spool: what happens to it, and to what was in it."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import EdgefnError, SpoolError
from edgefn.spool import FILE, connect, schema
from edgefn.spool.schema import MIGRATIONS, VERSION, open_file
from edgefn.spool.store import Store
from tests.faults.disks import small_disk
from tests.spool.ports import ScriptedHub, came, out, spool_in, until


async def test_pieces_that_come_together_share_a_transaction(tmp_path: Path) -> None:
    store = Store(tmp_path, power=False)
    await store.open()
    before = store.commits
    results = await asyncio.gather(*(store.run(lambda connection, n=n: n) for n in range(200)))  # type: ignore[misc]
    assert results == list(range(200))
    assert store.commits - before == 1
    await store.close()


async def test_a_piece_that_may_wait_goes_along_with_the_next_one_and_before_it(tmp_path: Path) -> None:
    store = Store(tmp_path, power=False)
    await store.open()
    order: list[str] = []
    patient = store.run(lambda connection: order.append("patient"), may_wait=True)
    before = store.commits
    await store.run(lambda connection: order.append("next"))
    assert (order, store.commits - before, patient.done()) == (["patient", "next"], 1, True)
    await store.close()


async def test_a_piece_that_may_wait_is_done_also_where_no_other_comes_and_at_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path, power=False)
    await store.open()
    assert await store.run(lambda connection: "alone", may_wait=True) == "alone"
    assert await store.run(lambda connection: "again", may_wait=True) == "again"
    last = store.run(lambda connection: "last", may_wait=True)
    await store.close()
    assert await last == "last"


async def test_a_piece_that_fails_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path, power=False)
    await store.open()

    def insert(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO meta VALUES ('kept', 1)")

    good, bad = store.run(insert), store.run(lambda connection: connection.execute("SELECT * FROM nowhere"))
    await good
    with pytest.raises(SpoolError, match="nowhere"):
        await bad
    assert await store.run(lambda c: c.execute("SELECT value FROM meta WHERE name = 'kept'").fetchone()) == (1,)
    await store.close()


async def test_a_mistake_of_ours_in_one_piece_is_raised_where_it_belongs(tmp_path: Path) -> None:
    store = Store(tmp_path, power=False)
    await store.open()
    wrong, good = store.run(lambda connection: {}["x"]), store.run(lambda connection: 1)
    with pytest.raises(KeyError):
        await wrong
    assert await good == 1
    await store.close()


async def test_a_file_of_a_later_version_is_left_alone_and_named(tmp_path: Path) -> None:
    open_file(tmp_path, power=False)[0].close()
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"PRAGMA user_version={VERSION + 1}")
    connection.close()
    with pytest.raises(SpoolError, match=f"version {VERSION + 1} of the file, this one knows {VERSION}"):
        open_file(tmp_path, power=False)


@pytest.mark.parametrize("version", range(VERSION))
def test_a_file_of_each_earlier_version_is_brought_to_this_one(tmp_path: Path, version: int) -> None:
    with sqlite3.connect(tmp_path / FILE) as old:
        for step in MIGRATIONS[:version]:
            old.executescript(step)
        old.execute(f"PRAGMA user_version={version}")
    old.close()
    connection, note = open_file(tmp_path, power=False)
    assert note == ""
    assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("power", [False, True])
def test_durability_decides_when_the_disk_is_waited_for(tmp_path: Path, *, power: bool) -> None:
    connection, _ = open_file(tmp_path, power=power)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2 if power else 1,)
    connection.close()


@pytest.mark.parametrize(("declared", "synchronous"), [({}, 1), ({"durability": "power"}, 2)])
async def test_durability_is_that_of_host_json(tmp_path: Path, declared: dict[str, str], synchronous: int) -> None:
    async with spool_in(tmp_path, **declared) as spool:
        asked = await spool.inbox.store.run(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
        assert asked == (synchronous,)


async def test_a_file_that_is_no_database_is_kept_aside_and_the_host_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("a")])
        await spool.idle()
        assert spool.status()["damaged_files"] == 1
    aside = [path for path in tmp_path.iterdir() if path.name.startswith("spool.damaged-")]
    assert aside[0].read_bytes().startswith(b"not a database")
    assert hub.bodies == [b"a"]
    assert "was damaged: it is kept as spool.damaged-" in caplog.text


async def test_what_can_be_read_of_a_damaged_file_is_saved(tmp_path: Path) -> None:
    away = ScriptedHub()
    away.open.clear()
    async with spool_in(tmp_path, away) as spool:
        await spool.outbox.put([out(f"{number:04}" * 500) for number in range(200)])
    path = tmp_path / FILE
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2 // 4096 * 4096
    raw[middle : middle + 8192] = os.urandom(8192)
    path.write_bytes(raw)
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.idle()
    assert len(hub.arrived) > 20
    assert hub.bodies == sorted(hub.bodies)


@pytest.mark.parametrize("step", ["salvage", "set_aside", "_take_rescued"])
async def test_a_kill_while_a_damaged_file_is_replaced_costs_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async with spool_in(tmp_path) as spool:
        await spool.sender.stop()
        await spool.outbox.put([out(f"{number:04}" * 500) for number in range(50)])
    with (tmp_path / FILE).open("r+b") as file:
        file.seek(36)  # how many pages are free: all rows can be read
        file.write(b"\0\0\0\7")

    class Killed(BaseException): ...

    done = getattr(schema, step)

    def kill(*arguments: Any, **named: Any) -> None:
        done(*arguments, **named)
        if step == "salvage" or list(tmp_path.glob("spool.damaged-*")):
            raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(schema, step, kill)
        with pytest.raises(Killed):
            open_file(tmp_path, power=False)
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.sent()
    assert hub.bodies == [f"{number:04}".encode() * 500 for number in range(50)]


async def test_a_file_that_is_damaged_while_it_is_used_is_replaced(tmp_path: Path) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("before" * 1000)])
        await spool.idle()
        with connect(tmp_path / FILE) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        with (tmp_path / FILE).open("r+b") as file:
            file.seek(0)
            file.write(os.urandom(16384))
        with connect(tmp_path / FILE) as other:
            pass
        other.close()
        for number in range(50):
            await spool.outbox.put([out(f"after {number}" * 1000)])
        await spool.idle()
    assert [body[:8].rstrip(b"a") for body in hub.bodies][-1].startswith(b"after 49"[:8])
    assert len(hub.bodies) == 51


async def test_a_full_disk_fails_what_needs_it_and_heals(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool._store.run(lambda connection: connection.execute("PRAGMA max_page_count=40").fetchone())
        with pytest.raises(SpoolError, match=r"spool.db: database or disk is full; make room on that disk"):
            await spool.outbox.put([out(b"x" * 400_000)])
        assert spool.status()["state"] == "unusable"
        assert caplog.text.count("Nothing can be stored") == 1
        await spool._store.run(lambda connection: connection.execute("PRAGMA max_page_count=100000").fetchone())
        await spool.outbox.put([out(b"y")])
        await spool.idle()
        assert spool.status()["state"] == "open"
    assert hub.bodies == [b"y"]


async def test_a_start_on_a_full_disk_says_so_and_heals(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        async with spool_in(disk.folder) as spool:
            await spool.outbox.put([out("a")])
        with disk.full():
            await (store := Store(disk.folder, power=False)).open()
            assert "full" in store.fault
        await until(lambda: store.fault == "")
        await store.close()


async def test_a_folder_that_can_not_be_made_stops_nothing_and_is_tried_again(tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where the folder should be")
    async with spool_in(blocked) as spool:
        with pytest.raises(SpoolError, match="can not be opened"):
            await spool.outbox.put([out("a")])
        blocked.unlink()
        await until(lambda: spool.fault == "")
        await spool.outbox.put([out("b")])
        await until(lambda: spool.inbox._epoch == "1")


async def test_a_file_that_fails_while_it_is_taken_into_use_is_tried_again(tmp_path: Path) -> None:
    store, faults = Store(tmp_path, power=False), [sqlite3.OperationalError("disk I/O error")]

    def count(_: sqlite3.Connection) -> None:
        if faults:
            raise faults.pop()

    store.opened.append(count)
    await store.open()
    assert "disk I/O error" in store.fault
    await until(lambda: store.fault == "")
    assert await store.run(lambda connection: 7) == 7
    await store.close()


async def test_a_file_that_another_process_holds_fails_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.spool.schema.BUSY", 0.1)
    async with spool_in(tmp_path) as spool:
        other = connect(tmp_path / FILE)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SpoolError, match="another process holds the file; end it"):
            await spool.outbox.put([out("a")])
        other.execute("ROLLBACK")
        other.close()
        await spool.outbox.put([out("b")])


async def test_two_hosts_can_not_have_one_state_folder(tmp_path: Path) -> None:
    async with spool_in(tmp_path):
        with pytest.raises(EdgefnError, match=rf"another host uses this state folder .process {os.getpid()}.; stop it"):
            async with spool_in(tmp_path):
                pass
    async with spool_in(tmp_path):
        pass  # the lock ends with its holder


async def test_what_another_process_writes_is_noticed(tmp_path: Path) -> None:
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out("a")])
        await spool.idle()
        with connect(tmp_path / FILE) as other:
            head = b'{"output_name":"out","message_id":"other"}'
            other.execute(
                "INSERT INTO outbox (output, head, body, size, stored, expires) VALUES ('out', ?, ?, 300, ?, 1e12)",
                (head, b"b", spool._store.clock.now()),
            )
        other.close()
        await until(lambda: len(hub.arrived) == 2)
    assert hub.bodies == [b"a", b"b"]


async def test_space_that_is_free_again_is_given_back_to_the_disk(tmp_path: Path) -> None:
    hub = ScriptedHub()
    hub.open.clear()
    async with spool_in(tmp_path, hub) as spool:
        await spool.outbox.put([out(bytes([n]) * 100_000) for n in range(100)])
        await spool._store.run(lambda c: None)
        await asyncio.to_thread(_checkpoint, tmp_path)
        large = (tmp_path / FILE).stat().st_size
        hub.open.set()
        await spool.idle()

        def small() -> bool:
            _checkpoint(tmp_path)
            return (tmp_path / FILE).stat().st_size < large / 4

        await until(small)


def _checkpoint(folder: Path) -> None:
    with connect(folder / FILE) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()


async def test_an_input_that_can_not_be_stored_is_not_accepted(tmp_path: Path) -> None:
    async with spool_in(tmp_path) as spool:
        subscription = spool.inbox.subscribe("f", "in")
        await spool._store.run(lambda connection: connection.execute("PRAGMA max_page_count=40").fetchone())
        with pytest.raises(SpoolError):
            await spool.inbox.on_input(came(b"x" * 400_000))
        assert subscription.depth == 0


async def test_the_file_tells_nothing_at_debug_level_of_what_messages_hold(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with spool_in(tmp_path) as spool:
        await spool.outbox.put([out("a secret body")])
        await spool.idle()
    assert "a secret body" not in caplog.text


async def test_a_row_that_can_not_be_read_is_a_dead_letter_and_holds_up_no_other(tmp_path: Path) -> None:
    async with spool_in(tmp_path, functions=["f"]) as spool:
        spool.inbox.subscribe("f", "in")
        await spool.sender.stop()
        for number in range(3):
            await spool.inbox.on_input(came(f"in {number}"))
            await spool.outbox.put([out(f"out {number}")])
    with closing(connect(tmp_path / FILE)) as file:
        for box in ("inbox", "outbox"):
            file.execute(f"UPDATE {box} SET head = ? WHERE id = 2", (b'{"message_id": "\xff',))
    hub = ScriptedHub()
    async with spool_in(tmp_path, hub, functions=["f"]) as spool:
        ours = spool.inbox.subscribe("f", "in")
        assert [row.message.text for row in await ours.take(3, 3)] == ["in 0", "in 2"]
        await until(lambda: hub.bodies == [b"out 0", b"out 2"])
        letters = await spool.dead_letters()
        assert sorted((each.box, each.message.body) for each in letters) == [("inbox", b"in 1"), ("outbox", b"out 1")]
        assert {each.reason for each in letters} == {"what is known of it can not be read: the file is damaged"}
        assert not await spool.replay(letters[0].id)
        await until(lambda: spool.outbox.totals.messages == 0)
        assert spool.inbox.totals()[0] == 2


async def test_a_fault_of_ours_in_the_writer_is_told_and_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path, power=False)
    await store.open()
    store.measure = lambda connection: 1 / 0  # type: ignore[assignment,return-value]
    await until(lambda: "ZeroDivisionError" in caplog.text)
    with monkeypatch.context() as breaking:
        breaking.setattr(store, "_transaction", lambda connection, pieces: 1 / 0)
        with pytest.raises(SpoolError, match="the writer of the spool broke: ZeroDivisionError"):
            await store.run(lambda connection: 1)
    assert await store.run(lambda connection: 2) == 2
    assert "The writer of the spool broke in a way that was not foreseen, and goes on; please report it" in caplog.text
    await store.close()
