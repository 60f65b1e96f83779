"""What the store promises: nothing that was acknowledged is lost, and nothing is forgotten without a word."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.standin.hubs import running_hub, wait_until
from tests.standin.mqtt import Module, module


def test_a_sigkill_under_load_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    with running_hub(tmp_path) as hub:
        for turn in range(4):
            client = Module(hub, "cam")
            client.connect()
            sent = {client.send("out", f"{turn}-{number}"): f"{turn}-{number}" for number in range(3000)}
            wait_until(lambda client=client: len(client.acks) > 400)
            hub.kill()
            client.wait_until_lost()
            client.leave()
            acknowledged |= {sent[number] for number in client.acks}
            hub.start()
        arrived = [body.decode() for (body,) in hub.sql("SELECT body FROM upstream ORDER BY number")]
    assert len(acknowledged) > 1600
    assert acknowledged - set(arrived) == set()
    assert len(arrived) == len(set(arrived))


def test_messages_to_inputs_survive_a_sigkill_and_come_once_each_acknowledged(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.control.send("log", "in", *map(str, range(300)))
        seen: list[str] = []
        for last in ("99", "199", "299"):
            client = Module(hub, "log")
            client.connect()
            client.subscribe()
            while last not in seen:
                seen.append(client.next().payload.decode())
            hub.restart()
            client.leave()
            seen += [came.payload.decode() for came in list(client.came.queue)]
        assert sorted(set(seen), key=int) == [str(number) for number in range(300)]
        assert len(seen) <= 306  # at each kill the last acknowledged and the one on the way may come again


def test_numbers_and_counters_go_on_after_a_restart(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        for number in (1, 2):
            with module(hub, "cam") as client:
                client.publish("out", "x")
            assert [found.number for found in hub.control.upstream()][-1] == number
            assert hub.counter("upstream") == hub.counter("received") == number
            hub.restart()


def test_the_oldest_messages_are_forgotten_beyond_the_limit_and_it_is_said_and_counted(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--max-upstream", "20000") as hub:
        with module(hub, "cam") as client:
            for number in range(40):
                client.publish("out", f"{number:04d}" + "x" * 996)
        kept = [int(found.text[:4]) for found in hub.control.upstream()]
        assert kept == list(range(kept[0], 40))
        [(size,)] = hub.sql("SELECT SUM(size) FROM upstream")
        assert 10_000 < size <= 20_000
        assert hub.counter("forgotten") == kept[0] > 0
        assert hub.counter("upstream") == 40
        assert hub.log.count("more than 20000 bytes went upstream; the oldest are forgotten, which is counted") == 1


def test_what_can_not_be_stored_is_not_acknowledged(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub, module(hub, "cam") as client:
        client.publish("out", "before")
        with closing(sqlite3.connect(hub.folder / "hub.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            client.send("out", "refused")
            client.wait_until_lost()
            other.execute("ROLLBACK")
        hub.wait_for_line("not written, so not acknowledged: database is locked")
        assert len(client.acks) == 1
        with module(hub, "cam") as again:
            again.publish("out", "after")
        assert [found.text for found in hub.control.upstream()] == ["before", "after"]
        assert hub.counter("upstream") == 2


def test_the_store_of_another_version_and_a_broken_one_are_refused(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        hub.kill()
        with closing(sqlite3.connect(hub.folder / "hub.db")) as database:
            database.execute("PRAGMA user_version = 99")
        assert hub.spawn().wait(30) == 1
        hub.wait_for_end()
        hub.wait_for_line("hub.db: can not be used as the store: it has version 99, this hub has 1; move it away")
        for file in hub.folder.glob("hub.db*"):
            file.unlink()
        (hub.folder / "hub.db").write_bytes(b"this is no database, and it is long enough to be read as one" * 20)
        hub.spawn()
        assert hub.wait_for_end() == 1
        hub.wait_for_line("can not be used as the store: file is not a database")
        assert "Traceback" not in hub.log
