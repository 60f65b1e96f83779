from __future__ import annotations

import numpy as np
import orjson
import pytest

from edgefn.protocols import open_inference, open_inference_grpc, tensorflow
from edgefn.protocols.malformed import Malformed
from edgefn.protocols.messages import message, parsed
from edgefn.protocols.tensors import TYPES, array_of, bytes_of, objects, shape_of

ARRAYS = [
    *(np.array([[0, 1, 1]]).astype(code) for code in TYPES.values()),
    objects([b"", b"\0\xff", b"three"], (1, 3), ""),
    np.zeros((2, 0), np.float32),
    np.float32(7).reshape(()),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_tensors_pass_every_form_unchanged(array: np.ndarray) -> None:
    body, length = open_inference.write_call({"x": array}, [])
    call = open_inference.read_call(body, str(length))
    in_text, _ = open_inference.write_reply("m", "1", call, {"x": array})
    over_grpc = open_inference_grpc.write_call("m", "", {"x": array}, ["x"])
    request = parsed(message("inference", "InferRequest"), over_grpc)
    found = [
        array_of(bytes_of(array), array.dtype, array.shape, ""),
        call.inputs["x"],
        open_inference_grpc.read_call(request).inputs["x"],
        tensorflow.read_tensor("x", tensorflow.write_tensor(array)) if array.size else array,
    ]
    if array.dtype not in (np.float16, object):
        found.append(open_inference.read_reply(in_text, None)["x"])
    for each in found:
        assert (each.dtype, each.shape, each.tolist()) == (array.dtype, array.shape, array.tolist())


def test_elements_that_are_not_raw_are_read() -> None:
    request = message("inference", "InferRequest")()
    request.inputs.add(name="a", datatype="UINT8", shape=[2]).contents.uint_contents.extend([0, 255])
    request.inputs.add(name="b", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"x")
    found = open_inference_grpc.read_call(request).inputs
    assert (found["a"].tolist(), found["b"].tolist()) == ([0, 255], [b"x"])
    request.inputs[0].contents.uint_contents[1] = 256
    with pytest.raises(Malformed, match="tensor 'a': its data holds a number that type UINT8 can not"):
        open_inference_grpc.read_call(request)
    request.raw_input_contents.append(b"\0\0")
    with pytest.raises(Malformed, match="has 2 tensors and 1 raw contents; right would be one each"):
        open_inference_grpc.read_call(request)


def test_elements_of_tensorflow_that_lack_are_the_last_one() -> None:
    tensor = message("tensorflow", "Tensor")(dtype=1, float_val=[1, 2])
    tensor.tensor_shape.dim.add(size=4)
    assert tensorflow.read_tensor("x", tensor).tolist() == [1, 2, 2, 2]
    half = message("tensorflow", "Tensor")(dtype=tensorflow.DT_HALF, half_val=[0x3C00])
    half.tensor_shape.dim.add(size=1)
    assert tensorflow.read_tensor("x", half).tolist() == [1.0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dtype": 99}, "there is no dtype 99; types: DT_FLOAT"),
        ({"dtype": 1}, "has 0 elements in float_val; right for DT_FLOAT"),
        ({"dtype": 4, "int_val": [256]}, "holds a number that DT_UINT8 can not"),
        ({"dtype": 1, "tensor_content": b"123"}, "has 3 bytes; right for FP32 "),
        ({"dtype": 7, "string_val": [b"a", b"b"]}, "has not as many elements as its shape"),
    ],
)
def test_tensors_of_tensorflow_that_are_none_are_refused(fields: dict[str, object], words: str) -> None:
    tensor = message("tensorflow", "Tensor")(**fields)
    tensor.tensor_shape.dim.add(size=1)
    with pytest.raises(Malformed, match=words):
        tensorflow.read_tensor("x", tensor)


def test_some_bytes_do_not_become_gigabytes() -> None:
    tensor = message("tensorflow", "Tensor")(dtype=1, float_val=[1])
    tensor.tensor_shape.dim.add(size=1 << 32)
    with pytest.raises(Malformed, match="has 1 elements in float_val"):
        tensorflow.read_tensor("x", tensor)
    for shape in ([0, 1 << 62], [1 << 41], [-1], [0] * 33, [True]):
        with pytest.raises(Malformed, match="right would be a list of whole numbers"):
            shape_of(shape, "x")


def test_a_text_among_numbers_is_refused_before_it_is_the_size_of_all() -> None:
    data = ["x" * 1_000_000, *[""] * 1_000_000]  # a terabyte and more, as an array of texts
    body = orjson.dumps({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [[1.0], data]}]})
    with pytest.raises(Malformed, match="its data is not all of type FP32"):
        open_inference.read_call(body, None)
    with pytest.raises(Malformed, match="its data should be numbers, or objects"):
        tensorflow.read_prediction(orjson.dumps({"inputs": data}), ["x"])


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(Malformed, match="the message is no InferRequest"):
        parsed(message("inference", "InferRequest"), b"\xff\xff")
