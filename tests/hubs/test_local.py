"""The hub inside the process: routes, what goes upstream, and what a wrong host.json says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgefn.contracts import EdgeMessage, HubState, MethodReply, MethodRequest
from edgefn.errors import HubError, NotConnected, SettingError
from edgefn.hubs.local import LocalHub, UpstreamFile
from edgefn.loader import load_app
from tests.faults.disks import MEGABYTE, small_disk

HubWith = Callable[..., LocalHub]


class Inputs:
    """A sink that keeps what comes in."""

    def __init__(self) -> None:
        self.came: list[EdgeMessage] = []
        self.states: list[HubState] = []
        self.patches: list[dict[str, Any]] = []

    async def on_input(self, message: EdgeMessage) -> None:
        self.came.append(message)

    def on_state(self, state: HubState) -> None:
        self.states.append(state)

    async def on_desired(self, patch: Mapping[str, Any]) -> None:
        self.patches.append(dict(patch))

    async def on_method(self, request: MethodRequest) -> MethodReply:
        if request.name == "slow":
            await asyncio.Event().wait()
        return MethodReply(200, {"name": request.name, "payload": request.payload})


@pytest.fixture
def hub_with(tmp_path: Path) -> HubWith:
    def make(**options: Any) -> LocalHub:
        document = {"version": "2.0", "extensions": {"edgeHub": options}}
        (tmp_path / "host.json").write_text(json.dumps(document))
        hub = load_app(tmp_path, environment={}).services.hub
        assert isinstance(hub, LocalHub)
        return hub

    return make


def upstream(folder: Path) -> list[dict[str, Any]]:
    files = [folder / ".edgefn" / "upstream.1.jsonl", folder / ".edgefn" / "upstream.jsonl"]
    return [orjson.loads(line) for path in files if path.exists() for line in path.read_bytes().splitlines()]


async def test_without_routes_everything_goes_upstream_as_one_line_each(hub_with: HubWith, tmp_path: Path) -> None:
    hub = hub_with()
    await hub.start(Inputs())
    await hub.publish(EdgeMessage(b'{"n":1}', {"appid": "scanner"}, message_id="m1", output_name="out"))
    await hub.stop()
    assert upstream(tmp_path) == [
        {
            "id": "m1",
            "output": "out",
            "created": None,
            "contentType": "application/json",
            "contentEncoding": "utf-8",
            "properties": {"appid": "scanner"},
            "body": {"n": 1},
        }
    ]


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"plain", {"body": "plain"}),
        (b"\xff\x00", {"bodyBase64": "/wA="}),
        (b"null", {"body": None}),
        (b"[1]", {"body": [1]}),
    ],
)
async def test_a_body_of_any_kind_is_kept(hub_with: HubWith, tmp_path: Path, body: bytes, kept: dict[str, Any]) -> None:
    hub = hub_with()
    await hub.start(Inputs())
    await hub.publish(EdgeMessage(body))
    await hub.stop()
    assert upstream(tmp_path)[0].items() >= kept.items()


async def test_a_route_carries_an_output_to_an_input_when_its_condition_holds(
    hub_with: HubWith, tmp_path: Path
) -> None:
    condition = "as_number(score) > 0.5 AND $body.kind = 'car'"
    route = (
        f'FROM /messages/modules/edgefn/outputs/a WHERE {condition} INTO BrokeredEndpoint("/modules/edgefn/inputs/in")'
    )
    hub, inputs = hub_with(routes={"cars": route}), Inputs()
    await hub.start(inputs)
    for score, kind in [("0.9", "car"), ("0.4", "car"), ("0.9", "bus")]:
        body = orjson.dumps({"kind": kind})
        await hub.publish(EdgeMessage(body, {"score": score}, message_id=f"{score} {kind}", output_name="a"))
    await hub.stop()
    assert [(m.message_id, m.input_name, m.connection_module_id) for m in inputs.came] == [("0.9 car", "in", "edgefn")]
    assert hub.status()["messages"] == {"in": 1, "nowhere": 2}
    assert upstream(tmp_path) == []


async def test_a_message_comes_from_the_device_and_module_that_host_json_names(hub_with: HubWith) -> None:
    route = 'FROM /messages/* INTO BrokeredEndpoint("/modules/cam/inputs/in")'
    hub, inputs = hub_with(deviceId="box-7", moduleId="cam", routes={"all": route}), Inputs()
    await hub.start(inputs)
    await hub.publish(EdgeMessage(b"1", output_name="a"))
    await hub.stop()
    assert [(came.connection_device_id, came.connection_module_id) for came in inputs.came] == [("box-7", "cam")]


async def test_an_output_that_no_route_takes_is_said_once(hub_with: HubWith, caplog: pytest.LogCaptureFixture) -> None:
    hub = hub_with(routes={"a": "FROM /messages/modules/edgefn/outputs/out WHERE kind = 'x' INTO $upstream"})
    await hub.start(Inputs())
    for output in ("uot", "uot", "out"):
        await hub.publish(EdgeMessage(b"1", output_name=output))
    await hub.stop()
    said = (
        "Messages of output 'uot' are dropped: no route takes them; routes: a from /messages/modules/edgefn/outputs/out"
    )
    assert [record.message for record in caplog.records] == [said]


async def test_the_upstream_file_is_bounded_and_keeps_the_newest(hub_with: HubWith, tmp_path: Path) -> None:
    hub = hub_with(upstreamMaxBytes=20_000)
    await hub.start(Inputs())
    for number in range(500):
        await hub.publish(EdgeMessage(orjson.dumps({"n": number})))
    await hub.stop()
    files = list((tmp_path / ".edgefn").glob("upstream*"))
    numbers = [line["body"]["n"] for line in upstream(tmp_path)]
    assert sum(path.stat().st_size for path in files) <= 20_000
    assert numbers == list(range(numbers[0], 500))


async def test_a_message_to_a_module_that_is_not_here_is_counted(hub_with: HubWith) -> None:
    hub = hub_with(routes={"away": 'FROM /messages/* INTO BrokeredEndpoint("/modules/other/inputs/in")'})
    await hub.start(Inputs())
    await hub.publish(EdgeMessage(b"1", output_name="out"))
    await hub.stop()
    assert hub.status()["messages"] == {"other (not here)": 1}


async def test_publishing_before_the_start_is_an_error(hub_with: HubWith) -> None:
    with pytest.raises(HubError, match="does not run"):
        await hub_with().publish(EdgeMessage(b"1"))


async def test_a_state_folder_that_can_not_be_written_is_said(hub_with: HubWith, tmp_path: Path) -> None:
    (tmp_path / ".edgefn").write_text("a file where the folder should be")
    with pytest.raises(HubError, match="the state folder can not be written"):
        await hub_with().start(Inputs())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"route": {}}, "unknown|Extra inputs.*did you mean 'routes'"),
        ({"routes": {"r": "FROM nowhere"}}, 'route "r", column'),
        ({"upstreamMaxBytes": 5}, "upstreamMaxBytes"),
    ],
)
def test_a_wrong_host_json_is_refused_with_its_place(hub_with: HubWith, options: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said) as error:
        hub_with(**options)
    assert "host.json:1: extensions.edgeHub" in str(error.value)


# --- the twin, direct methods, the cable -------------------------------------------------------------------------


async def test_desired_properties_are_merged_counted_and_delivered(hub_with: HubWith) -> None:
    hub, host = hub_with(), Inputs()
    await hub.start(host)
    assert await hub.set_desired({"a": {"b": 1, "c": 2}, "d": 3}) == 1
    assert await hub.set_desired({"a": {"b": None}, "d": 4}) == 2
    assert host.patches == [{"a": {"b": 1, "c": 2}, "d": 3, "$version": 1}, {"a": {"b": None}, "d": 4, "$version": 2}]
    twin = await hub.twin()
    assert (twin.desired, twin.version) == ({"a": {"c": 2}, "d": 4, "$version": 2}, 2)
    await hub.stop()


async def test_the_twin_is_a_file_that_outlives_the_host_and_may_be_edited(hub_with: HubWith, tmp_path: Path) -> None:
    hub = hub_with()
    await hub.set_desired({"a": 1})
    await hub.start(Inputs())
    await hub.report({"functions": {"f": {"state": "running"}}})
    await hub.stop()
    path = tmp_path / ".edgefn" / "twin.json"
    document = json.loads(path.read_text())
    document["desired"]["a"] = 2
    path.write_text(json.dumps(document))
    later = hub_with()
    assert later.properties.desired == {"a": 2, "$version": 1}
    assert later.properties.reported == {"functions": {"f": {"state": "running"}}, "$version": 1}


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"a.b": 1}, "'a.b' is no name"),
        ({"a": {"$b": 1}}, "'a.\\$b' is no name"),
        ({"a b": 1}, "'a b' is no name"),
        ({"a": [1, None]}, r"a\[1\] is null; an array has no null"),
        ({"a": "x" * 4097}, "a has 4097 bytes; at most 4096 would be right"),
        ({"a": 2**52}, "an integer within"),
        ({f"a{number}": "x" * 4000 for number in range(9)}, "bytes in all; at most 32768 would be right"),
        ({"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": {"j": {}}}}}}}}}}}, "is nested deeper than 10"),
        ({"a": object()}, "no JSON"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_the_twin_has_the_limits_of_iot_hub(hub_with: HubWith, patch: dict[str, Any], said: str) -> None:
    hub = hub_with()
    with pytest.raises(HubError, match=said):
        await hub.set_desired(patch)
    assert hub.properties.desired == {"$version": 0}


async def test_a_direct_method_is_answered_by_the_host_or_by_its_time_out(hub_with: HubWith) -> None:
    hub = hub_with()
    with pytest.raises(NotConnected, match="the host does not run"):
        await hub.invoke("ping")
    await hub.start(Inputs())
    assert await hub.invoke("ping", [1]) == MethodReply(200, {"name": "ping", "payload": [1]})
    assert (await hub.invoke("slow", timeout=0.01)).status == 504
    await hub.stop()


async def test_a_pulled_cable_is_told_and_nothing_passes_until_it_is_plugged_in(hub_with: HubWith) -> None:
    hub, host = hub_with(), Inputs()
    await hub.start(host)
    hub.pull()
    for call in (hub.publish(EdgeMessage(b"1")), hub.twin(), hub.report({}), hub.invoke("ping")):
        with pytest.raises(NotConnected, match="its cable is pulled"):
            await call
    await hub.set_desired({"a": 1})
    assert (hub.status()["state"], hub.status()["lost"]) == ("offline", "the cable was pulled")
    hub.plug()
    assert (host.patches, (await hub.twin()).desired) == ([], {"a": 1, "$version": 1})
    assert host.states == [HubState.ONLINE, HubState.OFFLINE, HubState.ONLINE]
    assert hub.status()["generation"] == 2
    await hub.stop()


async def test_a_host_may_start_while_the_cable_is_pulled(hub_with: HubWith) -> None:
    hub, host = hub_with(), Inputs()
    hub.pull()
    await hub.start(host)
    assert (hub.state, host.states) == (HubState.OFFLINE, [])
    hub.plug()
    assert host.states == [HubState.ONLINE]
    await hub.stop()


def test_a_message_for_which_the_disk_has_room_in_part_has_not_arrived(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        upstream = UpstreamFile(disk.folder / "upstream.jsonl", 100 * MEGABYTE)
        upstream.open()
        taken = 0
        with suppress(OSError):
            while True:
                upstream.write(orjson.dumps({"n": taken, "pad": "x" * 7000}, option=orjson.OPT_APPEND_NEWLINE))
                taken += 1
        upstream.close()
        lines = (disk.folder / "upstream.jsonl").read_bytes().splitlines()
        assert [orjson.loads(line)["n"] for line in lines] == list(range(taken))


def test_a_file_that_somebody_has_removed_is_begun_anew(tmp_path: Path) -> None:
    upstream, line = UpstreamFile(tmp_path / "upstream.jsonl", 20), b"12345678\n"
    upstream.open()
    upstream.write(line)
    (tmp_path / "upstream.jsonl").unlink()
    upstream.write(line)
    upstream.close()
    assert (tmp_path / "upstream.jsonl").read_bytes() == line


async def test_a_line_that_a_power_cut_has_torn_takes_no_other_with_it(hub_with: HubWith, tmp_path: Path) -> None:
    path = tmp_path / ".edgefn" / "upstream.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b'{"body":{"n":1}}\n{"body":{"n"')
    hub = hub_with()
    await hub.start(Inputs())
    await hub.publish(EdgeMessage(b'{"n": 2}', output_name="out", is_json=True))
    await hub.stop()
    first, torn, whole = path.read_bytes().splitlines()
    assert torn == b'{"body":{"n"'
    assert [orjson.loads(first)["body"], orjson.loads(whole)["body"]] == [{"n": 1}, {"n": 2}]
