"""Models on CPU, GPU and NPU by OpenVINO: IR, ONNX, TensorFlow .pb, TFLite.

A model is compiled once for each recipe - file, device, preparation - and shared by all sessions that ask for the
same. Layout, type, colour order, mean and scale are folded into it; pictures are resized straight into the input
buffer of a request.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edgefn.contracts import Needs, Session, SessionKind, Task
from edgefn.errors import ModelError, why
from edgefn.function import Binding
from edgefn.hookspecs import hookimpl
from edgefn.sessions.devices import Choice, DeviceError, choose
from edgefn.sessions.files import find_model
from edgefn.sessions.inputs import find_picture, layout_of, picture_shape
from edgefn.sessions.machine import machine_needs
from edgefn.sessions.options import OpenVinoOptions
from edgefn.sessions.ports import name_of, port_of
from edgefn.sessions.recipes import Recipe, recipe_of
from edgefn.sessions.rewrites import rewrite

if TYPE_CHECKING:
    import openvino

    from edgefn.contracts import OptionsModel
    from edgefn.sessions.opened import OpenedModel, Quantum, Slot
    from edgefn.sessions.ports import Port

logger = logging.getLogger(__name__)

ALONE = threading.Lock()
"""OpenVINO's binding can hang for ever when the first types and arrays of a process pass between it and numpy in
several threads at once: its tables of types, made at the first use, import numpy and so let go of Python's lock. So the
tables are made, requests are bound, and each model runs for the first time, in one thread at a time."""

SPARE = 2
"""Requests beyond the streams: while all streams run, one is filled and one is read (docs/architecture.md)."""


@hookimpl
def edgefn_session_kinds(root: Path, state: Path) -> Sequence[SessionKind]:
    return [OpenVinoKind(root, state)]


class OpenVinoKind:
    """Opens models with OpenVINO. A compiled model lives as long as a session on it, or until ``close``."""

    name = "openvino"
    options: OptionsModel = OpenVinoOptions

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._state = state
        self._models: weakref.WeakValueDictionary[Recipe, OpenedModel] = weakref.WeakValueDictionary()
        self._gates: dict[Recipe, threading.Lock] = {}
        self._lock = threading.Lock()
        self._core: openvino.Core | None = None
        self._closed = False

    def open(self, binding: Binding, task: Task) -> Session:
        """Raises ModelError for a model, device, name or shape that can not be used; its text lists what there is."""
        from edgefn.sessions.tasks import open_session

        options = cast("OpenVinoOptions", binding.options)
        try:
            path = find_model(options.model, self._root)
            model, device = self._model(options, path)
            session = open_session(model, task, options, path, self._root, device)
        except ModelError as error:
            raise ModelError(f"{binding.where()}: {error}") from error.__cause__
        logger.info("%s opened '%s' on %s", binding.where(), model.name, model.facts["device"])
        return session

    def needs(self, binding: Binding) -> Needs:
        """The files of the model, and what its devices are reached by."""
        return machine_needs(cast("OpenVinoOptions", binding.options), self._root, binding.settings)

    def close(self) -> None:
        """Ends the threads of all models and lets go of OpenVINO; sessions raise ModelError from now on."""
        with self._lock:
            self._closed = True
            models = list(self._models.values())
            self._core = None
        for model in models:
            model.requests.close()

    def _model(self, options: OpenVinoOptions, path: Path) -> tuple[OpenedModel, dict[str, Any]]:
        about = {"asked": options.device, "fallbacks": 0, "note": ""}
        try:
            choice = self._choose(options.device)
            return self._shared(options, path, choice), about | {"note": choice.note}
        except DeviceError as error:
            if options.fallback is None:
                raise
            choice, model = self._fallback(options, path, error)
            note = f"{error}; fell back to {choice.device}"
            logger.warning("model '%s': %s", model.name, note)
            return model, about | {"fallbacks": 1, "note": note}

    def _fallback(self, options: OpenVinoOptions, path: Path, first: DeviceError) -> tuple[Choice, OpenedModel]:
        try:
            choice = self._choose(options.fallback or "")
            return choice, self._shared(options, path, choice)
        except DeviceError as error:
            raise ModelError(f"{first}; nor can its fallback be used: {error}") from error

    def _choose(self, device: str) -> Choice:
        return choose(device, self._opened_core().available_devices)

    def _shared(self, options: OpenVinoOptions, path: Path, choice: Choice) -> OpenedModel:
        recipe = recipe_of(options, path, choice.device, self._root, self._state)
        with self._lock:
            gate = self._gates.setdefault(recipe, threading.Lock())
        with gate:
            model = self._models.get(recipe)
            if model is None:
                model = compile_model(self._opened_core(), recipe)
                facts = model.facts
                logger.info("Compiled %s for %s in %.2f s", facts["model"], facts["device"], facts["compile_seconds"])
                self._keep(recipe, model)
        return model

    def _keep(self, recipe: Recipe, model: OpenedModel) -> None:
        with self._lock:
            self._models[recipe] = model
        if self._closed:
            model.requests.close()

    def _opened_core(self) -> openvino.Core:
        with ALONE:
            if self._closed:
                raise ModelError("the host is stopping; no model is opened any more")
            if self._core is None:
                self._core = new_core()
            return self._core


def library() -> Any:
    """OpenVINO, which would tell its makers of each import: without that package it has nobody to tell it by."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def new_core() -> openvino.Core:
    """OpenVINO's core, when its binding has made its tables of types."""
    import numpy as np

    ov = library()
    core: openvino.Core = ov.Core()
    ov.Tensor(np.zeros(1, np.float32)).data.sum()
    ov.Type.f32.to_dtype()
    return core


