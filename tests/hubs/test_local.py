"""The hub inside the process: routes, what goes upstream, and what a wrong host.json says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgefn.contracts import EdgeMessage
from edgefn.errors import HubError, SettingError
from edgefn.hubs.local import LocalHub
from edgefn.loader import load_app

HubWith = Callable[..., LocalHub]


class Inputs:
    """A sink that keeps what comes in."""

    def __init__(self) -> None:
        self.came: list[EdgeMessage] = []

    async def on_input(self, message: EdgeMessage) -> None:
        self.came.append(message)


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
    assert "host.json: extensions.edgeHub" in str(error.value)
