"""Faults 5 to 12, 15, 16, 21, 22 and 29: the connection to the hub, its identity, and the workload API."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import ConnectionLost
from tests.faults.box import MODULE, WORK, Box, HostProcess, box, extensions, size
from tests.faults.wire import wire
from tests.hubs.edges import edge_on, message
from tests.standin.hubs import HubProcess, running_hub, wait_until

WORKING = {"functions/work.py": WORK}
ACK_TIMEOUT = size(20, 3)
BACK_WITHIN = 15.0
"""Seconds until the host is online again, whatever it was."""


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A box for faults after which all is as before."""
    options = extensions(edgeHub={"ackTimeout": ACK_TIMEOUT, "connectTimeout": size(10, 3)})
    with box(tmp_path_factory.mktemp("standing"), {**WORKING, **options}) as there:
        yield there


# --- the hub, and the workload API, are away -------------------------------------------------------------------------

CLOCKWORK = """
    import itertools
    import azure.functions as func
    import edgefn
    app = edgefn.FunctionApp()
    TICKS = itertools.count()

    @app.timer_trigger("timer", schedule="* * * * * *")
    @app.edge_hub_output("$return", "ticks")
    async def tick(timer: func.TimerRequest):
        return {"n": next(TICKS)}

    @app.route("post/{n}", auth_level=func.AuthLevel.ANONYMOUS)
    @app.edge_hub_output("posted", "posted")
    async def post(req: func.HttpRequest, posted: func.Out[dict]) -> str:
        posted.set({"n": int(req.route_params["n"])})
        return "kept"
"""
"""A timer and an HTTP function, each with an output."""


def test_fault_05_a_hub_that_is_not_there_at_the_start(tmp_path: Path) -> None:
    with box(tmp_path, {"functions/clockwork.py": CLOCKWORK}, started=False) as there:
        there.hub.kill()
        began = time.monotonic()
        there.host.start()
        status, ready = there.host.ready()
        assert (status, ready["status"]) == (200, "running")
        assert ready["hub"] in ("connecting", "offline")
        for n in range(50):
            assert there.host.get(f"/api/post/{n}") == (200, "kept")
        there.until(lambda: time.monotonic() >= began + size(60, 0) and there.host.stored("outbox") >= 52, within=90)
        there.hub.start()
        there.until(lambda: there.count >= 54)
        arrived: dict[str, list[int]] = {"ticks": [], "posted": []}
        for output, body in there.hub.sql("SELECT output, body FROM upstream ORDER BY number"):
            arrived[output].append(json.loads(body)["n"])
        assert arrived["posted"] == list(range(50))
        assert arrived["ticks"] == list(range(len(arrived["ticks"])))
        assert there.host.ready()[1]["hub"] == "online"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("workload-gone", "can not be asked"),
        ("workload-503", "was answered with 503"),
        ("workload-hang", "was not answered within 5 s"),
    ],
)
def test_fault_06_a_workload_api_that_is_away_at_the_start(tmp_path: Path, fault: str, said: str) -> None:
    with box(tmp_path, started=False) as there:
        there.hub.control.fault(fault)
        there.host.start()
        assert "IOTEDGE_WORKLOADURI" in there.host.wait_for(said)
        assert there.host.ready()[0] == 200
        there.give(10)
        there.hub.control.clear()
        there.until(lambda: there.host.is_online, within=BACK_WITHIN)
        assert there.wait_for_all().holds
        assert there.host.log.count(said) <= 3  # it was asked again and again, and said less and less often


@pytest.mark.parametrize("fault", ["workload-503", "workload-hang"])
def test_fault_07_a_workload_api_that_is_away_when_the_token_is_to_be_renewed(tmp_path: Path, fault: str) -> None:
    options = extensions(edgeHub={"tokenLifetime": size(60, 4)})
    with box(tmp_path, {**WORKING, **options}) as there:
        there.until(lambda: there.host.is_online)
        there.hub.control.fault(fault)
        with there.stream(100):
            there.until(lambda: not there.host.is_online, within=90)
            there.hub.control.clear()
            there.until(lambda: there.host.is_online, within=BACK_WITHIN)
        seen = there.wait_for_all()
        assert seen.holds, seen
        assert there.host.metric("edgefn_hub_lost_total", cause="expired") == 1
        assert there.host.metric("edgefn_hub_lost_total", cause="unacknowledged") == 0  # no send waited in vain


def test_fault_08_tokens_that_are_renewed_again_and_again_under_load(tmp_path: Path) -> None:
    options = extensions(edgeHub={"tokenLifetime": size(10, 3)})
    renewals = size(20, 4)
    with box(tmp_path, {**WORKING, **options}) as there:
        with there.stream(100):
            there.until(lambda: there.host.connections > renewals, within=size(400, 60))
        seen = there.wait_for_all()
        assert seen.holds, seen
        assert there.host.metric("edgefn_hub_lost_total") == there.host.metric("edgefn_hub_lost_total", cause="renewal")
        times = [at for (at,) in there.hub.sql("SELECT time FROM upstream ORDER BY number")]
        assert max(later - earlier for earlier, later in itertools.pairwise(times)) <= 2.0


