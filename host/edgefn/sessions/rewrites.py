"""Parts of a model, written so that OpenVINO's CPU plugin (2026.4) runs them faster; their results stay the same.

- **Normalisation.** Pictures come with their channels last; most models want them first; the plugin's convolutions work
  with channels last again. Mean and scale, in the model or folded into it, stand between, and hold the plugin to two
  rearrangements of all values. With mean and scale before the change of axes, the change costs nothing. They work on
  whole rows of a picture then, since the plugin is slow where the last axis has three values.
  A model in int8 has no use for that: there the plugin makes them a part of the quantisation that follows, in full
  precision also where it counts in bf16.
- **Softmax over few classes**, as SSD detectors have it, thousands of boxes by two classes. The plugin takes it row by
  row; over another axis it takes a vector of rows at once.
- **Heads on one map of features**, as SSD detectors have them, one for boxes and one for classes. The plugin counts
  channels in sixteens, and a head of 8 costs as much as one of 16; as one convolution they share what is empty.

All were measured (`benchmarks/rewrites.py`). A part that looks different is left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from openvino import Model, Node, Output

ARITHMETIC = {"Add", "Subtract", "Multiply", "Divide"}
NUMBERS = {"f32", "f16"}
"""The types of numbers that numpy has too."""
KEPT = NUMBERS | {"f64", "i64", "i32", "u8"}
"""Those of constants: OpenVINO gives numpy the bits of others, as numbers of a type that is only as wide."""
FIRST, LAST = 1, 3
"""Where the axis of the channels is, of the four of a picture's tensor."""
FEW, MANY = 16, 256
"""Classes below which, and rows from which on, a softmax is faster over another axis."""
SIXTEENS = 16
"""The plugin's convolutions count as many channels at once; where a processor counts 8, nothing is lost."""


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
    for heads in _heads(model):
        _join(heads)
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
    _replace(steps[-1].node, value.output(0))


def _steps(parameter: Node, channels: int) -> Iterator[Step]:
    """The nodes after a picture, one after the other, until one that needs more than each value by itself."""
    axis, node = LAST, _only_reader(parameter, beside="ShapeOf")
    while node is not None:
        kind = node.get_type_name()
        if kind == "Transpose" and axis == LAST and _says(node, [0, 3, 1, 2]):
            axis = FIRST
            yield Step(node)
        elif kind == "Convert":
            yield Step(node)
        elif kind in ARITHMETIC and (numbers := _by_channel(node, axis, channels)) is not None:
            yield Step(node, numbers)
        else:
            return
        node = _only_reader(node, beside="ShapeOf")


def _only_reader(node: Node, beside: str = "") -> Node | None:
    """The node that takes the values of this one first, if only one takes them, and it is no result of the model.

    Those of the kind ``beside`` do not count.
    """
    readers = [each for each in node.output(0).get_target_inputs() if each.get_node().get_type_name() != beside]
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
    if numbers is None or numbers.ndim > 4:
        return None
    shape = (1,) * (4 - numbers.ndim) + numbers.shape
    fits = all(n == 1 or (place == axis and n == channels) for place, n in enumerate(shape))
    return np.reshape(numbers, -1) if fits else None


def _constant(node: Node) -> Any:
    """The second input of a node, as numbers; None when it is not constant, or of a type that numpy has not."""
    source = node.input_value(1).get_node()
    if source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    if source.get_type_name() != "Constant" or source.get_element_type().get_type_name() not in KEPT:
        return None
    return source.get_data()


def _says(node: Node, numbers: list[int]) -> bool:
    """Whether the second input of a node is these numbers."""
    found = _constant(node)
    return found is not None and found.tolist() == numbers


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
    _replace(softmax, ops.transpose(columns, swapped).output(0))


# --- heads -----------------------------------------------------------------------------------------------------------


class Head(NamedTuple):
    """A convolution, the addition of its bias, and the change of axes to channels last, which is all that reads it."""

    convolution: Node
    weights: Any
    """[outputs, inputs, height, width]"""
    bias: Any
    """[1] or [outputs]"""
    transpose: Node

    @property
    def outputs(self) -> int:
        return len(self.weights)


def _heads(model: Model) -> Iterator[list[Head]]:
    """Those on one map of features, of one kind, that take fewer sixteens of channels together."""
    alike: dict[tuple[Any, ...], list[Head]] = defaultdict(list)
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convolution" and (head := _head(node)) is not None:
            source, details = node.input_value(0), sorted(node.get_attributes().items())
            alike[
                source.get_node().get_friendly_name(), source.get_index(), head.weights.shape[1:], str(details)
            ].append(head)
    for heads in alike.values():
        if _sixteens(sum(head.outputs for head in heads)) < sum(_sixteens(head.outputs) for head in heads):
            yield heads


def _sixteens(channels: int) -> int:
    return -(-channels // SIXTEENS)


def _head(convolution: Node) -> Head | None:
    add = _only_reader(convolution)
    transpose = None if add is None else _only_reader(add)
    if add is None or add.get_type_name() != "Add" or transpose is None or transpose.get_type_name() != "Transpose":
        return None
    weights = _constant(convolution)
    if weights is None or weights.ndim != 4 or not _says(transpose, [0, 2, 3, 1]):
        return None
    bias = _by_channel(add, FIRST, len(weights))
    return None if bias is None else Head(convolution, weights, bias, transpose)


def _join(heads: list[Head]) -> None:
    import numpy as np
    from openvino import opset13 as ops

    first = heads[0].convolution
    about, kind = first.get_attributes(), first.get_element_type()
    weights = ops.constant(np.concatenate([head.weights for head in heads]), kind)
    place = [about[name] for name in ("strides", "pads_begin", "pads_end", "dilations", "auto_pad")]
    bias = np.concatenate([np.broadcast_to(head.bias, (head.outputs,)) for head in heads])
    value = ops.add(
        ops.convolution(first.input_value(0), weights, *place), ops.constant(bias.reshape(1, -1, 1, 1), kind)
    )
    value = ops.transpose(value, np.array([0, 2, 3, 1]))
    parts = ops.variadic_split(value, LAST, np.array([head.outputs for head in heads]))
    for number, head in enumerate(heads):
        _replace(head.transpose, parts.output(number))


def _replace(old: Node, new: Output) -> None:
    """All that read the one read the other from now on, under the same names."""
    for reader in list(old.output(0).get_target_inputs()):
        reader.replace_source_output(new)
    new.set_names(old.output(0).names)
    if len(new.get_node().outputs()) == 1:
        new.get_node().set_friendly_name(old.get_friendly_name())
