"""MQTT on the wire: cut anywhere, joined anyhow, or no MQTT at all."""

from __future__ import annotations

import contextlib
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.standin.packets import (
    LONGEST_PACKET,
    PacketError,
    PacketReader,
    publish,
    read_connect,
    read_filters,
)
from edgefn.standin.topics import WIRE_NAMES, joined_properties, split_properties

PACKETS = st.lists(st.binary(max_size=300), min_size=1, max_size=5)


@given(PACKETS, st.lists(st.integers(0, 1600), max_size=6))
def test_packets_are_the_same_wherever_the_stream_is_cut(bodies: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(publish("t", body, packet_id=1) for body in bodies)
    reader = PacketReader()
    marks = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    parts = [stream[start:end] for start, end in itertools.pairwise(marks)]
    found = [packet for part in parts for packet in reader.feed(part)]
    assert [(first, body[5:]) for first, body in found] == [(0x32, body) for body in bodies]
    assert reader.waiting == 0


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, LONGEST_PACKET])
def test_lengths_are_read_as_they_are_written(size: int) -> None:
    packet = publish("t", b"x" * max(0, size - 5), packet_id=1)
    [(_, body)] = PacketReader().feed(packet)
    assert len(body) == max(size, 5)


def test_a_packet_above_the_limit_is_refused_before_it_is_there() -> None:
    head = publish("t", b"x" * LONGEST_PACKET, packet_id=1)[:4]
    with pytest.raises(PacketError, match="a packet of 262149 bytes"):
        list(PacketReader().feed(head))


@given(st.binary(max_size=200))
def test_nonsense_is_a_packet_error_or_nothing(data: bytes) -> None:
    with contextlib.suppress(PacketError):
        list(PacketReader().feed(data))
    with contextlib.suppress(PacketError):
        read_connect(data)
    for with_qos in (True, False):
        with contextlib.suppress(PacketError):
            read_filters(data, with_qos=with_qos)


@given(st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=5), max_size=5))
def test_properties_survive_the_way_through_a_topic(properties: dict[str, str]) -> None:
    own = {name: value for name, value in properties.items() if not name.startswith("$") and name not in WIRE_NAMES}
    joined = joined_properties(own, {"messageId": "m 1", "outputName": "stays here"})
    assert "/" not in joined
    assert "+" not in joined
    assert split_properties(joined) == (own, {"messageId": "m 1"})
