"""How the body of a message, or a JSON value, becomes the type that a parameter is annotated with; and back."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from edgefn.contracts import EdgeMessage, VideoFrame

Convert = Callable[[EdgeMessage], Any]
SHOWN = 80
"""Characters of a value that an error shows."""
PICTURE = 8192
"""Bytes of an array from which on it is a picture, or the file of one."""
SIMPLE = frozenset({str, int, float, bool, type(None)})
OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def message_converter(annotation: Any) -> Convert | None:
    """How a message becomes a parameter; None when the message itself is the value.

    ``EdgeMessage`` and ``Any`` give the message, no annotation and ``str`` its text (as Azure Functions does),
    ``bytes`` its body; everything else (dict, list, int, a dataclass, a TypedDict, a pydantic model) is read from
    the body as JSON. Of a union the first member that is no None counts. Raises TypeError for types that
    JSON can not become.
    """
    annotation = first_of_union(annotation)
    if annotation in (EdgeMessage, Any):
        return None
    if annotation in (None, str):
        return lambda message: message.text
    if isinstance(annotation, type) and not issubclass(annotation, enum.Enum):
        if issubclass(annotation, str):
            return lambda message: annotation(message.text)
        if issubclass(annotation, bytes | bytearray):
            return lambda message: annotation(message.body)
    if EdgeMessage in typing.get_args(annotation):
        raise TypeError(f"a message can not become {annotation}; a list of messages comes with cardinality 'many'")
    read = _reader(annotation, "a message", "EdgeMessage, str, bytes, dict, list, a dataclass or a TypedDict")
    return lambda message: read(message.text)


def json_converter(annotation: Any, what: str) -> Callable[[Any], Any] | None:
    """How a JSON value becomes a parameter; None when the value itself is passed: for ``Any``, and no annotation.

    A value that does not fit raises ValueError. Raises TypeError, in which ``what`` names the value, for types that
    JSON can not become.
    """
    if annotation in (None, Any):
        return None
    read = _reader(annotation, what, "dict, list, str, int, float, bool, a dataclass or a TypedDict")
    return lambda value: read(json_bytes(value))


def _reader(annotation: Any, what: str, fitting: str) -> Callable[[str | bytes], Any]:
    """What makes the type of a JSON text; raises TypeError for types that JSON can not become."""
    try:
        adapter = TypeAdapter(annotation)
    except (PydanticSchemaGenerationError, PydanticUserError, PydanticUndefinedAnnotation) as error:
        name = getattr(annotation, "__name__", annotation)
        if error.code == "typed-dict-version":
            raise TypeError(f"{what} can not become {name}; {error.message}") from None
        raise TypeError(f"{what} can not become {name}; {fitting} would do") from None

    def read(text: str | bytes) -> Any:
        try:
            return adapter.validate_json(text)
        except ValidationError as error:
            raise ValueError(fault_of(error)) from None

    return read


def fault_of(error: ValidationError) -> str:
    """The first thing that is wrong with a value, with the place inside it and what was found there."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where + ': ' if where else ''}{fault['msg'].removeprefix('Value error, ')}, found {shown(fault['input'])}"


def shown(value: Any) -> str:
    """A value as errors show it."""
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def first_of_union(annotation: Any) -> Any:
    """The first member that is no None of ``X | Y`` or ``Optional[X]``; other annotations as they are."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next(member for member in typing.get_args(annotation) if member is not type(None))
    return annotation


def element_of(annotation: Any) -> Any:
    """The T of ``list[T]``; Any for a bare list or no annotation. Raises TypeError for other types."""
    annotation = first_of_union(annotation)
    if annotation in (None, Any, list):
        return Any
    if typing.get_origin(annotation) is list:
        return typing.get_args(annotation)[0]
    raise TypeError(f"cardinality 'many' gives a list; {getattr(annotation, '__name__', annotation)} is none")


# --- and back ------------------------------------------------------------------------------------------------------


def json_bytes(value: Any) -> bytes:
    """A value as JSON: dicts, lists, numbers, texts, dataclasses, datetimes, numpy arrays and numbers."""
    if inspect.iscoroutine(value):
        raise TypeError(f"a coroutine can not be sent: {_unawaited(value)}")
    try:
        return orjson.dumps(value, default=_plain, option=OPTIONS)
    except (TypeError, RecursionError) as error:
        said = error.__cause__ or error
        raise TypeError(f"a {type(value).__name__} can not be sent as JSON: {said}") from None


def _unawaited(value: Coroutine[Any, Any, Any]) -> str:
    """What is wrong with a coroutine as a result; Python complains of it no more."""
    value.close()
    name = getattr(value, "__qualname__", "it")
    return (
        f"{name} was called without await; in an async def await it, in a def call what waits by itself, as infer does"
    )


def refuse_pictures(value: Any) -> None:
    """Raises TypeError for a value that holds a VideoFrame, or a picture as an array: JSON makes megabytes of them."""
    if (found := _picture_in(value)) is not None:
        what, path = found
        where = f" under {'.'.join(map(str, path))}" if path else ""
        raise TypeError(
            f"{what}{where} can not be sent as JSON, as a number for each byte; send the bytes of a picture's file, "
            "cv2.imencode('.jpg', image)[1].tobytes(), or what was found in it, or write it with a file output; "
            "numbers that are meant can be sent as array.tolist()"
        )


def _picture_in(value: Any) -> tuple[str, tuple[Any, ...]] | None:
    """What the first picture in a value is, and the path to it."""
    if type(value) in SIMPLE:
        return None
    if isinstance(value, VideoFrame):
        return "a VideoFrame", ()
    if isinstance(value, dict):
        inner: Iterable[tuple[Any, Any]] = value.items()
    elif isinstance(value, list | tuple):
        inner = enumerate(value)
    elif dataclasses.is_dataclass(value):
        inner = ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
    elif str(getattr(value, "dtype", "")) == "uint8" and value.nbytes >= PICTURE:
        return f"an array of uint8, {' x '.join(map(str, value.shape))},", ()
    else:
        return None
    for name, each in inner:
        if (found := _picture_in(each)) is not None:
            return found[0], (name, *found[1])
    return None


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump"):  # a pydantic model
        return value.model_dump(mode="json")
    if hasattr(value, "tolist"):  # a numpy array that is not contiguous, or of a rare type
        return value.tolist()
    if inspect.iscoroutine(value):
        raise TypeError(_unawaited(value))
    raise TypeError(f"{type(value).__name__} is no JSON value")
