"""What host.json says of serving models: ``extensions.serving``. Without it, none is served."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgefn.extensions import read_extension
from edgefn.function import Options, Truth, Word
from edgefn.picture_heads import MOST_PIXELS
from edgefn.settings import At, HostConfig
from edgefn.web.options import MIB


class ServingOptions(Options):
    """``extensions.serving`` of host.json."""

    http: Annotated[bool, Truth] = False
    """Serve on the host's own web server: Open Inference below ``/v2``, TensorFlow Serving's REST below ``/v1``."""
    grpc_port: int | None = Field(default=None, ge=0, le=65535)
    """Serve by gRPC on this port, both protocols; 0 for any that is free. Without it, not by gRPC."""
    address: str | None = None
    """The address of the gRPC port; without it, that of the web server."""
    auth_level: Annotated[Literal["anonymous", "function"], Word] = "function"
    """Whose keys are asked for where the host asks for keys at all."""
    models: dict[str, str] = Field(default_factory=dict)
    """The name of each model that is served, with its session, ``function.parameter``. Without any, all sessions are
    served, by the names of their files."""
    max_concurrent_requests: int = Field(default=64, ge=1)
    """Requests that run or wait; beyond it 503, RESOURCE_EXHAUSTED."""
    max_request_bytes: int = Field(default=16 * MIB, ge=1)
    max_pixels: int = Field(default=MOST_PIXELS, ge=1)
    """Of all pictures in one request, which are three bytes each once they are decoded."""

    @property
    def is_on(self) -> bool:
        return self.http or self.grpc_port is not None

    def ports(self, web: int) -> list[int]:
        """The ports that clients call; ``web`` is that of the web server."""
        return [*([web] if self.http else []), *([self.grpc_port] if self.grpc_port else [])]


def served_at(root: Path, config: HostConfig) -> At:
    """Where an option of ``extensions.serving`` is said, or a part of it."""
    return functools.partial(config.at, root, "extensions", "serving")


def serving_options(root: Path, config: HostConfig) -> ServingOptions:
    """Reads ``extensions.serving``; raises SettingError."""
    return read_extension(ServingOptions, root, config, "serving")
