"""The messages of both protocols over gRPC, as classes of protobuf.

They are made of a descriptor that comes with the package (messages.binpb, from the .proto files beside it), in a pool
of their own: an app may import other programs' definitions of the same protocols into the same process.

    python -m grpc_tools.protoc -I. --descriptor_set_out=messages.binpb open_inference.proto tensorflow_serving.proto
"""

from __future__ import annotations

import functools
import importlib
import os
from importlib import resources
from typing import Any

from edgefn.errors import EdgefnError
from edgefn.protocols.malformed import Malformed

QUIET = {"GRPC_VERBOSITY": "ERROR", "GRPC_ENABLE_FORK_SUPPORT": "false"}
"""For gRPC, which reads it once: it would write lines of its own about each process that is started from this one."""


def grpc_library() -> Any:
    """gRPC's module; raises EdgefnError where the extra is not installed."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        importlib.import_module("google.protobuf")
        return importlib.import_module("grpc")
    except ImportError:
        raise EdgefnError("gRPC is not installed; right would be: pip install 'edgefn[serving]'") from None


@functools.cache
def message(package: str, name: str) -> Any:
    """The class of a message: of ``inference`` or of ``tensorflow``."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(descriptors().FindMessageTypeByName(f"edgefn.{package}.{name}"))


@functools.cache
def descriptors() -> Any:
    """The pool of all messages."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    content = resources.files("edgefn.protocols").joinpath("messages.binpb").read_bytes()
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        pool.Add(file)
    return pool


def parsed(kind: Any, content: bytes) -> Any:
    """The message of a class in these bytes; raises Malformed."""
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(content)
    except DecodeError:
        raise Malformed(f"the message is no {kind.DESCRIPTOR.name}") from None
