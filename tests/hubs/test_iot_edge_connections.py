"""The iotedge hub comes back, by itself and in time, from whatever ends its connection; and says why it was away."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from edgefn.contracts import HubState
from edgefn.errors import ConnectionLost, HubError, NotConnected
from edgefn.mqtt import rivals
from edgefn.mqtt.rivals import Rivals
from tests.hubs.edges import Edge, edge_on, message
from tests.hubs.sinks import in_thread, until
from tests.late import Late
from tests.standin.hubs import HubProcess


async def test_a_connection_is_told_with_its_states_its_number_and_its_metrics(edge: Edge) -> None:
    assert edge.sink.states == [HubState.CONNECTING, HubState.ONLINE]
    status = edge.hub.status()
    assert (status["name"], status["state"], status["generation"], status["lost"]) == ("iotedge", "online", 1, "")
    assert (status["identity"], status["gateway"]) == (f"edge/{edge.module}", edge.process.address)
    await edge.hub.publish(message())
    value = edge.metrics.registry.get_sample_value
    assert value("edgefn_hub_connected") == 1
    assert value("edgefn_hub_connections_total") == 1
    assert value("edgefn_hub_published_total") == 1
    await edge.fault("kill-connections")
    await edge.online(generation=2)
    assert value("edgefn_hub_lost_total", {"cause": "closed"}) == 1
    assert edge.sink.states[2:] == [HubState.CONNECTING, HubState.ONLINE]
    assert "closed the connection" in edge.lost
    await edge.hub.stop()
    assert edge.sink.states[-1] is HubState.OFFLINE
    assert value("edgefn_hub_connected") == 0


async def test_a_lost_connection_fails_what_is_on_its_way_at_once(edge: Edge) -> None:
    await edge.fault("lose-pubacks")
    waiting = [asyncio.ensure_future(edge.hub.publish(message(str(n)))) for n in range(5)]
    await until(lambda: edge.stored() == 5)
    await edge.fault("kill-connections")
    ends = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 2)
    assert [type(end) for end in ends] == [ConnectionLost] * 5
    assert "may have arrived" in str(ends[0])


async def test_a_hub_that_is_not_there_at_the_start_is_found_when_it_comes(own_hub: HubProcess) -> None:
    own_hub.env("late")
    await in_thread(own_hub.kill)
    async with edge_on(own_hub, online=False, module="late") as edge:
        await until(lambda: edge.hub.state is HubState.OFFLINE)
        with pytest.raises(NotConnected):
            await edge.hub.publish(message())
        await in_thread(own_hub.start)
        await edge.online(within=15)
        await edge.hub.publish(message("here"))


async def test_a_hub_that_is_killed_again_and_again_is_found_again_and_loses_nothing(own_hub: HubProcess) -> None:
    async with edge_on(own_hub) as edge:
        arrived: list[str] = []
        stopping = asyncio.Event()

        async def publish() -> None:
            number = 0
            while not stopping.is_set():
                try:
                    await edge.hub.publish(message(str(number)))
                except HubError:
                    await asyncio.sleep(0.01)
                    continue
                arrived.append(str(number))
                number += 1

        publishing = asyncio.create_task(publish())
        for round_ in range(3):
            await until(lambda r=round_: len(arrived) > (r + 1) * 200)  # type: ignore[misc]
            await in_thread(own_hub.restart)
            await edge.online(generation=edge.generation, within=15)
        stopping.set()
        await publishing
        came = await edge.arrived()
        assert list(dict.fromkeys(came)) == sorted(set(came), key=int)
        assert set(arrived) <= set(came)


@pytest.mark.parametrize(
    ("fault", "options", "said"),
    [
        ("refuse-connect", {"code": 5, "count": 1}, "5 (not authorised); IOTEDGE_MODULEID and"),
        ("refuse-connect", {"code": 3, "seconds": 2}, "3 (not available yet); it is asked again"),
        ("refuse-connect", {"code": 1, "count": 1}, "MQTT 3.1.1"),
        ("no-connack", {"count": 1}, "did not answer CONNECT within"),
    ],
)
async def test_a_connect_that_is_refused_or_not_answered_is_tried_again_without_any_send(
    shared_hub: HubProcess, fault: str, options: dict[str, float], said: str
) -> None:
    async with edge_on(shared_hub, connect_timeout=1.5) as edge:
        await edge.fault(fault, **options)
        await edge.fault("kill-connections")
        await until(lambda: said in edge.lost)
        assert edge.hub.state is not HubState.ONLINE
        await edge.online(generation=2, within=15)


async def test_tcp_without_tls_is_given_up_and_tried_again(own_hub: HubProcess) -> None:
    async with edge_on(own_hub, connect_timeout=1.5) as edge:
        await in_thread(own_hub.control.fault, "no-tls", seconds=3)
        await edge.fault("kill-connections")
        await until(lambda: "does not answer" in edge.lost)
        await edge.online(generation=2, within=15)


async def test_a_hub_that_has_lost_its_sessions_is_heard_as_before(edge: Edge) -> None:
    await edge.fault("forget-sessions")
    await edge.online(generation=2)
    await edge.send("1")
    await edge.set_twin({"zoom": 3})
    assert (await edge.invoke("look")).status == 200
    await until(lambda: edge.sink.texts == ["1"] and edge.sink.patches)


async def test_a_hub_that_stands_still_is_noticed_within_twice_the_keep_alive(own_hub: HubProcess) -> None:
    async with edge_on(own_hub, keep_alive=2, connect_timeout=2) as edge:
        own_hub.freeze()
        began = time.monotonic()
        await until(lambda: edge.hub.state is not HubState.ONLINE)
        assert time.monotonic() - began <= 4.2
        await until(lambda: "did not answer a ping" in edge.lost)
        own_hub.thaw()
        await edge.online(generation=2)


async def test_a_hub_that_stands_still_while_much_is_written_is_noticed_too(own_hub: HubProcess) -> None:
    async with edge_on(own_hub, keep_alive=2, connect_timeout=2, ack_timeout=60) as edge:
        own_hub.freeze()
        began = time.monotonic()
        waiting = [asyncio.ensure_future(edge.hub.publish(message("x" * 250_000))) for _ in range(20)]
        ends = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(end) for end in ends} == {ConnectionLost}
        assert time.monotonic() - began <= 4.2
        own_hub.thaw()
        await edge.online(generation=2)
        await edge.hub.publish(message("after"))


async def test_a_new_root_of_the_hub_is_asked_for(own_hub: HubProcess) -> None:
    async with edge_on(own_hub) as edge:
        await in_thread(own_hub.control.fault, "rotate-ca")
        await edge.online(generation=2, within=20)
        await edge.hub.publish(message("by the new root"))
        assert await edge.arrived() == ["by the new root"]


async def test_stop_waits_for_no_hub_that_is_frozen(own_hub: HubProcess) -> None:
    async with edge_on(own_hub) as online, edge_on(own_hub, online=False) as connecting:
        waiting = asyncio.ensure_future(online.hub.publish(message("1")))
        await waiting
        own_hub.freeze()
        stuck = [asyncio.ensure_future(online.hub.publish(message("x" * 250_000))) for _ in range(20)]
        await asyncio.sleep(0)
        async with asyncio.timeout(10):  # the hub would have 20 s for an acknowledgement
            await online.hub.stop()
            await connecting.hub.stop()
        ends = await asyncio.wait_for(asyncio.gather(*stuck, return_exceptions=True), 1)
        assert {type(end) for end in ends} == {ConnectionLost}
        own_hub.thaw()


async def test_a_hub_that_was_stopped_can_be_started_again(edge: Edge) -> None:
    await edge.hub.stop()
    await edge.hub.stop()
    await edge.start()
    await edge.online(generation=2)
    await edge.hub.publish(message("again"))
    assert await edge.arrived() == ["again"]


async def test_the_loop_goes_on_while_connections_are_made(
    own_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgefn.hubs.iot_edge import sdk

    dial, at_it, turns = sdk.dial, threading.Event(), 0

    def dialled(*given: Any) -> Any:
        at_it.set()
        try:
            return dial(*given)
        finally:
            at_it.clear()

    async def count() -> None:
        nonlocal turns
        while True:
            turns += at_it.is_set()
            await asyncio.sleep(0.01)

    async with edge_on(own_hub, connect_timeout=1) as edge:
        monkeypatch.setattr(sdk, "dial", dialled)
        counting = asyncio.create_task(count())
        await in_thread(own_hub.control.fault, "no-tls", seconds=1.5)
        await edge.fault("kill-connections")
        await edge.online(generation=2)
        counting.cancel()
    assert turns > 1, "one attempt takes a second, since the hub does not answer it"


async def test_a_connection_that_comes_about_too_late_throws_out_no_other(
    shared_hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up of a name may take a minute, and the host has tried again long before."""
    from edgefn.hubs.iot_edge import sdk

    late = Late(monkeypatch, sdk, "_reached")
    async with edge_on(shared_hub, connect_timeout=1) as edge:
        assert edge.hub.status()["generation"] == 1
        late.go.set()
        await until(lambda: late.ended == 2)
        await edge.hub.publish(message())
        assert (edge.hub.status()["generation"], edge.hub.status()["reconnects"]) == (1, {})


