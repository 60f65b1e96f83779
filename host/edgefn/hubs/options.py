"""``extensions.edgeHub`` of host.json. One host.json serves every hub: each reads the keys that are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from edgefn.extensions import read_extension
from edgefn.function import Options, Seconds
from edgefn.settings import HostConfig

DEFAULT_MODULE = "edgefn"
REPLICA = "EDGEFN_REPLICA"
"""The setting with the name of this host among those of one app at a broker as the hub; without it there is one."""


class EdgeHubOptions(Options):
    """All options, those of the local hub first."""

    module_id: str = DEFAULT_MODULE
    device_id: str = "local"
    routes: dict[str, Any] = Field(default_factory=lambda: {"upstream": "FROM /messages/* INTO $upstream"})
    upstream_max_bytes: int = Field(default=10_000_000, ge=10_000)

    broker: str = ""
    """The address of an MQTT broker that is the hub; empty for none."""
    topic_prefix: str = ""
    """What the topics there begin with; empty for the module's id."""

    keep_alive: int = Field(default=30, ge=2, le=600)
    """Seconds of silence after which the hub is asked for a sign of life; half of what it takes to notice its end."""
    connect_timeout: Seconds = Field(default=10.0, ge=1, le=60)
    ack_timeout: Seconds = Field(default=20.0, ge=1, le=300)
    """Seconds after which a message without acknowledgement has failed, and the connection with it."""
    twin_timeout: Seconds = Field(default=10.0, ge=1, le=300)
    token_lifetime: Seconds = Field(default=3600.0, ge=2, le=86_400)
    max_tls: Literal["1.2", "1.3"] = "1.3"


def edge_hub_options(root: Path, config: HostConfig) -> EdgeHubOptions:
    """The options as host.json declares them; raises SettingError with the place."""
    return read_extension(EdgeHubOptions, root, config, "edgeHub")
