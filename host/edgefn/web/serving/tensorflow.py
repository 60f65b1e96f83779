"""TensorFlow Serving by REST, below ``/v1``; and what both of its forms say of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from edgefn.protocols import tensorflow
from edgefn.sessions.ports import Port
from edgefn.web.replies import Reply
from edgefn.web.serving.catalog import VERSION, Model
from edgefn.web.serving.desk import Desk
from edgefn.web.serving.open_inference import JSON
from edgefn.web.serving.scores import scored

PATH = re.compile(r"/v1/models/(?P<model>[^/:]+)(?:/versions/(?P<version>[^/:]+))?(?P<act>/metadata|:predict)?/?")


def described(model: Model, ports: Sequence[Port]) -> tensorflow.Described:
    """Tensors as the protocol describes them; a type that it has not is 0, no type."""
    return [
        (port.name, 0 if port.dtype is None else tensorflow.number_of(port.dtype), model.shape(port)) for port in ports
    ]


async def predict(desk: Desk, name: str, version: str, body: bytes) -> Reply:
    """The reply to a call; raises Fault."""

    def work(model: Model) -> Reply:
        inputs, as_rows = tensorflow.read_prediction(body, [port.name for port in model.tensors.inputs])
        return Reply(200, [JSON], tensorflow.write_rest(scored(model, inputs), as_rows=as_rows))

    return await desk.score("tensorflow-http", name, version, work)


def metadata(model: Model) -> dict[str, object]:
    """The document about one model."""
    tensors = model.tensors
    return tensorflow.metadata_document(
        model.name, VERSION, described(model, tensors.inputs), described(model, tensors.outputs)
    )


def state(desk: Desk, name: str, version: str) -> int:
    """The state of a model; raises Fault for one that there is not."""
    return tensorflow.AVAILABLE if desk.is_ready(name, version) else tensorflow.START
