"""What a hub is started with."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefn.routes import Routes, parse_routes
from edgefn.standin.faults import Fault
from edgefn.standin.router import DEFAULT_TIME_TO_LIVE

EVERYTHING_UPSTREAM = {"upstream": "FROM /messages/* INTO $upstream"}
IOT_HUB = "stand-in.azure-devices.invalid"
DEVICE = "edge"


@dataclass(frozen=True, slots=True)
class Options:
    """Those of the command line, and what its manifest says."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 8883
    gateway: str = ""
    device: str = DEVICE
    iot_hub: str = IOT_HUB
    ack_timeout: float = 30.0
    max_upstream: int = 100_000_000
    routes: Routes = field(default_factory=lambda: parse_routes(EVERYTHING_UPSTREAM))
    time_to_live: float | None = DEFAULT_TIME_TO_LIVE
    modules: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    """The modules of the manifest, with their desired properties where it declares some."""
    warnings: Sequence[str] = ()
    """What to say at the start."""
    faults: Sequence[Fault] = ()

    @property
    def gateway_name(self) -> str:
        """The name that clients look for in the server's certificate."""
        if self.gateway:
            return self.gateway
        return socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host

    @property
    def names(self) -> tuple[str, ...]:
        """All names that the certificate is for."""
        machine = socket.gethostname()
        more = (self.host, "localhost", "127.0.0.1", *([machine] if machine.isascii() else []))
        return tuple(dict.fromkeys((self.gateway_name, *more)))
