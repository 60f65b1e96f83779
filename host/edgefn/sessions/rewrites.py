"""Parts of a model, written so that OpenVINO's CPU plugin (2026.4) runs them faster; their results stay the same.

- **Normalisation.** Pictures come with their channels last; most models want them first; the plugin's convolutions work
  with channels last again. Mean and scale, in the model or folded into it, stand between, and hold the plugin to two
  rearrangements of all values. With mean and scale before the change of axes, the change costs nothing. They work on
  whole rows of a picture then, since the plugin is slow where the last axis has three values.
  A model in int8 has no use for that: there the plugin makes them a part of the quantisation that follows, in full
  precision also where it counts in bf16.
- **Softmax over few classes**, as SSD detectors have it, thousands of boxes by two classes. The plugin takes it row by
  row; over another axis it takes a vector of rows at once.

Both were measured (`benchmarks/rewrites.py`). A part that looks different is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from openvino import Model, Node

ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide"}
NUMBERS = {"f32", "f16"}
"""The types of numbers that numpy has too."""
KEPT = NUMBERS | {"f64", "i64", "i32", "u8"}
"""Those of constants: OpenVINO gives numpy the bits of others, as numbers of a type that is only as wide."""
FIRST, LAST = 1, 3
"""Where the axis of the channels is, of the four of a picture's tensor."""
FEW, MANY = 16, 256
"""Classes below which, and rows from which on, a softmax is faster over another axis."""


class Step(NamedTuple):
    """A node that changes each value of a picture by itself, or the order of the axes."""

    node: Node
    numbers: Any = None
    """What it adds, subtracts, ...: an array [1] or [channels]."""


def rewrite(model: Model, picture: int | None) -> None:
    """Changes ``model`` in place; ``picture`` is the index of its input for pictures, [1,H,W,C] u8."""
    if picture is not None:
        _normalise_rows(model.inputs[picture].node)
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Softmax":
            _take_rows_at_once(node)
    model.validate_nodes_and_infer_types()


# --- normalisation ---------------------------------------------------------------------------------------------------


def _normalise_rows(parameter: Node) -> None:
    import numpy as np
    from openvino import opset13 as ops

    one, height, width, channels = parameter.shape
    steps = list(_steps(parameter, channels))
    if not any(step.numbers is not None for step in steps) or "FakeQuantize" in _readers(steps[-1].node):
        return
    value = ops.reshape(parameter, np.array([one, height, 1, width * channels]), special_zero=False)
    for node, numbers in steps:
        kind = node.get_type_name()
        if kind == "Convert":
            value = ops.convert(value, node.get_element_type().get_type_name())
        elif kind in ARITHMETIC:
            row = np.tile(np.broadcast_to(numbers, (channels,)), width).reshape(1, 1, 1, -1)
            value = getattr(ops, kind.lower())(value, ops.constant(row, node.get_element_type()))
    value = ops.reshape(value, np.array([one, height, width, channels]), special_zero=False)
    if any(step.node.get_type_name() == "Transpose" for step in steps):
        value = ops.transpose(value, np.array([0, 3, 1, 2]))
    _replace(steps[-1].node, value)


def _steps(parameter: Node, channels: int) -> Iterator[Step]:
    """The nodes after a picture, one after the other, until one that needs more than each value by itself."""
    axis, node = LAST, _only_reader(parameter)
    while node is not None:
        kind = node.get_type_name()
        if kind == "Transpose" and axis == LAST and _constant(node) == [0, 3, 1, 2]:
            axis = FIRST
            yield Step(node)
        elif kind == "Convert":
            yield Step(node)
        elif kind in ARITHMETIC and (numbers := _by_channel(node, axis, channels)) is not None:
            yield Step(node, numbers)
        else:
            return
        node = _only_reader(node)


def _only_reader(node: Node) -> Node | None:
    """The node that takes the values of this one first, if only one takes them, and it is no result of the model."""
    readers = [each for each in node.output(0).get_target_inputs() if each.get_node().get_type_name() != "ShapeOf"]
    if len(readers) != 1 or readers[0].get_index() != 0:
        return None
    reader = readers[0].get_node()
    return None if reader.get_type_name() == "Result" else reader


def _readers(node: Node) -> set[str]:
    """The kinds of nodes that take the values of this one."""
    return {each.get_node().get_type_name() for each in node.output(0).get_target_inputs()}


def _by_channel(node: Node, axis: int, channels: int) -> Any:
    """What the node adds, subtracts, ... for each channel, an array [1] or [channels]; None when it is not so."""
    import numpy as np

    if node.get_element_type().get_type_name() not in NUMBERS or node.get_attributes()["auto_broadcast"] != "numpy":
        return None
    numbers = _constant(node)
    if numbers is None or np.ndim(numbers) > 4:
        return None
    shape = (1,) * (4 - np.ndim(numbers)) + np.shape(numbers)
    fits = all(n == 1 or (place == axis and n == channels) for place, n in enumerate(shape))
    return np.reshape(numbers, -1) if fits else None


def _constant(node: Node) -> Any:
    """The second input of a node, as numbers; None when it is not constant, or of a type that numpy has not."""
    source = node.input_value(1).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or source.get_element_type().get_type_name() not in KEPT:
        return None
    return source.get_data().tolist()


# --- softmax ---------------------------------------------------------------------------------------------------------


def _take_rows_at_once(softmax: Node) -> None:
    import numpy as np
    from openvino import opset13 as ops

    shape = softmax.get_output_partial_shape(0)
    rank = len(shape) if shape.rank.is_static else 0
    if rank < 2 or not (shape[-1].is_static and shape[-2].is_static):
        return
    if softmax.get_attributes()["axis"] not in (-1, rank - 1):
        return
    if shape[-1].get_length() >= FEW or shape[-2].get_length() < MANY:
        return
    swapped = np.array([*range(rank - 2), rank - 1, rank - 2])
    columns = ops.softmax(ops.transpose(softmax.input_value(0), swapped), rank - 2)
    _replace(softmax, ops.transpose(columns, swapped))


def _replace(old: Node, new: Node) -> None:
    """All that read the one read the other from now on, under the same names."""
    names = old.output(0).names
    for reader in list(old.output(0).get_target_inputs()):
        reader.replace_source_output(new.output(0))
    new.output(0).set_names(names)
    new.set_friendly_name(old.get_friendly_name())
