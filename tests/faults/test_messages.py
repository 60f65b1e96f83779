"""Faults 13, 14, 17, 18, 26 and 28: messages too large, poisonous, too many, late, alike, or without a route."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest

from edgefn.standin.control import Outgoing
from tests.faults.box import GATED, MODULE, WORK, Box, box, extensions, size
from tests.faults.disks import held
from tests.standin.hubs import wait_until
from tests.standin.manifests import manifest
from tests.standin.mqtt import module

LARGEST = 262_144
WORKING = {"functions/work.py": WORK}

SIZED = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out", properties={{"kind": "{kind}"}}, content_type="text/plain")
    async def work(m: dict):
        return "x" * m["size"]
"""
"""Outputs of as many bytes as the input says."""


SENT = {
    "outputName": "%24.on",
    "messageId": "%24.mid",
    "contentType": "%24.ct",
    "contentEncoding": "%24.ce",
    "creationTime": "%24.ctime",
}
"""System properties of a message, and their names on the way."""


def packet_around(system: dict[str, str], properties: dict[str, str]) -> int:
    """Bytes of a PUBLISH beside its body, after the fixed header."""
    pairs = [(SENT[name], value) for name, value in system.items() if name in SENT] + [*properties.items()]
    rest = "&".join(f"{name}={quote(value, safe='')}" for name, value in pairs)
    return len(f"..devices/edge/modules/{MODULE}/messages/events/{rest}..")


@pytest.mark.parametrize("kind", ["plain", "/" * 300], ids=["sum-of-properties", "packet"])
def test_fault_13_messages_at_the_limit_of_the_hub(tmp_path: Path, kind: str) -> None:
    """The limit holds for two sums: of a message, and of its packet, in which properties are longer."""
    with box(tmp_path, {"functions/work.py": SIZED.format(kind=kind)}) as there:

        def give(*sizes: int) -> None:
            there.hub.control.send(MODULE, "in", *(json.dumps({"size": size}) for size in sizes))

        def arrived() -> list[int]:
            return [size for (size,) in there.hub.sql("SELECT length(body) FROM upstream ORDER BY number")]

        give(0)
        there.until(lambda: arrived() == [0])
        [(all_in_all, system, properties)] = there.hub.sql("SELECT size, system, properties FROM upstream")
        largest = LARGEST - max(all_in_all, packet_around(json.loads(system), json.loads(properties)))
        give(1, largest - 1, largest, largest + 1, LARGEST, 3 * LARGEST, 2)
        there.until(lambda: arrived() == [0, 1, largest - 1, largest, 2])
        letters = there.host.dead_letters()
        assert [letter["attempts"] for letter in letters] == [0, 0, 0]  # none of them was sent
        assert f"{LARGEST + 1:,} bytes with its properties, edgeHub takes {LARGEST:,}" in letters[-1]["reason"]
        assert there.host.metric("edgefn_spool_dead_letters_total", box="outbox") == 3
        assert there.host.connections == 1
        assert there.hub.counter("dropped.too_large") == there.hub.counter("refused_packets") == 0


