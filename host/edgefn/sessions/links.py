"""Open Inference (KServe v2) from the client's side: one connection to a model on another server, by HTTP or gRPC."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import SplitResult, quote

import numpy as np
import orjson

from edgefn.errors import ModelError
from edgefn.protocols import open_inference_grpc as over_grpc
from edgefn.protocols.malformed import Malformed
from edgefn.protocols.messages import grpc_library, message, parsed
from edgefn.protocols.open_inference import HEADER_LENGTH, read_reply, write_call
from edgefn.protocols.tensors import TYPES, Array
from edgefn.sessions.far import MOST_BYTES, Rejected, Unavailable, Wire, address_of, check_status
from edgefn.sessions.ports import Port

SCHEMES = ("http", "https", "grpc", "grpcs")
WORDS = {"BOOL": "boolean", "FP16": "f16", "FP32": "f32", "FP64": "f64", "BYTES": "string"}
"""How ports are described here; other types are those of the protocol in short."""
PASSING = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "UNKNOWN", "ABORTED"})
"""Codes of gRPC after which the same call may succeed."""
CHANNEL = (
    ("grpc.max_receive_message_length", MOST_BYTES),
    ("grpc.max_send_message_length", MOST_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),  # a server that is back is to be found back
)


class Place(NamedTuple):
    """Where a model is: ``http://host:8000/name``, also with a path before, and ``/versions/1`` behind."""

    address: SplitResult
    prefix: str
    model: str
    version: str

    def __str__(self) -> str:
        version = f"/versions/{self.version}" if self.version else ""
        return f"{self.address.scheme}://{self.address.netloc}{self.prefix}/{self.model}{version}"


def place_of(url: str) -> Place:
    """The place that an address names, whose path may also be the protocol's own; raises ModelError."""
    address = address_of(url)
    parts = [part for part in address.path.split("/") if part]
    version = ""
    if len(parts) > 2 and parts[-2] == "versions":
        version = parts[-1]
        parts = parts[:-2]
    if not parts or address.scheme not in SCHEMES:
        raise ModelError(f"model '{url}' names no model; right would be http://host:8000/name or grpc://host:9000/name")
    *before, model = parts
    if before[-2:] == ["v2", "models"]:
        before = before[:-2]
    return Place(address, "".join(f"/{part}" for part in before), model, version)


class Metadata(NamedTuple):
    """What a server says of a model."""

    inputs: list[Port]
    outputs: list[Port]


class Link(Protocol):
    """One connection to a model. Its methods raise Unavailable and Rejected."""

    def metadata(self, seconds: float) -> Metadata:
        """What the server says of the model."""

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str], seconds: float) -> Mapping[str, Array]:
        """The outputs for these inputs."""

    def close(self) -> None: ...


def link_to(place: Place, headers: Mapping[str, str]) -> Link:
    """A connection, which is made when it is first used; raises EdgefnError when gRPC is not installed."""
    return HttpLink(place, headers) if place.address.scheme in ("http", "https") else GrpcLink(place, headers)


def port_said(name: str, datatype: str, shape: Sequence[Any]) -> Port:
    """An input or output as a server describes it; raises Rejected for a shape that no message could hold."""
    sizes = tuple(int(n) for n in shape)
    if any(n < -1 for n in sizes) or math.prod(max(n, 1) for n in sizes) > MOST_BYTES:
        raise Rejected(f"the server says that '{name}' has the shape {list(sizes)}, which no message could hold")
    dtype = np.dtype(TYPES[datatype]) if datatype in TYPES else None
    word = WORDS.get(datatype) or datatype.lower().replace("uint", "u").replace("int", "i")
    return Port(str(name), sizes, word, dtype)


class HttpLink:
    """By HTTP, tensors in binary."""

    def __init__(self, place: Place, headers: Mapping[str, str]) -> None:
        self._place = place
        self._wire = Wire(place.address, headers)
        version = f"/versions/{quote(place.version)}" if place.version else ""
        self._path = f"{place.prefix}/v2/models/{quote(place.model)}{version}"

    def metadata(self, seconds: float) -> Metadata:
        answer = self._wire.ask("GET", self._path, b"", {}, seconds)
        check_status(answer, str(self._place), _error(answer.body))
        try:
            document = orjson.loads(answer.body)
            inputs, outputs = (
                [port_said(port["name"], port["datatype"], port["shape"]) for port in document[key]]
                for key in ("inputs", "outputs")
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise Rejected(f"{self._place} does not speak Open Inference: no inputs and outputs ({error})") from None
        return Metadata(inputs, outputs)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str], seconds: float) -> Mapping[str, Array]:
        body, length = write_call(inputs, outputs)
        headers = {HEADER_LENGTH: str(length), "content-type": "application/octet-stream"}
        answer = self._wire.ask("POST", f"{self._path}/infer", body, headers, seconds)
        check_status(answer, str(self._place), _error(answer.body))
        try:
            return read_reply(answer.body, answer.headers.get(HEADER_LENGTH))
        except Malformed as error:
            raise Unavailable(f"{self._place} gave no reply that can be read: {error}") from None

    def close(self) -> None:
        self._wire.close()


def _error(body: bytes) -> str:
    """What a server says is wrong: ``{"error": "..."}``, else the beginning of the text."""
    try:
        return str(orjson.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return " ".join(body[:300].decode(errors="replace").split())


class GrpcLink:
    """By gRPC, tensors in raw contents."""

    def __init__(self, place: Place, headers: Mapping[str, str]) -> None:
        self._grpc = grpc_library()
        self._place = place
        self._headers = [(name.lower(), value) for name, value in headers.items()]
        target, secure = place.address.netloc, place.address.scheme == "grpcs"
        self._channel = (
            self._grpc.secure_channel(target, self._grpc.ssl_channel_credentials(), CHANNEL)
            if secure
            else self._grpc.insecure_channel(target, CHANNEL)
        )

    def metadata(self, seconds: float) -> Metadata:
        asked = message("inference", "ModelName")(name=self._place.model, version=self._place.version)
        content = self._call("ModelMetadata", asked.SerializeToString(), seconds)
        try:
            model = parsed(message("inference", "Model"), content)
        except Malformed as error:
            raise Rejected(f"{self._place} does not speak Open Inference: {error}") from None
        inputs, outputs = (
            [port_said(port.name, port.datatype, port.shape) for port in ports]
            for ports in (model.inputs, model.outputs)
        )
        return Metadata(inputs, outputs)

    def infer(self, inputs: Mapping[str, Array], outputs: Sequence[str], seconds: float) -> Mapping[str, Array]:
        call = over_grpc.write_call(self._place.model, self._place.version, inputs, outputs)
        try:
            return over_grpc.read_reply(self._call("ModelInfer", call, seconds))
        except Malformed as error:
            raise Unavailable(f"{self._place} gave no reply that can be read: {error}") from None

    def _call(self, method: str, content: bytes, seconds: float) -> bytes:
        stub = self._channel.unary_unary(f"/{over_grpc.SERVICE}/{method}")
        try:
            return stub(content, timeout=seconds, metadata=self._headers)  # type: ignore[no-any-return]
        except self._grpc.RpcError as error:
            code, details = error.code().name, " ".join((error.details() or "").split())
            said = f"no answer within {seconds:g} s" if code == "DEADLINE_EXCEEDED" else f"{code}: {details[:300]}"
            raise (Unavailable if code in PASSING else Rejected)(f"{self._place}: {said}") from None

    def close(self) -> None:
        self._channel.close()
