"""An ONNX model of two operators, written byte by byte, as a test does not need the `onnx` package for that.

It takes a picture, [1,3,2,2] f32, and gives the softmax of the mean of each of its three channels, [1,3].
"""

from __future__ import annotations

FLOAT = 1


def number(field: int, value: int) -> bytes:
    """A protobuf field with a whole number below 128."""
    return bytes([field << 3, value])


def text(field: int, value: bytes | str) -> bytes:
    """A protobuf field with a text, or with a message, of fewer than 16384 bytes."""
    content = value.encode() if isinstance(value, str) else value
    return bytes([field << 3 | 2, len(content) & 0x7F | 0x80, len(content) >> 7]) + content


def node(operator: str, source: str, target: str) -> bytes:
    return text(1, text(1, source) + text(2, target) + text(4, operator))


def tensor(field: int, name: str, *shape: int) -> bytes:
    dimensions = b"".join(text(1, number(1, length)) for length in shape)
    return text(field, text(1, name) + text(2, text(1, number(1, FLOAT) + text(2, dimensions))))


def color_model() -> bytes:
    """The model: which channel of a picture is the brightest."""
    nodes = node("GlobalAveragePool", "picture", "means") + node("Flatten", "means", "row")
    graph = nodes + node("Softmax", "row", "scores") + text(2, "colors")
    graph += tensor(11, "picture", 1, 3, 2, 2) + tensor(12, "scores", 1, 3)
    return number(1, 8) + text(7, graph) + text(8, text(1, "") + number(2, 13))
