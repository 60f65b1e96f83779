"""``extensions.eventHubs`` of host.json: what Azure's event hubs are called at edgeHub. It has more, for the cloud."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from edgefn.extensions import read_extension
from edgefn.settings import HostConfig


class EventHubs(BaseModel):
    """What is read of ``extensions.eventHubs``."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True)

    inputs: dict[str, str] = Field(default_factory=dict)
    """Inputs of the module by the names of event hubs; without an entry they are the same."""
    outputs: dict[str, str] = Field(default_factory=dict)
    max_event_batch_size: int = Field(default=100, ge=1)
    """The longest list of a function with ``cardinality`` ``many``."""


def event_hubs(root: Path, config: HostConfig) -> EventHubs:
    """The options as host.json declares them; raises SettingError."""
    return read_extension(EventHubs, root, config, "eventHubs")
