"""How the body of a message becomes the type that a parameter is annotated with."""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from edgefn.contracts import EdgeMessage

Convert = Callable[[EdgeMessage], Any]
SHOWN = 80
"""Characters of a value that an error shows."""


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
    try:
        return _json_converter(TypeAdapter(annotation))
    except (PydanticSchemaGenerationError, PydanticUserError, PydanticUndefinedAnnotation) as error:
        name = getattr(annotation, "__name__", annotation)
        if error.code == "typed-dict-version":
            raise TypeError(f"a message can not become {name}; {error.message}") from None
        raise TypeError(
            f"a message can not become {name}; EdgeMessage, str, bytes, dict, list, a dataclass or a TypedDict would do"
        ) from None


def _json_converter(adapter: TypeAdapter[Any]) -> Convert:
    def convert(message: EdgeMessage) -> Any:
        try:
            return adapter.validate_json(message.text)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise ValueError(f"{where + ': ' if where else ''}{fault['msg']}, found {_shown(fault['input'])}") from None

    return convert


def _shown(value: Any) -> str:
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