def test_fault_14_a_message_on_which_the_hub_hangs_up_each_time(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        there.hub.control.fault("poison", text="bad apple", module=MODULE)
        there.give(5)
        there.give(1, filler="a bad apple")
        there.give(14)
        there.until(lambda: there.tally().lost == [5] and there.host.stored("dead") == 1, within=60)
        assert there.tally().inversions == there.tally().strangers == 0
        [letter] = there.host.dead_letters()
        assert letter["reason"] == "the hub ended the connection on it 5 times, and took the message after it"
        assert there.host.metric("edgefn_spool_lost_total", cause="poison") == 1
        there.give(10)
        there.until(lambda: there.tally().lost == [5])


def test_fault_17_more_and_larger_inputs_than_functions_work_off(tmp_path: Path) -> None:
    inputs, bound = size(10_000, 600), size(2000, 100)
    options = extensions(spool={"inbox": {"maxMessages": bound}})
    with box(tmp_path, {"functions/work.py": GATED, **options}, "--max-upstream", "1000000000") as there:
        there.until(lambda: there.host.is_online)
        before = there.host.memory()
        there.give(inputs, filler="x" * 10_000)
        there.until(lambda: there.host.stored("inbox") == bound, within=120)
        full = time.monotonic()
        wait_until(lambda: time.monotonic() >= full + size(60, 1), within=90)  # longer than edgeHub waits for an ack
        assert there.host.stored("inbox") == bound
        assert there.waiting == inputs - bound
        assert there.host.memory() - before < size(100, 50)
        (there.host.folder / "open").touch()
        seen = there.wait_for_all(within=size(600, 60))
        assert seen.holds, seen
        assert there.host.memory() - before < size(100, 50)


@pytest.mark.parametrize("slow", ["host", "file"])
def test_fault_18_a_commit_that_takes_longer_than_the_hub_waits(tmp_path: Path, slow: str) -> None:
    """The host stands still, or another process holds its file; the hub sends the message again meanwhile."""
    ack_timeout = size(30, 1) if slow == "host" else 1  # after 5 s a file that is held counts as a fault (19)
    with box(tmp_path, WORKING, "--ack-timeout", str(ack_timeout)) as there:
        there.give(10)
        there.wait_for_all()
        with standing_still(there) if slow == "host" else held(there.host.state / "spool.db"):
            there.give(10)
            there.until(lambda: there.hub.counter("redelivered") >= size(1, 2), within=3 * ack_timeout + 10)
        there.give(10)
        seen = there.wait_for_all()
        there.until(lambda: there.waiting == 0 and there.host.stored("inbox") == there.host.stored("outbox") == 0)
        assert there.count == there.given  # one effect each
        assert seen.holds, seen


@contextmanager
def standing_still(there: Box) -> Iterator[None]:
    there.host.freeze()
    try:
        yield
    finally:
        there.host.thaw()


def test_fault_26_senders_whose_messages_are_alike(tmp_path: Path) -> None:
    with box(tmp_path) as there:

        def give(*messages: Outgoing) -> int:
            there.hub.control.send(MODULE, "in", *messages)
            return len(messages)

        def bodies(start: int) -> list[str]:
            return [json.dumps({"n": number}) for number in range(start, start + 20)]

        given = give(*(Outgoing(body, id="always the same") for body in bodies(0)))
        given += give(*(Outgoing(body) for body in bodies(20)))
        given += give(*([Outgoing(json.dumps({"n": 40}), id="tick")] * 20))
        there.until(lambda: there.count == given)
        for restart in range(3):
            there.hub.control.fault("kill-connections")
            given += give(*(Outgoing(body, id=str(n)) for n, body in enumerate(bodies(100 + 20 * restart))))
            there.until(lambda given=given: there.count >= given)  # type: ignore[misc]
        assert there.hub.sql("SELECT count(*), count(DISTINCT message_id) FROM upstream") == [(given, given)]


ROUTES = {
    "out": "FROM /messages/modules/box/outputs/out INTO $upstream",
    "typo": 'FROM /messages/modules/*/outputs/out INTO BrokeredEndpoint("/modules/log/inputs/in")',
    "plain": 'FROM /messages/modules/cam/outputs/plain INTO BrokeredEndpoint("/modules/box/inputs/in")',
    "urgent": {
        "route": 'FROM /messages/modules/cam/outputs/urgent INTO BrokeredEndpoint("/modules/box/inputs/in")',
        "priority": 0,
    },
    "short": {
        "route": 'FROM /messages/modules/cam/outputs/short INTO BrokeredEndpoint("/modules/box/inputs/in")',
        "timeToLiveSecs": 1,
    },
}


def test_fault_28_routes_that_lead_nowhere_and_messages_that_wait_for_a_host(tmp_path: Path) -> None:
    nowhere = (
        WORK.replace('"out")', '"out")\n    @app.edge_hub_output("lost", "nowhere")')
        .replace("m: dict)", "m: dict, lost: edgefn.Out[dict])")
        .replace("return m", "lost.set(m)\n        return m")
    )
    deployment = manifest(tmp_path, ROUTES)
    with box(tmp_path, {"functions/work.py": nowhere}, "-d", deployment, started=False) as there:
        there.hub.wait_for_line("typo")
        with module(there.hub, "cam") as cam:
            for n, output in enumerate(("short", "plain", "plain", "urgent", "nowhere")):
                cam.publish(output, json.dumps({"n": n}))
        there.until(lambda: there.hub.sql("SELECT count(*) FROM queued WHERE expires < ?", time.time()) == [(1,)])
        there.host.start()
        there.until(lambda: there.count == 3)
        assert [number for number, _ in there.arrived()] == [3, 1, 2]
        there.until(lambda: there.hub.counter("dropped.no_route") == 4)
        assert there.hub.counter("dropped.ttl_expiry") == 1
