"""Models that are written anew for the CPU give what the original ones give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13 as ops
from openvino.preprocess import PrePostProcessor

from edgefn.sessions.rewrites import rewrite

Build = Callable[[Any], Any]
"""What a model makes of its picture."""
RANDOM = np.random.default_rng(5)
PICTURE = RANDOM.integers(0, 256, (1, 24, 40, 3), np.uint8)
MEAN, SCALE = RANDOM.normal(100, 20, (1, 3, 1, 1)), RANDOM.normal(2, 0.5, (1, 3, 1, 1))
WEIGHTS = RANDOM.normal(0, 1, (8, 3, 3, 3))
F32, F16 = openvino.Type.f32, openvino.Type.f16


def constant(numbers: Any, like: Any) -> Any:
    return ops.constant(np.asarray(numbers), like.output(0).get_element_type())


def convolved(value: Any) -> Any:
    return ops.relu(ops.convolution(value, constant(WEIGHTS, value), [1, 1], [1, 1], [1, 1], [1, 1]))


def of_bf16(value: Any) -> Any:
    return ops.convert(value, "bf16")


def quantised(value: Any) -> Any:
    low, high = constant(-90, value), constant(165, value)
    return ops.fake_quantize(value, low, high, low, high, 256)


def kept_as(kind: str) -> Any:
    """A constant of another type that the model makes its own."""
    return ops.convert(ops.constant([[[[1.5]], [[2]], [[3]]]], getattr(openvino.Type, kind)), "f32")


def normalised(image: Any) -> Any:
    """By mean and scale of each channel, then by one number for all."""
    value = ops.divide(ops.subtract(image, constant(MEAN, image)), constant(SCALE, image))
    return ops.add(ops.multiply(value, constant(2, value)), constant([[[1]]], value))


def taking_pictures(build: Build, kind: Any = F32, layout: str = "NCHW") -> openvino.Model:
    """A model with [1,24,40,3] u8 as its input, as a session makes it, and with an output named ``found``."""
    image = ops.parameter([1, 3, 24, 40] if layout == "NCHW" else [1, 24, 40, 3], kind.to_dtype())
    output = build(image)
    output.output(0).set_names({"found"})
    prepare = PrePostProcessor(openvino.Model([output], [image]))
    prepare.input(0).tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    prepare.input(0).model().set_layout(openvino.Layout(layout))
    return prepare.build()


def found_by(model: openvino.Model, given: Any = PICTURE) -> Any:
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return compiled([given])["found"].copy()


def before(model: openvino.Model, kind: str) -> list[str]:
    """The kinds of the nodes between the input and the first node of a kind, along the first input of each."""
    node = next(each for each in model.get_ordered_ops() if each.get_type_name() == kind)
    kinds: list[str] = []
    while (node := node.input_value(0).get_node()).get_type_name() != "Parameter":
        kinds.insert(0, node.get_type_name())
    return kinds


ARITHMETIC = ["Subtract", "Multiply", "Multiply", "Add"]
"""Mean and scale of ``normalised``, as OpenVINO keeps them."""


def test_mean_and_scale_come_before_the_change_of_axes_on_whole_rows_and_the_results_stay() -> None:
    model = taking_pictures(lambda image: convolved(normalised(image)))
    expected = found_by(model)
    rewrite(model, 0)
    assert before(model, "Convolution") == ["Reshape", "Convert", *ARITHMETIC, "Reshape", "Transpose"]
    assert model.input(0).shape == PICTURE.shape
    np.testing.assert_array_equal(found_by(model), expected)


def test_a_model_in_half_precision_counts_in_the_same_types_as_before() -> None:
    model = taking_pictures(lambda image: convolved(normalised(image)), F16)
    expected = found_by(model)
    rewrite(model, 0)
    assert "Subtract" in before(model, "Transpose")
    np.testing.assert_allclose(found_by(model), expected, rtol=1e-6)


def test_a_model_with_channels_last_gets_whole_rows_too() -> None:
    model = taking_pictures(lambda image: ops.relu(image - constant([1.5, 2, 3], image)), layout="NHWC")
    expected = found_by(model)
    rewrite(model, 0)
    assert before(model, "Result") == ["Reshape", "Convert", "Subtract", "Reshape", "Relu"]
    np.testing.assert_array_equal(found_by(model), expected)


def test_what_asks_for_the_shape_of_a_picture_is_still_told_that_of_the_model() -> None:
    def shape_beside(image: Any) -> Any:
        value = normalised(image)
        size = ops.convert(ops.reduce_sum(ops.shape_of(value), 0, keep_dims=False), "f32")
        return ops.add(convolved(value), size)

    model = taking_pictures(shape_beside)
    expected = found_by(model)
    rewrite(model, 0)
    assert before(model, "ShapeOf")[-1] == "Transpose"
    np.testing.assert_array_equal(found_by(model), expected)


LEFT: dict[str, Build] = {
    "numbers for each place": lambda image: image - constant(RANDOM.normal(0, 1, (1, 3, 24, 40)), image),
    "numbers for each column": lambda image: image - constant(RANDOM.normal(0, 1, (1, 1, 1, 40)), image),
    "numbers that are computed": lambda image: image - ops.reduce_mean(image, [0, 1, 2, 3], keep_dims=True),
    "a number that is divided": lambda image: ops.divide(constant(1, image), image),
    "two that read it": lambda image: ops.concat([image, image * constant(2, image)], 1),
    "another axis more": lambda image: constant(RANDOM.normal(0, 1, (2, 1, 3, 1, 1)), image) * image,
    "no arithmetic": lambda image: convolved(image),
    "what a model in int8 quantises": lambda image: convolved(quantised(normalised(image))),
    "numbers kept as bf16": lambda image: convolved(image - kept_as("bf16")),
    "numbers kept as f8": lambda image: convolved(image - kept_as("f8e4m3")),
    "numbers that numpy has not": lambda image: ops.convert(of_bf16(image) - of_bf16(constant(3, image)), "f32"),
}


@pytest.mark.parametrize("case", LEFT)
def test_what_is_not_by_channel_is_left_as_it_is(case: str) -> None:
    model = taking_pictures(LEFT[case])
    expected = found_by(model)
    rewrite(model, 0)
    assert "Reshape" not in [node.get_type_name() for node in model.get_ops()]
    np.testing.assert_array_equal(found_by(model), expected)


def boxes(*shape: int, axis: int = -1) -> openvino.Model:
    given = ops.parameter(shape, np.float32)
    output = ops.softmax(given, axis)
    output.output(0).set_names({"found"})
    return openvino.Model([output], [given])


@pytest.mark.parametrize("shape", [(1, 300, 2), (1, 256, 15), (4, 300, 3), (2, 2, 300, 4), (300, 2)])
def test_a_softmax_of_many_rows_over_few_classes_takes_rows_at_once(shape: tuple[int, ...]) -> None:
    model, given = boxes(*shape), RANDOM.normal(0, 4, shape).astype(np.float32)
    expected = found_by(model, given)
    rewrite(model, None)
    assert before(model, "Result") == ["Transpose", "Softmax", "Transpose"]
    assert model.output(0).names == {"found"}
    np.testing.assert_allclose(found_by(model, given), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("shape", "axis"), [((1, 1000), -1), ((1, 255, 2), -1), ((1, 300, 16), 2), ((1, 300, 2), 1), ((-1, -1, 2), -1)]
)
def test_another_softmax_is_left_as_it_is(shape: tuple[int, ...], axis: int) -> None:
    model = boxes(*shape, axis=axis)
    rewrite(model, None)
    assert before(model, "Result") == ["Softmax"]


# --- heads -----------------------------------------------------------------------------------------------------------

FEATURES = (1, 6, 12, 20)


def head(features: Any, outputs: int, *, size: int = 3, stride: int = 1, bias: Any = None, kind: str = "f32") -> Any:
    """Of an SSD detector: a convolution with its bias, channels last, flat."""
    weights = RANDOM.normal(0, 1, (outputs, FEATURES[1], size, size)).astype(
        np.float16 if kind == "f16" else np.float32
    )
    around = [size // 2] * 2
    value = ops.convolution(features, ops.convert(ops.constant(weights), "f32"), [stride] * 2, around, around, [1, 1])
    value = ops.add(value, constant(RANDOM.normal(0, 1, (1, outputs, 1, 1)) if bias is None else bias, value))
    return ops.reshape(ops.transpose(value, np.array([0, 2, 3, 1])), np.array([1, -1]), special_zero=False)


def detector(build: Callable[[Any], list[Any]]) -> openvino.Model:
    features = ops.parameter(FEATURES, np.float32)
    found = ops.concat(build(features), 1)
    found.output(0).set_names({"found"})
    return openvino.Model([found], [features])


def kinds(model: openvino.Model) -> list[str]:
    return [node.get_type_name() for node in model.get_ops()]


def test_heads_on_one_map_of_features_are_one_convolution_and_the_results_stay() -> None:
    model = detector(lambda features: [head(features, 8), head(features, 12, kind="f16"), head(features, 8, bias=3.5)])
    given = RANDOM.normal(0, 1, FEATURES).astype(np.float32)
    expected = found_by(model, given)
    rewrite(model, None)
    assert kinds(model).count("Convolution") == 1
    np.testing.assert_array_equal(found_by(model, given), expected)


def with_shape(value: Any) -> list[Any]:
    """A head, and the shape that its convolution gives."""
    added = value.input_value(0).get_node().input_value(0)
    shape = ops.convert(ops.shape_of(added), "f32")
    return [value, ops.reshape(shape, np.array([1, -1]), special_zero=False)]


APART: dict[str, Callable[[Any], list[Any]]] = {
    "heads that fill their sixteens": lambda features: [head(features, 16), head(features, 8)],
    "heads of other sizes": lambda features: [head(features, 8), head(features, 8, size=1)],
    "heads of other strides": lambda features: [head(features, 8), head(features, 8, stride=2)],
    "heads on other maps": lambda features: [head(features, 8), head(ops.relu(features), 8)],
    "a head whose bias differs from place to place": lambda features: [
        head(features, 8),
        head(features, 8, bias=RANDOM.normal(0, 1, FEATURES[2:])),
    ],
    "a head that another node reads too": lambda features: [head(features, 8), *with_shape(head(features, 8))],
}


@pytest.mark.parametrize("case", APART)
def test_other_heads_stay_apart(case: str) -> None:
    model = detector(APART[case])
    rewrite(model, None)
    assert kinds(model).count("Convolution") == 2