def present_devices() -> dict[str, str]:
    """The devices of this machine, with the names that their makers gave them; raises ModelError without OpenVINO."""
    try:
        core = library().Core()
        return {name: str(core.get_property(name, "FULL_DEVICE_NAME")) for name in core.available_devices}
    except (ImportError, RuntimeError) as error:
        raise ModelError(
            f"OpenVINO can not be used: {reason_of(error)}; pip install --force-reinstall openvino"
        ) from None


# --- a recipe becomes a compiled model ---------------------------------------------------------------------------


def compile_model(core: openvino.Core, recipe: Recipe) -> OpenedModel:
    """Reads, folds and compiles; takes seconds. Raises ModelError, and DeviceError when the device refuses."""
    from edgefn.sessions.opened import OpenedModel
    from edgefn.sessions.requests import Requests

    model = read_model(core, recipe.path)
    quanta = {name_of(output): quantum for output in model.outputs if (quantum := _quantum(output))}
    picture = _fold(model, recipe) if recipe.prepare else None
    if recipe.device == "CPU":
        rewrite(model, picture)
    inputs, outputs = list(map(port_of, model.inputs)), list(map(port_of, model.outputs))
    began = time.perf_counter()
    try:
        compiled = core.compile_model(model, recipe.device, _config(recipe))
        took = time.perf_counter() - began
        streams = _property(compiled, "NUM_STREAMS") or _property(compiled, "OPTIMAL_NUMBER_OF_INFER_REQUESTS") or 1
        with ALONE:
            slots = [_slot(compiled, inputs, outputs, picture) for _ in range(recipe.requests or int(streams) + SPARE)]
            slots[0].run()
    except RuntimeError as error:
        raise DeviceError(f"model '{recipe.path.name}' does not run on {recipe.device}: {reason_of(error)}") from error
    facts = {
        "model": recipe.path.name,
        "device": slots[0].device(),
        "precision": _precision(compiled),
        "streams": int(streams),
        "inputs": list(map(str, inputs)),
        "outputs": list(map(str, outputs)),
        "compile_seconds": round(took, 3),
        "from_cache": bool(_property(compiled, "LOADED_FROM_CACHE")),
    }
    return OpenedModel(
        name=recipe.path.name,
        inputs=inputs,
        outputs=outputs,
        picture=None if picture is None else inputs[picture],
        requests=Requests(recipe.path.stem, slots),
        facts=facts,
        quanta=quanta,
    )


def read_model(core: openvino.Core, path: Path) -> openvino.Model:
    """The model of a file; raises ModelError for one that OpenVINO does not take."""
    try:
        return core.read_model(path)
    except RuntimeError as error:
        weights = path.with_suffix(".bin")
        if path.suffix.lower() == ".xml" and not weights.exists() and "bin file" in str(error):
            raise ModelError(f"model '{path}' has no weights; '{weights.name}' should lie beside it") from error
        text = f"OpenVINO does not take model '{path}': {reason_of(error)}; export it again, or copy it whole"
        raise ModelError(text) from error


def _config(recipe: Recipe) -> dict[str, Any]:
    config: dict[str, Any] = {"PERFORMANCE_HINT": recipe.hint.upper()}
    if recipe.precision:
        config["INFERENCE_PRECISION_HINT"] = recipe.precision
    if recipe.streams:
        config["NUM_STREAMS"] = recipe.streams
    if recipe.cache:
        try:
            recipe.cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ModelError(
                f"the model cache '{recipe.cache}' can not be used: {why(error)}; declare 'cache'"
            ) from None
        config["CACHE_DIR"] = str(recipe.cache)
    return config


def _slot(
    compiled: openvino.CompiledModel, inputs: Sequence[Port], outputs: Sequence[Port], picture: int | None
) -> Slot:
    """A request with its tensors bound to arrays; those without a shape yet are left to OpenVINO."""
    import numpy as np
    import openvino

    from edgefn.sessions.opened import Slot

    request = compiled.create_infer_request()
    names = [port.name for port in inputs]
    arrays = [_array(port) for port in inputs]
    for index, array in enumerate(arrays):
        if array is not None:
            request.set_input_tensor(index, openvino.Tensor(array, shared_memory=True))
    fixed = [_array(port) for port in outputs]
    for index, array in enumerate(fixed):
        if array is not None:
            request.set_output_tensor(index, openvino.Tensor(array, shared_memory=True))
    is_fixed = not any(array is None for array in fixed)

    def run() -> None:
        try:
            request.infer(share_outputs=True)
        except RuntimeError as error:
            raise ModelError(f"inference failed: {reason_of(error)}") from error

    def results() -> Sequence[Any]:
        return fixed if is_fixed else [tensor.data for tensor in request.output_tensors]

    def bind(name: str, array: Any) -> None:
        request.set_input_tensor(names.index(name), openvino.Tensor(np.ascontiguousarray(array)))

    def device() -> str:
        used = _property(compiled, "EXECUTION_DEVICES")
        return ",".join(used) if used else "unknown"

    bound = {name: array for name, array in zip(names, arrays, strict=True) if array is not None}
    return Slot(bound, None if picture is None else bound[names[picture]][0], run, results, bind, device)


