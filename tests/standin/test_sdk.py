"""Microsoft's SDK against the stand-in: what works there should work on edgeHub."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from unittest.mock import patch

import pytest
from azure.iot.device import MethodRequest, MethodResponse
from azure.iot.device.aio import IoTHubDeviceClient
from azure.iot.device.exceptions import ClientError, CredentialError

from edgefn.standin.control import Outgoing
from tests.standin.hubs import LONGEST, HubProcess, running_hub, wait_until
from tests.standin.sdk import Kept, created, message, sdk_module

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves sockets open


async def test_a_message_to_an_output_arrives_upstream_with_all_its_properties(hub: HubProcess) -> None:
    sent = message('{"a": 1}', **{"kind ü": "a&b=c/d", "empty": ""})
    sent.message_id, sent.correlation_id, sent.user_id = "id-1", "c-1", "u-1"
    async with sdk_module(hub.env("out")) as client:
        await client.send_message_to_output(sent, "detections")
    [arrived] = [found for found in hub.control.upstream() if found.module == "out"]
    assert (arrived.device, arrived.output, arrived.id) == ("edge", "detections", "id-1")
    assert (arrived.content_type, arrived.json()) == ("application/json", {"a": 1})
    assert arrived.properties == {"kind ü": "a&b=c/d", "empty": ""}
    assert arrived.system == {
        "outputName": "detections",
        "messageId": "id-1",
        "cid": "c-1",
        "userId": "u-1",
        "contentType": "application/json",
        "contentEncoding": "utf-8",
        "connectionDeviceId": "edge",
        "connectionModuleId": "out",
    }


async def test_many_messages_at_once_arrive_each_once(hub: HubProcess) -> None:
    async with sdk_module(hub.env("many")) as client:
        await asyncio.gather(*(client.send_message_to_output(str(number), "o") for number in range(200)))
    texts = [found.text for found in hub.control.upstream() if found.module == "many"]
    assert sorted(texts, key=int) == [str(number) for number in range(200)]


async def test_a_message_without_an_output_arrives_as_one_of_the_module(hub: HubProcess) -> None:
    async with sdk_module(hub.env("plain")) as client:
        await client.send_message("hello")
    [arrived] = [found for found in hub.control.upstream() if found.module == "plain"]
    assert (arrived.output, arrived.text) == ("", "hello")


async def test_an_input_receives_with_properties_and_the_sender(hub: HubProcess) -> None:
    sent = Outgoing("hello", {"k ü": "v&/="}, id="m1", content_type="text/plain", sender="cam")
    async with sdk_module(hub.env("in")) as client:
        client.on_message_received = came = Kept()
        hub.control.send("in", "commands/all", sent)
        received = await came.next()
    assert (received.data, received.input_name) == (b"hello", "commands/all")
    assert (received.message_id, received.content_type) == ("m1", "text/plain")
    assert received.custom_properties == {"k ü": "v&/=", "$.cdid": "edge", "$.cmid": "cam"}


async def test_a_module_that_connects_late_finds_its_messages_in_order(hub: HubProcess) -> None:
    hub.control.send("late", "in", *map(str, range(50)))
    async with sdk_module(hub.env("late")) as client:
        client.on_message_received = came = Kept()
        assert [(await came.next()).data for _ in range(50)] == [str(number).encode() for number in range(50)]
    wait_until(lambda: hub.client("late")["queued"] == 0)


async def test_the_twin_is_read_and_its_reported_properties_are_patched(hub: HubProcess) -> None:
    async with sdk_module(hub.env("twin")) as client:
        assert await client.get_twin() == {"desired": {"$version": 1}, "reported": {"$version": 1}}
        await client.patch_twin_reported_properties({"state": {"a": 1, "b": 2}})
        await client.patch_twin_reported_properties({"state": {"a": None}})
        assert (await client.get_twin())["reported"] == {"state": {"b": 2}, "$version": 3}
    assert hub.control.twin("twin")["reported"] == {"state": {"b": 2}, "$version": 3}


async def test_reported_properties_that_edgehub_refuses_are_refused(hub: HubProcess) -> None:
    async with sdk_module(hub.env("wrong-twin")) as client:
        with pytest.raises(ClientError) as raised:
            await client.patch_twin_reported_properties({"a.b": 1})
        assert "400" in str(raised.value.__cause__)
        assert (await client.get_twin())["reported"] == {"$version": 1}


async def test_a_change_of_desired_properties_is_told_with_its_version(hub: HubProcess) -> None:
    async with sdk_module(hub.env("desired")) as client:
        client.on_twin_desired_properties_patch_received = came = Kept()
        hub.control.set_twin("desired", {"interval": 5, "gone": 1})
        assert await came.next() == {"interval": 5, "gone": 1, "$version": 2}
        hub.control.set_twin("desired", {"interval": 6}, replace=True)
        assert await came.next() == {"interval": 6, "gone": None, "$version": 3}
        assert (await client.get_twin())["desired"] == {"interval": 6, "$version": 3}


async def test_a_direct_method_is_answered(hub: HubProcess) -> None:
    async with sdk_module(hub.env("methods")) as client:

        async def answer(request: MethodRequest) -> None:
            payload = {"name": request.name, "got": request.payload}
            await client.send_method_response(MethodResponse.create_from_method_request(request, 201, payload))

        client.on_method_request_received = answer
        answered = await asyncio.to_thread(hub.control.invoke, "methods", "take picture", {"n": 1})
    assert (answered.status, answered.payload) == (201, {"name": "take picture", "got": {"n": 1}})


async def test_a_method_that_nobody_answers_is_504(hub: HubProcess) -> None:
    async with sdk_module(hub.env("mute")) as client:
        client.on_method_request_received = Kept()
        answered = await asyncio.to_thread(hub.control.invoke, "mute", "m", response_timeout=0.1)
    assert answered.status == 504


async def test_the_debug_environment_needs_no_workload_api(hub: HubProcess) -> None:
    async with sdk_module(hub.debug_env("debug")) as client:
        await client.send_message_to_output("hello", "out")
    assert [found.text for found in hub.control.upstream() if found.module == "debug"] == ["hello"]


async def test_a_leaf_device_sends_receives_methods_and_has_a_twin(hub: HubProcess) -> None:
    variables = hub.device_env("thermometer")
    with patch.dict(os.environ, variables):
        client = IoTHubDeviceClient.create_from_connection_string(variables["CONNECTIONSTRING"])
    try:
        client.on_message_received = Kept()  # messages from the cloud may be subscribed to
        client.on_method_request_received = came = Kept()
        await client.connect()
        await client.send_message("21.5")
        await client.patch_twin_reported_properties({"unit": "C"})
        asked = asyncio.create_task(asyncio.to_thread(hub.control.invoke, "thermometer", "reset"))
        request = await came.next()
        await client.send_method_response(MethodResponse.create_from_method_request(request, 200))
        assert (await asked).status == 200
    finally:
        await client.shutdown()
    [arrived] = [found for found in hub.control.upstream() if found.device == "thermometer"]
    assert (arrived.module, arrived.output, arrived.text) == ("", "", "21.5")
    assert hub.control.twin("thermometer")["reported"] == {"unit": "C", "$version": 2}


async def test_after_a_sigkill_the_sdk_goes_on_with_its_session(tmp_path: Path) -> None:
    with running_hub(tmp_path) as hub:
        async with sdk_module(hub.env("cam"), connection_retry_interval=1) as client:
            client.on_message_received = came = Kept()
            await client.send_message_to_output("before", "out")
            hub.control.send("cam", "in", "one")
            assert (await came.next()).data == b"one"
            wait_until(lambda: hub.client("cam")["queued"] == 0)
            hub.restart()
            hub.control.send("cam", "in", "two")
            assert (await came.next()).data == b"two"
            await client.send_message_to_output("after", "out")
            assert [found.text for found in hub.control.upstream()] == ["before", "after"]


async def test_a_wrong_key_is_refused(hub: HubProcess) -> None:
    variables = hub.debug_env("wrong")
    other = hub.debug_env("other")["EdgeHubConnectionString"].partition("SharedAccessKey=")[2].partition(";")[0]
    own = variables["EdgeHubConnectionString"].partition("SharedAccessKey=")[2].partition(";")[0]
    variables["EdgeHubConnectionString"] = variables["EdgeHubConnectionString"].replace(own, other)
    client = created(variables, connection_retry=False)
    with pytest.raises(CredentialError):
        await asyncio.wait_for(client.connect(), LONGEST)
    await client.shutdown()
    assert own not in hub.log
    assert other not in hub.log


def test_a_wrong_generation_and_an_unknown_module_get_no_signature(hub: HubProcess) -> None:
    for name, value in (("IOTEDGE_MODULEGENERATIONID", "1"), ("IOTEDGE_MODULEID", "nobody")):
        with pytest.raises(Exception, match=r"Unable|Could not"):
            created({**hub.env("real"), name: value})


async def test_a_renewed_token_costs_nothing(hub: HubProcess) -> None:
    """The SDK renews two minutes before the end: with a lifetime of 121 s that is after one second."""
    async with sdk_module(hub.env("renew"), sastoken_ttl=121, connection_retry_interval=1) as client:
        sent = 0

        def renewed() -> bool:
            return hub.log.count("edge/renew connected") > 1

        while not renewed():
            await asyncio.wait_for(client.send_message_to_output(str(sent), "out"), LONGEST)
            sent += 1
            await asyncio.sleep(0.02)
        await client.send_message_to_output(str(sent), "out")
    texts = [found.text for found in hub.control.upstream() if found.module == "renew"]
    assert sorted(set(texts), key=int) == [str(number) for number in range(sent + 1)]
