"""A model in integers of 8 bits, by NNCF, with pictures that show it what it will see. Needs the extra ``int8``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from edgefn.errors import ModelError, listing
from edgefn.sessions.inputs import picture_shape
from edgefn.sessions.model_files import is_quantised, layout_in
from edgefn.sessions.options import OpenVinoOptions
from edgefn.sessions.pictures import FILLS
from edgefn.sessions.ports import port_of

if TYPE_CHECKING:
    from edgefn.sessions.results import Array

GREY = (0.114, 0.587, 0.299)
"""How much of blue, green and red is in a grey picture."""


def quantised(model: Any, pictures: Sequence[Array], options: OpenVinoOptions) -> Any:
    """The model with its calculations in INT8; raises ModelError for one that can not be, and without NNCF."""
    if is_quantised(model):
        raise ModelError(f"model '{options.model}' is quantised already; convert it without --int8")
    ports = [port_of(port) for port in model.inputs]
    layout = layout_in(model.inputs[0], options.layout)
    if len(ports) != 1 or layout is None:
        raise ModelError(
            f"model '{options.model}' has inputs {listing(map(str, ports))};"
            " INT8 by pictures takes a model with one input, for pictures"
        )
    shape = picture_shape(ports[0], layout, options.input_size)
    if tuple(shape) != ports[0].shape:
        model.reshape({model.inputs[0]: shape})
    nncf = _library()
    name, dtype = ports[0].name, ports[0].dtype
    data = nncf.Dataset(pictures, lambda picture: {name: prepared(picture, shape, layout, options).astype(dtype)})
    try:
        return nncf.quantize(model, data, subset_size=len(pictures))
    except (RuntimeError, nncf.ValidationError) as error:
        raise ModelError(f"NNCF does not quantise model '{options.model}': {error}") from error


def _library() -> Any:
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # as in openvino.py
    try:
        import nncf
    except ImportError:
        raise ModelError("--int8 needs NNCF; install it: pip install 'edgefn[int8]'") from None
    logging.getLogger("nncf").setLevel(logging.ERROR)
    return nncf


def prepared(picture: Array, shape: Sequence[int], layout: str, options: OpenVinoOptions) -> Array:
    """The picture as the model itself takes it: what a session folds into the model, done beforehand."""
    import numpy as np

    sizes = dict(zip(layout, shape, strict=True))
    buffer = np.zeros((sizes["H"], sizes["W"], 3), np.uint8)
    FILLS[options.resize]()(picture, buffer)
    data: Array = buffer.astype(np.float32)
    if sizes["C"] == 1:
        data = (data @ np.array(GREY, np.float32))[..., None]
    elif options.color_order == "rgb":
        data = data[..., ::-1]
    data = (data - np.array(options.mean or 0, np.float32)) / np.array(options.scale or 1, np.float32)
    return np.ascontiguousarray(data.transpose(2, 0, 1)[None] if layout == "NCHW" else data[None])
