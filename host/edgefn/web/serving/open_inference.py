"""Open Inference (KServe v2) by HTTP, below ``/v2``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from edgefn import __version__
from edgefn.protocols.open_inference import HEADER_LENGTH, read_call, write_reply
from edgefn.sessions.ports import Port
from edgefn.web.replies import Reply
from edgefn.web.serving.catalog import VERSION, Model
from edgefn.web.serving.desk import Desk
from edgefn.web.serving.scores import datatype, only_input, scored

PATH = re.compile(r"/v2/models/(?P<model>[^/]+)(?:/versions/(?P<version>[^/]+))?(?P<act>/ready|/infer)?/?")
JSON = (b"content-type", b"application/json")
BINARY = (b"content-type", b"application/octet-stream")


def json_reply(status: int, document: Any) -> Reply:
    return Reply(status, [JSON], orjson.dumps(document))


def server_described() -> dict[str, Any]:
    """The document at ``/v2``."""
    return {"name": "edgefn", "version": __version__, "extensions": ["binary_tensor_data"]}


def model_described(model: Model) -> dict[str, Any]:
    """The document about one model."""

    def described(port: Port) -> dict[str, Any]:
        return {"name": port.name, "datatype": datatype(port), "shape": model.shape(port)}

    return {
        "name": model.name,
        "versions": [VERSION],
        "platform": "edgefn",
        "inputs": [described(port) for port in model.tensors.inputs],
        "outputs": [described(port) for port in model.tensors.outputs],
    }


async def infer(desk: Desk, name: str, version: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """The reply to a call; raises Fault."""

    def work(model: Model) -> Reply:
        call = read_call(body, headers.get(HEADER_LENGTH))
        inputs = call.inputs if call.raw is None else only_input(model, call.raw)
        text, length = write_reply(name, VERSION, call, scored(model, inputs, list(call.outputs)))
        if length is None:
            return Reply(200, [JSON], text)
        return Reply(200, [BINARY, (HEADER_LENGTH.encode(), str(length).encode())], text)

    return await desk.score("open-inference-http", name, version, work)
