"""A message on its way through the hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LARGEST_MESSAGE = 262_144
"""Bytes of body, property names and values that edgeHub takes; it acknowledges and drops what is larger."""

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
