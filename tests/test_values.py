"""What the body of a message becomes, by the annotation of the parameter."""

from __future__ import annotations

import dataclasses
import enum
import sys
import typing
from typing import Any, Optional, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from typing_extensions import TypedDict

from edgefn.contracts import EdgeMessage
from edgefn.values import element_of, first_of_union, json_bytes, message_converter


@dataclasses.dataclass
class Reading:
    celsius: float
    sensor: str = ""


class Named(TypedDict):
    celsius: float


class Model(BaseModel):
    celsius: float


class Text(str): ...


class Colour(enum.StrEnum):
    RED = "red"


def converted(annotation: Any, body: str | bytes, encoding: str = "utf-8") -> Any:
    convert = message_converter(annotation)
    assert convert is not None
    return convert(EdgeMessage(body.encode() if isinstance(body, str) else body, content_encoding=encoding))


@pytest.mark.parametrize("annotation", [EdgeMessage, Any, Optional[EdgeMessage], EdgeMessage | str])  # noqa: UP045
def test_a_message_is_passed_as_it_is_where_it_is_asked_for(annotation: Any) -> None:
    assert message_converter(annotation) is None


@pytest.mark.parametrize(
    ("annotation", "body", "value"),
    [
        (None, '{"t": 1}', '{"t": 1}'),
        (str, '{"t": 1}', '{"t": 1}'),
        (Text, "x", Text("x")),
        (bytes, "hi", b"hi"),
        (bytearray, "hi", bytearray(b"hi")),
        (dict, '{"t": 1}', {"t": 1}),
        (dict[str, int], '{"t": 1}', {"t": 1}),
        (list, "[1, 2]", [1, 2]),
        (list[str], '["a"]', ["a"]),
        (int, "5", 5),
        (float, "1.5", 1.5),
        (bool, "true", True),
        (Optional[str], "x", "x"),  # noqa: UP045
        (Union[None, dict], "{}", {}),  # noqa: UP007
        (str | bytes, "x", "x"),
        (Reading, '{"celsius": 19}', Reading(19.0)),
        (Named, '{"celsius": 19}', {"celsius": 19.0}),
        (Model, '{"celsius": 19}', Model(celsius=19)),
        (Colour, '"red"', Colour.RED),
        (list[Reading], '[{"celsius": 1}]', [Reading(1.0)]),
    ],
)
def test_a_body_becomes_the_annotated_type(annotation: Any, body: str, value: Any) -> None:
    found = converted(annotation, body)
    assert found == value
    assert type(found) is type(value)


def test_what_was_not_awaited_is_named() -> None:
    async def infer() -> None: ...

    with pytest.raises(TypeError, match=r"a coroutine can not be sent: .*\.infer was called without await"):
        json_bytes(infer())
    with pytest.raises(TypeError, match=r"a dict can not be sent as JSON: .*\.infer was called without await"):
        json_bytes({"objects": [infer()]})


def test_text_is_read_in_the_encoding_that_the_message_names() -> None:
    assert converted(str, "é".encode("utf-16"), "utf-16") == "é"
    assert converted(dict, b"{}", "") == {}


class Session: ...


@pytest.mark.parametrize("annotation", [Session, list[Session], list[EdgeMessage]])
def test_a_type_that_no_message_can_become_is_refused_by_its_name(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"a message can not become .*(Session|EdgeMessage)"):
        message_converter(annotation)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="from Python 3.12 on, typing's own will do")
def test_a_typed_dict_of_the_wrong_module_is_refused_with_the_right_one() -> None:
    with pytest.raises(TypeError, match=r"use `typing_extensions.TypedDict`"):
        message_converter(typing.TypedDict("Plain", {"a": int}))


@pytest.mark.parametrize(
    ("annotation", "body", "reason"),
    [
        (dict, "no json", "Invalid JSON: expected ident at line 1 column 2, found 'no json'"),
        (dict, "[1]", "Input should be an object, found [1]"),
        (Reading, '{"celsius": "warm"}', "celsius: Input should be a valid number"),
        (int, "x" * 500, "..."),
        (str, b"\xff", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_body_that_does_not_fit_says_where_and_what_was_found_in_one_line(
    annotation: Any, body: str | bytes, reason: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        converted(annotation, body)
    assert reason in str(caught.value)
    assert len(str(caught.value).splitlines()[0]) < 250
    assert "pydantic" not in str(caught.value)


@given(st.binary())
def test_bytes_are_passed_exactly(body: bytes) -> None:
    assert converted(bytes, body) == body


@given(st.text())
def test_text_is_passed_exactly(text: str) -> None:
    assert converted(str, text) == text


@pytest.mark.parametrize(
    ("annotation", "element"), [(None, Any), (Any, Any), (list, Any), (list[str], str), (list[dict] | None, dict)]
)
def test_the_element_of_a_list_is_what_one_message_becomes(annotation: Any, element: Any) -> None:
    assert element_of(annotation) is element


def test_a_batch_that_is_no_list_is_refused() -> None:
    with pytest.raises(TypeError, match="cardinality 'many' gives a list; dict is none"):
        element_of(dict)


def test_of_a_union_the_first_type_that_is_no_none_counts() -> None:
    assert first_of_union(None | int | str) is int
    assert first_of_union(int) is int