def _array(port: Port) -> Any:
    import numpy as np

    return None if -1 in port.shape or port.dtype is None else np.zeros(port.shape, port.dtype)


# --- preparation, folded into the model ------------------------------------------------------------------------------


def _fold(model: openvino.Model, recipe: Recipe) -> int | None:
    """Makes the model take [1,H,W,3] u8 in BGR; the index of the input that does, None when none is for pictures."""
    import openvino
    from openvino.preprocess import ColorFormat, PrePostProcessor

    ports = list(map(port_of, model.inputs))
    layouts = [_layout(model.inputs[number], port, recipe) for number, port in enumerate(ports)]
    aliases = [each.names for each in model.inputs]
    index = find_picture(recipe.path.name, ports, aliases, layouts, recipe.input_name)
    if index is None:
        return None
    layout = layouts[index]
    shape = picture_shape(ports[index], layout, recipe.input_size)
    assert layout is not None
    _reshape(model, index, shape)
    port = model.inputs[index]
    channels = port.shape[layout.index("C")]
    prep = PrePostProcessor(model)
    entry = prep.input(index)
    tensor = entry.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    tensor.set_color_format(ColorFormat.BGR)
    entry.model().set_layout(openvino.Layout(layout))
    steps = entry.preprocess()
    if recipe.mean or recipe.scale or channels == 1 or port.element_type != openvino.Type.u8:
        steps.convert_element_type(openvino.Type.f32)
    if channels == 1 or recipe.color_order == "rgb":
        steps.convert_color(ColorFormat.GRAY if channels == 1 else ColorFormat.RGB)
    if recipe.mean:
        steps.mean(_for_channels(recipe.mean, channels))
    if recipe.scale:
        steps.scale(_for_channels(recipe.scale, channels))
    prep.build()
    return index


def _for_channels(numbers: tuple[float, ...], channels: int) -> Any:
    return numbers[0] if len(numbers) == 1 or channels == 1 else list(numbers)


def _layout(declared: openvino.Output, port: Port, recipe: Recipe) -> str | None:
    """The layout as declared, as the model says, or as its shape tells."""
    said = str(declared.node.layout).strip("[]").replace(",", "")
    return layout_of(port.shape, recipe.layout.upper() if recipe.layout else said)


def _reshape(model: openvino.Model, index: int, shape: list[int]) -> None:
    """Gives an input this shape."""
    port = port_of(model.inputs[index])
    if tuple(shape) == port.shape:
        return
    try:
        model.reshape({model.inputs[index]: shape})
    except RuntimeError as error:
        raise ModelError(f"input {port} can not be made {shape}: {reason_of(error)}") from error


def _quantum(output: openvino.Output) -> Quantum | None:
    """Step and zero of an output that ends in FakeQuantize and a conversion to integers, as TFLite's do."""
    from edgefn.sessions.opened import Quantum

    convert = output.node.input_value(0).node
    quantize = convert.input_value(0).node if convert.get_type_name() == "Convert" else None
    if quantize is None or quantize.get_type_name() != "FakeQuantize":
        return None
    limits = [quantize.input_value(number).node for number in range(1, 5)]
    if any(limit.get_type_name() != "Constant" or limit.data.size != 1 for limit in limits):
        return None
    low, high, q_low, q_high = (float(limit.data.reshape(-1)[0]) for limit in limits)
    step = (high - low) / (q_high - q_low)
    return Quantum(step, q_low - low / step)


# --- what OpenVINO says, in our words --------------------------------------------------------------------------------


def _property(compiled: openvino.CompiledModel, name: str) -> Any:
    try:
        return compiled.get_property(name)
    except RuntimeError:  # AUTO, HETERO and MULTI do not answer all questions
        return None


def _precision(compiled: openvino.CompiledModel) -> str:
    kind = _property(compiled, "INFERENCE_PRECISION_HINT")
    names = {"f32": "f32", "bf16": "bf16", "f16": "f16"}
    return names.get(kind.get_type_name(), kind.get_type_name()) if kind is not None else "unknown"


def reason_of(error: Exception) -> str:
    """The telling line of an OpenVINO error, without its trace of C++ files."""
    noise = ("Exception from", "FrontEnd API failed")
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if line and not line.startswith(noise)]
    return " ".join((telling[-1] if telling else str(error)).split())[:300].rstrip(".:")
