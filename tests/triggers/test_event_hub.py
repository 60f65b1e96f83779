"""Cloud functions that consume IoT Hub or send to an event hub, fed by edgeHub."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.errors import SettingError
from edgefn.host import Host
from tests.conftest import AppIn
from tests.ticks import PLUGIN

CLOUD = """
import logging
from typing import List
import azure.functions as func
app = func.FunctionApp()
{trigger}
@app.generic_output_binding(arg_name="out", type="keep")
def f({parameter}, out):
    out.set({value})
"""
ONE = '@app.event_hub_message_trigger(arg_name="event", event_hub_name="telemetry", connection="Any")'
MANY = ONE[:-1] + ', cardinality="many")'
EVENT = "event: func.EventHubEvent"


async def seen(
    app_of: AppIn, value: str, *, trigger: str = ONE, parameter: str = EVENT, host_json: str = ""
) -> list[Any]:
    """What the function makes of two messages on the input ``telemetry``."""
    files = {
        "functions/ticks.py": PLUGIN,
        "functions/f.py": CLOUD.format(trigger=trigger, parameter=parameter, value=value),
    }
    host = Host(app_of(files | ({"host.json": host_json} if host_json else {})))
    assert host.running[0].function.errors == []
    await host.start()
    for number in (1, 2):
        message = EdgeMessage(
            b'{"t": %d}' % number,
            {"kind": "alert"},
            message_id=f"m{number}",
            created=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
            connection_device_id="box-7",
            input_name="telemetry",
        )
        await host.app.services.spool.inbox.on_input(message)
    await host.stop()
    kept: list[Any] = host.status()["functions"]["f"]["outputs"]["out"]["kept"]
    return kept


@pytest.mark.parametrize("parameter", [EVENT, "event"])
async def test_an_event_has_body_device_time_and_numbers(app_of: AppIn, parameter: str) -> None:
    value = (
        "[event.get_body(), event.iothub_metadata['connection-device-id'], event.enqueued_time.isoformat(), "
        "event.sequence_number, event.offset, event.partition_key]"
    )
    time = "2026-01-02T03:04:05+00:00"
    assert await seen(app_of, value, parameter=parameter) == [
        [b'{"t": 1}', "box-7", time, 1, "1", "box-7"],
        [b'{"t": 2}', "box-7", time, 2, "2", "box-7"],
    ]


async def test_properties_of_the_message_are_in_the_metadata(app_of: AppIn) -> None:
    value = "[event.metadata['Properties'], event.metadata['SystemProperties']['message-id']]"
    assert await seen(app_of, value) == [[{"kind": "alert"}, "m1"], [{"kind": "alert"}, "m2"]]


@pytest.mark.parametrize("parameter", ["event: List[func.EventHubEvent]", "event"])
async def test_many_events_come_as_a_list_each_with_its_own_properties(app_of: AppIn, parameter: str) -> None:
    value = "[[one.get_body(), one.iothub_metadata['connection-device-id'], one.sequence_number] for one in event]"
    batches = await seen(app_of, value, trigger=MANY, parameter=parameter)
    assert [one for batch in batches for one in batch] == [[b'{"t": 1}', "box-7", 1], [b'{"t": 2}', "box-7", 2]]


@pytest.mark.parametrize(
    ("parameter", "values"),
    [
        ("event: str", ['{"t": 1}', '{"t": 2}']),
        ("event: bytes", [b'{"t": 1}', b'{"t": 2}']),
        ("event: dict", [{"t": 1}, {"t": 2}]),
    ],
)
async def test_a_body_may_be_asked_for_alone(app_of: AppIn, parameter: str, values: list[Any]) -> None:
    assert await seen(app_of, "event", parameter=parameter) == values


async def test_a_consumer_group_is_taken_and_means_nothing(app_of: AppIn) -> None:
    assert await seen(app_of, "1", trigger=ONE[:-1] + ', consumer_group="mine")') == [1, 1]


async def test_host_json_maps_event_hubs_to_inputs(app_of: AppIn) -> None:
    document = '{"version": "2.0", "extensions": {"eventHubs": {"inputs": {"cloud-name": "telemetry"}}}}'
    trigger = ONE.replace('event_hub_name="telemetry"', 'event_hub_name="cloud-name"')
    assert len(await seen(app_of, "1", trigger=trigger, host_json=document)) == 2


async def test_an_event_hub_output_goes_to_the_output_of_its_name_or_of_the_mapping(app_of: AppIn) -> None:
    code = """
import edgefn
app = edgefn.FunctionApp()
@app.generic_trigger(arg_name="tick", type="ticksTrigger", count=1)
@app.event_hub_output(arg_name="a", event_hub_name="plain", connection="Any")
@app.event_hub_output(arg_name="b", event_hub_name="cloud-name", connection="Any")
def f(tick, a: edgefn.Out[str], b: edgefn.Out[str]):
    a.set("1")
    b.set("2")
"""
    document = '{"version": "2.0", "extensions": {"eventHubs": {"outputs": {"cloud-name": "mapped"}}}}'
    host = Host(app_of({"host.json": document, "functions/ticks.py": PLUGIN, "functions/f.py": code}))
    await host.start()
    await host.wait_for_end()
    outputs = host.status()["functions"]["f"]["outputs"]
    await host.stop()
    assert {name: status["output"] for name, status in outputs.items()} == {"a": "plain", "b": "mapped"}
    assert [status["published"] for status in outputs.values()] == [1, 1]


async def test_the_metadata_name_the_event_hub(app_of: AppIn) -> None:
    assert await seen(app_of, "event.metadata['PartitionContext']['EventHubName']") == ["telemetry", "telemetry"]


async def test_the_metadata_of_many_events_are_those_of_all(app_of: AppIn) -> None:
    many = await seen(app_of, "str(event[0].metadata['SystemPropertiesArray'])", trigger=MANY, parameter="event")
    assert all(name in "".join(many) for name in ("m1", "m2", "box-7"))


WAITS = """
import asyncio
import azure.functions as func
app = func.FunctionApp()
GO, SIZES = asyncio.Event(), []
@app.event_hub_message_trigger(arg_name="events", event_hub_name="telemetry", connection="Any", cardinality="many")
async def f(events):
    SIZES.append(len(events))
    await GO.wait()
"""


@pytest.mark.parametrize("most", [1, 3])
async def test_host_json_says_how_many_events_come_at_once(app_of: AppIn, most: int) -> None:
    document = f'{{"version": "2.0", "extensions": {{"eventHubs": {{"maxEventBatchSize": {most}}}}}}}'
    host = Host(app_of({"host.json": document, "functions/f.py": WAITS}))
    await host.start()
    for number in range(8):
        await host.app.services.spool.inbox.on_input(EdgeMessage(b"1", message_id=f"{number}", input_name="telemetry"))
    module = sys.modules["functions.f"]
    module.GO.set()
    await host.stop()
    assert (max(module.SIZES), sum(module.SIZES)) == (most, 8)


@pytest.mark.parametrize("declared", ['{"inputs": ["a"]}', '{"maxEventBatchSize": 0}', '{"outputs": 3}'])
def test_a_wrong_mapping_is_refused_with_its_place(app_of: AppIn, declared: str) -> None:
    document = f'{{"version": "2.0", "extensions": {{"eventHubs": {declared}}}}}'
    with pytest.raises(SettingError, match=r"host.json:1: extensions.eventHubs"):
        app_of({"host.json": document, "functions/nothing.py": ""})