# --- CONNECT, TLS and sessions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("refuse-connect", {"code": 5, "count": 1}),
        ("refuse-connect", {"code": 3, "seconds": size(10, 2)}),
        ("no-connack", {"count": 1}),
        ("no-tls", {"seconds": size(10, 2)}),
    ],
    ids=["5-once", "3-for-a-while", "no-connack", "no-tls"],
)
def test_fault_09_a_connect_that_is_refused_or_not_answered(
    standing: Box, fault: str, options: dict[str, float]
) -> None:
    standing.hub.control.fault(fault, **options)
    standing.hub.control.fault("kill-connections")
    standing.until(lambda: not standing.host.is_online)
    standing.until(lambda: standing.is_over(fault))
    standing.until(lambda: standing.host.is_online, within=BACK_WITHIN)  # without any send
    standing.give(10)
    assert standing.wait_for_all().holds


def test_fault_10_a_hub_that_has_lost_its_sessions(standing: Box) -> None:
    connections = standing.host.connections
    standing.hub.control.fault("forget-sessions")
    standing.until(lambda: standing.host.connections > connections)
    began = time.monotonic()
    standing.give(1)
    standing.wait_for_all(within=5)
    assert standing.hub.control.invoke(MODULE, "ping").payload["status"] == "alive"
    version = standing.hub.control.set_twin(MODULE, {"asked": began})["desired"]["$version"]
    standing.host.wait_for(f"Desired properties, version {version}, are in force", within=5)
    assert time.monotonic() - began <= 5


@pytest.mark.parametrize(
    ("fault", "options"),
    [
        ("lose-pubacks", {"seconds": size(5, 1)}),
        ("lose-pubacks", {"share": 0.01}),
        ("delay-pubacks", {"by": size(5, 1), "count": size(200, 60)}),
        ("double-pubacks", {}),
    ],
    ids=["all-lost-for-a-while", "some-lost", "late", "doubled"],
)
def test_fault_11_acknowledgements_that_are_lost_late_or_doubled(
    standing: Box, fault: str, options: dict[str, float]
) -> None:
    standing.hub.control.fault(fault, module=MODULE, **options)
    standing.give(size(2000 if "share" in options else 10_000, 200))
    seen = standing.wait_for_all(within=size(1200, 60))
    standing.hub.control.clear()
    assert seen.holds, seen
    standing.until(lambda: standing.host.stored("outbox") == 0, within=2 * ACK_TIMEOUT)
    assert standing.host.metric("edgefn_hub_published_total") == standing.given  # each one counted once


