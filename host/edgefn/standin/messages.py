"""A message on its way through the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LARGEST_MESSAGE = 262_144
"""Bytes of body, property names and values that edgeHub takes; it acknowledges and drops what is larger."""

SENDER = "hub"
"""The module that injected messages seem to come from, unless they say another."""

_OWN_PROPERTIES = len("edgeMessageIdedgeHubOriginInterfaceinternalenqueuedTime") + 36 + 28
"""What edgeHub adds to each message before it measures."""


@dataclass(slots=True)
class Message:
    """As routes see it; see edgefn.routes.RoutedMessage."""

    source: str
    device: str
    module: str
    properties: Mapping[str, str]
    system_properties: Mapping[str, str]
    body: bytes

    @property
    def size(self) -> int:
        """As edgeHub measures it: the body, and names and values of all properties."""
        size = len(self.body) + _OWN_PROPERTIES
        for properties in (self.properties, self.system_properties):
            for name, value in properties.items():
                size += len(name) + len(value)
        return size


@dataclass(frozen=True, slots=True)
class Injected:
    """A message that ``send`` puts into the queue of a module."""

    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    system: Mapping[str, str] = field(default_factory=dict)
    sender: str = SENDER
