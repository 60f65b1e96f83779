"""Topics are the SDK's, letter by letter; sizes are those of the packet and of edgeHub's own sum."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from azure.iot.device import Message
from azure.iot.device.iothub.pipeline import mqtt_topic_iothub as sdk
from hypothesis import given
from hypothesis import strategies as st

from edgefn.contracts import EdgeMessage
from edgefn.errors import TooLarge
from edgefn.hubs.iot_edge import topics
from edgefn.hubs.iot_edge.identity import Identity, SharedKey

KEY = SharedKey(b"", "CONNECTIONSTRING")
MODULE = Identity("hub.azure-devices.net", "edge", "cam", "gateway", KEY)
DEVICE = Identity("hub.azure-devices.net", "edge", "", "gateway", KEY)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = TEXT.filter(bool)


@given(NAME, TEXT, TEXT, TEXT, TEXT, st.dictionaries(NAME.filter(lambda name: "$" not in name), TEXT, max_size=4))
def test_a_message_leaves_on_the_topic_that_the_sdk_would_take(
    output: str, mid: str, cid: str, kind: str, encoding: str, properties: dict[str, str]
) -> None:
    theirs = Message(b"", mid, encoding, kind, output)
    theirs.correlation_id = cid
    theirs.custom_properties = properties
    ours = EdgeMessage(b"", properties, mid, cid, kind, encoding, output_name=output)
    for identity in (MODULE, DEVICE):
        prefix = sdk.get_telemetry_topic_for_publish(identity.device, identity.module)
        assert topics.outgoing(identity, ours) == sdk.encode_message_properties_in_topic(theirs, prefix)


@given(NAME, st.dictionaries(st.sampled_from(["$.mid", "$.cid", "$.ct", "$.ce", "a", "b", "ü&="]), TEXT))
def test_a_message_comes_as_the_sdk_would_read_it(name: str, properties: dict[str, str]) -> None:
    from urllib.parse import quote, urlencode

    topic = f"{topics.inputs(MODULE)}{quote(name, safe='')}/{urlencode(properties, quote_via=quote)}"
    theirs = Message(b"")
    sdk.extract_message_properties_from_topic(topic, theirs)
    ours = topics.incoming(MODULE, topic, b"")
    assert ours.input_name == sdk.get_input_name_from_topic(topic) == name
    assert dict(ours.properties) == theirs.custom_properties
    assert (ours.message_id, ours.correlation_id) == (theirs.message_id or "", theirs.correlation_id or "")
    assert (ours.content_type, ours.content_encoding) == (theirs.content_type or "", theirs.content_encoding or "")


@given(st.integers(100, 599), NAME)
def test_twins_and_methods_are_asked_and_answered_on_the_topics_of_the_sdk(status: int, request: str) -> None:
    assert topics.twin_request("GET", "/", "id") == sdk.get_twin_topic_for_publish("GET", "/", "id")
    assert topics.method_reply(status, request) == sdk.get_method_topic_for_publish(request, status)
    answer = f"$iothub/twin/res/{status}/?$rid=id&$version=3"
    assert topics.twin_answer(answer) == (int(sdk.get_twin_status_code_from_topic(answer)), "id")
    assert topics.filters(MODULE) == [
        sdk.get_input_topic_for_subscribe("edge", "cam"),
        sdk.get_method_topic_for_subscribe(),
        sdk.get_twin_response_topic_for_subscribe(),
        sdk.get_twin_patch_topic_for_subscribe(),
    ]
    assert topics.filters(DEVICE)[0] == sdk.get_c2d_topic_for_subscribe("edge")


def test_a_method_request_is_read_with_its_name_and_id() -> None:
    assert topics.method_request("$iothub/methods/POST/set%20zoom/?$rid=7%2F8") == ("set zoom", "7/8")
    with pytest.raises(ValueError, match="no request id"):
        topics.method_request("$iothub/methods/POST/zoom/?x=1")


def test_what_edge_hub_adds_to_a_message_is_in_its_fields() -> None:
    topic = (
        f"{topics.inputs(MODULE)}in/%24.cdid=edge&%24.cmid=sensor&%24.ctime=2026-11-21T10%3A00%3A00.1234567Z&%24.to=x"
    )
    message = topics.incoming(MODULE, topic, b"1")
    assert (message.connection_device_id, message.connection_module_id) == ("edge", "sensor")
    assert message.created == datetime(2026, 11, 21, 10, 0, 0, 123456, UTC)
    assert dict(message.properties) == {}


def test_the_creation_time_travels_with_a_message() -> None:
    created = datetime(2026, 11, 21, 10, 0, tzinfo=UTC)
    topic = topics.outgoing(MODULE, EdgeMessage(b"", created=created, output_name="o"))
    assert topic.endswith("%24.ctime=2026-11-21T10%3A00%3A00%2B00%3A00")


@pytest.mark.parametrize(
    "properties",
    [{}, {"k": "v"}, {"k" * 100: "é" * 1000}, {f"k{n}": "v" * 500 for n in range(100)}, {"emoji": "😀" * 500}],
)
def test_a_message_fits_or_not_to_the_byte(properties: dict[str, Any]) -> None:
    empty = EdgeMessage(b"", properties, "id", output_name="out")
    topic = topics.outgoing(MODULE, empty)
    room = topics.LARGEST - max(4 + len(topic), topics.size_at_hub(MODULE, empty))
    fits = EdgeMessage(b"x" * room, properties, "id", output_name="out")
    topics.check(MODULE, fits)
    assert topics.outgoing(MODULE, fits) == topic
    with pytest.raises(TooLarge, match="262,145 bytes"):
        topics.check(MODULE, EdgeMessage(b"x" * (room + 1), properties, "id", output_name="out"))
