"""What travels: frames of video sources, and messages of edgeHub and of brokers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One picture of a video source."""

    image: NDArray[np.uint8]
    """H x W x 3, uint8, BGR (OpenCV's order). Shared with other functions on the source: copy before drawing."""
    id: int
    """Number of the frame in its source, from 0; goes on counting when a clip loops or a camera is reopened."""
    timestamp: datetime
    """When the frame was captured, UTC."""
    position: float
    """Media time of the frame in seconds from the beginning of the clip or stream."""
    source: str
    """The source as declared, without credentials."""
    fps: float
    """Frames a second that the source claims; 0.0 when it does not say."""
    item: str = ""
    """The name of the file, where the source is a folder of pictures."""


@dataclass(frozen=True, slots=True)
class EdgeMessage:
    """A message of edgeHub: what comes to a module's input, or leaves by a module's output. Or one of an MQTT broker.

    Names follow the system properties of IoT Hub messages.
    """

    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    message_id: str = ""
    correlation_id: str = ""
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    created: datetime | None = None
    """Creation time, UTC."""
    connection_device_id: str = ""
    connection_module_id: str = ""
    output_name: str = ""
    input_name: str = ""
    topic: str = ""
    """The topic that it came by, or is for, where an MQTT broker has it."""
    retain: bool = False
    """Whether the broker keeps it, or kept it, for those who subscribe later."""
    qos: int = 1
    """MQTT's quality of service, 0 or 1: whether the broker acknowledges it."""
    is_json: bool = field(default=False, compare=False, repr=False)
    """Whether the body is known to be JSON in UTF-8, so that nobody has to look."""

    @property
    def size(self) -> int:
        """Bytes of body, properties and system properties: what edgeHub's limit of 262,144 is about."""
        texts = (self.message_id, self.correlation_id, self.content_type, self.content_encoding, self.output_name)
        properties = sum(len(name.encode()) + len(text.encode()) for name, text in self.properties.items())
        return len(self.body) + properties + sum(len(text.encode()) for text in texts)

    @property
    def text(self) -> str:
        """The body as text, in the message's encoding (UTF-8 when it names none).

        Raises ValueError for a body that is none, and LookupError for an encoding that nobody knows.
        """
        return self.body.decode(self.content_encoding or "utf-8")

    def json(self) -> Any:
        """The body as a JSON value; raises ValueError when it is none, and as ``text`` does."""
        import orjson

        return orjson.loads(self.text)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to the hub, with what its output says of it."""

    message: EdgeMessage
    when_full: str = ""
    """``block``, ``drop_oldest``, ``drop_newest`` or ``dead_letter``; empty for what the spool's options say."""
    ttl: float | None = None
    """Seconds after which it is worth nothing; None for as long as the spool keeps messages."""
    destination: str = ""
    """The name of the broker that it is for; empty for the hub."""