@pytest.mark.long
async def test_many_connections_leave_no_thread_and_no_socket_behind(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.hubs.iot_edge.keeper.HEALTHY", 0.0)
    monkeypatch.setattr(rivals, "SHORT", 0.0)
    counts: list[tuple[int, int]] = []
    gc.freeze()  # what was there before is looked at no more
    for number in range(1, 31):
        await edge.fault("kill-connections")
        await edge.online(generation=number + 1)
        gc.collect()
        counts.append((threading.active_count(), len(os.listdir("/proc/self/fd"))))
    gc.unfreeze()
    assert max(counts[-5:]) <= max(counts[:10])


# --- a second host with the same identity --------------------------------------------------------------------------


def test_take_overs_in_a_row_are_suspected_and_pauses_grow() -> None:
    guard = Rivals()
    for _ in range(rivals.SUSPICIOUS):
        assert guard.pause() == 0
        guard.ended(0.5, by_hub=True)
    assert guard.suspected
    pauses = []
    for _ in range(6):
        pauses.append(guard.pause())
        guard.ended(10.0, by_hub=True)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 12.0, 12.0]


@pytest.mark.parametrize(
    "end", [lambda guard: guard.failed(), lambda guard: guard.ended(rivals.LONG, by_hub=True)], ids=["away", "long"]
)
def test_a_hub_that_was_away_or_a_connection_that_lasted_is_no_rival(end: Callable[[Rivals], None]) -> None:
    guard = Rivals()
    for _ in range(10):
        guard.ended(0.5, by_hub=True)
    end(guard)
    assert not guard.suspected


async def test_two_hosts_with_one_identity_are_noticed_and_do_not_go_on_for_ever(shared_hub: HubProcess) -> None:
    async with edge_on(shared_hub) as one:
        async with edge_on(shared_hub, online=False, module=one.module) as other:
            await until(lambda: "a second host seems to run" in one.lost + other.lost)
            assert f"'edge/{one.module}'" in one.lost + other.lost
            assert "IOTEDGE_MODULEID" in one.lost + other.lost
            began, before = time.monotonic(), one.generation + other.generation
            await until(lambda: one.generation + other.generation >= before + 4)
            assert time.monotonic() - began > 0.5  # without pauses it takes a tenth of that
        await one.online(generation=one.generation, within=20)
        await one.hub.publish(message("alone"))
