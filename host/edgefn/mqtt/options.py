"""``extensions.mqtt`` of host.json: what holds for every broker."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from edgefn.extensions import read_extension
from edgefn.function import Seconds
from edgefn.mqtt.packets import LARGEST
from edgefn.settings import HostConfig
from edgefn.spool.options import spool_options

LEAST = 65_536
"""Bytes that any broker may send, however small the inbox is: its acknowledgements say why."""


class MqttOptions(BaseModel):
    """All options."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    keep_alive: int = Field(default=30, ge=2, le=600)
    """Seconds of silence after which the broker is asked for a sign of life; its end is noticed in twice the time."""
    connect_timeout: Seconds = Field(default=10.0, ge=1, le=60)
    ack_timeout: Seconds = Field(default=20.0, ge=1, le=300)
    """Seconds after which a packet without acknowledgement has failed, and the connection with it."""
    session_expiry: Seconds = Field(default=86_400.0, ge=0, le=2**32 - 1)
    """Seconds for which the broker keeps messages while the host is away; 0 for not at all."""
    receive_maximum: int = Field(default=64, ge=1, le=1000)
    """Messages that the broker may send before the first is stored and acknowledged."""
    max_packet_size: int | None = Field(default=None, ge=LEAST, le=LARGEST)
    """Bytes of a message, with topic and properties, that the broker may send; as many as the inbox holds where None.
    It drops larger ones, and tells nobody but its log.
    """


def mqtt_options(root: Path, config: HostConfig) -> MqttOptions:
    """The options as host.json declares them; raises SettingError with the place."""
    options = read_extension(MqttOptions, root, config, "mqtt")
    if options.max_packet_size is not None:
        return options
    room = spool_options(config, root).inbox.max_bytes
    return options.model_copy(update={"max_packet_size": max(LEAST, min(room, LARGEST))})