@pytest.mark.long
def test_fault_12_an_end_in_the_middle_of_a_large_packet(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        there.until(lambda: there.host.is_online)
        for number in range(1, size(8, 3) + 1):
            there.hub.control.fault("abort-packet", bytes=10_000, count=1, module=MODULE)
            while not there.is_over("abort-packet"):  # one that arrives at once is not cut
                there.give(1, filler="x" * 200_000)
                there.wait_for_all(within=BACK_WITHIN)
            there.hub.control.clear()
            there.until(lambda number=number: there.host.connections == number + 1, within=BACK_WITHIN)  # type: ignore[misc]
        assert there.tally().holds, there.tally()


@pytest.mark.long
@pytest.mark.parametrize("how", ["frozen", "half-open"])
def test_fault_15_a_hub_that_stands_still_or_a_wire_that_is_dead(tmp_path: Path, how: str) -> None:
    keep_alive = size(15, 2)
    options = extensions(edgeHub={"keepAlive": keep_alive, "connectTimeout": 5})
    with wire() as between, box(tmp_path, {**WORKING, **options}, "--gateway", between.address, started=False) as there:
        between.to = there.hub.address
        there.host.start()
        there.give(50)
        there.wait_for_all()
        began = time.monotonic()
        if how == "frozen":
            there.hub.freeze()
        else:
            between.go_dead()
        there.until(lambda: not there.host.is_online, within=2 * keep_alive + 1)
        if how == "frozen":
            wait_until(lambda: time.monotonic() >= began + size(35, 0), within=60)
            there.hub.thaw()
        there.give(50)
        seen = there.wait_for_all()
    assert seen.holds, seen


@pytest.mark.long
def test_fault_21_connections_that_are_cut_at_random_points(tmp_path: Path) -> None:
    inputs, cuts, dice = size(70_000, 600), size(24, 4), random.Random(21)
    files = {**WORKING, **extensions(edgeHub={"ackTimeout": ACK_TIMEOUT})}
    with wire() as between, box(tmp_path, files, "--gateway", between.address, started=False) as there:
        between.to = there.hub.address
        there.host.start()
        there.give(inputs)
        for number in range(cuts):
            point = inputs * number // cuts
            there.until(lambda point=point: there.count > point, within=size(600, 60))  # type: ignore[misc]
            if number % 2:
                there.hub.restart()
            else:
                between.cut_after(dice.randrange(50_000))
        seen = there.wait_for_all(within=size(1200, 60))
        there.until(lambda: there.host.stored("outbox") == 0)
        published = there.host.metric("edgefn_hub_published_total")
    assert seen.holds, seen
    assert published == inputs  # what was said to be at the hub is there, and was said once


async def test_fault_21_packet_ids_that_are_used_again(tmp_path: Path) -> None:
    """65,535 messages later an id comes again: nothing that is left of the first may speak for the second."""
    with running_hub(tmp_path) as hub:
        async with edge_on(hub, ack_timeout=60) as edge:
            connection = edge.hub._connection
            assert connection is not None
            await edge.fault("lose-pubacks", count=3)
            connection._client._last_mid = 65_530
            ghosts = [asyncio.ensure_future(edge.hub.publish(message(f"ghost {n}"))) for n in range(3)]
            told = []
            for number in range(60):
                if number == 40:  # the ids of the ghosts, while these are on their way, and two that are free
                    connection._client._last_mid = 65_530
                [end] = await asyncio.gather(edge.hub.publish(message(str(number))), return_exceptions=True)
                told += [str(number)] if end is None else []
            assert told == [str(number) for number in range(60) if number not in (40, 41, 42)]
            assert set(told) <= set(await edge.arrived())
            assert not any(ghost.done() for ghost in ghosts)
            await edge.fault("kill-connections")
            ends = await asyncio.gather(*ghosts, return_exceptions=True)
            assert {type(end) for end in ends} == {ConnectionLost}


def test_fault_16_a_new_root_of_the_edge(standing: Box) -> None:
    connections = standing.host.connections
    standing.hub.control.fault("rotate-ca")
    standing.until(lambda: standing.host.connections > connections, within=20)
    standing.give(10)
    assert standing.wait_for_all().holds


# --- identity --------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_fault_22_a_second_host_with_the_same_identity(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        other = HostProcess(tmp_path / "other", there.hub, WORKING, port=8081)
        try:
            other.start()
            there.until(lambda: "a second host seems to run" in there.host.log + other.log)
            before, began = there.hub.counter("taken_over"), time.monotonic()
            seconds = size(120, 4)
            wait_until(lambda: time.monotonic() >= began + seconds, within=seconds + 5)
            assert there.hub.counter("taken_over") - before <= 2 + seconds / 2  # an SDK alone: 60 a second
            assert other.runs
            assert other.stop()[0] == 0
        finally:
            other.close()
        there.until(lambda: there.host.is_online, within=20)
        there.give(20)
        assert there.wait_for_all().holds
        assert "IOTEDGE_MODULEID" in there.host.log + other.log


@pytest.fixture(scope="module")
def lone_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for hosts that do not get in."""
    with running_hub(tmp_path_factory.mktemp("lone")) as hub:
        yield hub


def wrong_key(hub: HubProcess, variables: dict[str, str]) -> dict[str, str]:
    known = hub.debug_env(MODULE)
    text = known["EdgeHubConnectionString"].replace("SharedAccessKey=", "SharedAccessKey=AAAA")
    return {**known, "EdgeHubConnectionString": text}


@pytest.mark.parametrize(
    ("changes", "fault", "said"),
    [
        (wrong_key, "", "SharedAccessKey in EdgeHubConnectionString should be"),
        ({"IOTEDGE_MODULEGENERATIONID": "1"}, "", "IOTEDGE_MODULEGENERATIONID should be those of a module"),
        ({"IOTEDGE_MODULEID": "nobody"}, "", "IOTEDGE_MODULEID and IOTEDGE_MODULEGENERATIONID should be"),
        ({}, "wrong-host-name", "IOTEDGE_GATEWAYHOSTNAME: the certificate of the hub is not for"),
    ],
    ids=["wrong-key", "wrong-generation", "unknown-module", "wrong-host-name"],
)
def test_fault_29_an_identity_that_is_wrong(
    tmp_path: Path, lone_hub: HubProcess, changes: Any, fault: str, said: str
) -> None:
    host = HostProcess(tmp_path, lone_hub, WORKING)
    host.variables = changes(lone_hub, host.variables) if callable(changes) else {**host.variables, **changes}
    if fault:
        lone_hub.control.fault(fault)
    try:
        host.start()
        host.wait_for(said)
        began = time.monotonic()
        host.wait_for("(2 times by now)")  # it is tried again
        wait_until(lambda: time.monotonic() >= began + size(30, 2), within=60)
        assert host.log.count(said) <= size(5, 4)  # and said the 1st, 2nd, 4th, 8th time
        assert host.ready()[0] == 200
        assert "AAAA" not in host.log
        if fault:
            lone_hub.control.clear()
            wait_until(lambda: host.is_online, within=BACK_WITHIN)
    finally:
        host.close()
