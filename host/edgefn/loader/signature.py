"""The parameters of a function against its bindings: Azure's rules, and what edgefn takes beyond them."""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import azure.functions as func

from edgefn.errors import BindingError, listing
from edgefn.function import Direction
from edgefn.loader.declared import Declared

FUNCTION_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Signature:
    """How the host calls a function, and what is wrong with its declaration."""

    call: Callable[..., Any]
    is_async: bool
    annotations: Mapping[str, Any]
    wants_context: bool
    faults: list[str]


def signature_of(item: Declared) -> Signature:
    """Reads the parameters and annotations of a declared function."""
    assert item.call is not None
    call, is_async = _called(item.call)
    faults = list(_name_faults(item))
    try:
        parameters = inspect.signature(item.call).parameters
        annotations = typing.get_type_hints(item.call)
    except Exception as error:  # whatever the evaluation of the user's annotations raises
        text = f"its annotations can not be resolved: {type(error).__name__}: {error}; import what they name"
        return Signature(call, is_async, {}, False, [*faults, item.cannot_load(text)])
    bound = item.bound()
    wants_context = "context" in parameters and "context" not in bound
    faults += [*_kind_faults(item), *_parameter_faults(item, parameters, bound)]
    annotation = annotations.get("context")
    if wants_context and annotation is not None and getattr(annotation, "__name__", "") != "Context":
        faults.append(
            item.cannot_load(
                'the "context" parameter is expected to be of type azure.functions.Context, '
                f'got "{annotation!r}"; annotate it as Context, or give the parameter another name'
            )
        )
    return Signature(call, is_async, annotations, wants_context, faults)


def annotation_of(item: Declared, name: str, direction: Direction, annotations: Mapping[str, Any]) -> Any:
    """The annotation of a binding's parameter; for an output the T of its ``Out[T]``. Raises BindingError."""
    annotation = annotations.get("return" if name == "$return" else name)
    is_out = annotation is func.Out or typing.get_origin(annotation) is func.Out
    where = "in function.json" if item.in_json else "in the binding decorator"
    if name == "$return":
        if is_out:
            raise _refused(item, name, "return annotation should not be azure.functions.Out; name the returned type")
        return None if annotation is type(None) else annotation
    if direction is Direction.IN:
        if is_out:
            raise _refused(
                item,
                name,
                f'binding {name} is declared to have the "in" direction {where}, but its annotation is '
                "azure.functions.Out in Python; annotate it with the type of the value",
            )
        return annotation
    if annotation is not None and not is_out:
        raise _refused(
            item,
            name,
            f'binding {name} is declared to have the "out" direction {where}, but its annotation is not '
            "azure.functions.Out in Python; annotate it as Out[...], or not at all",
        )
    if annotation is func.Out:
        raise _refused(item, name, f"binding {name} has invalid Out annotation {annotation!r}; write Out[dict], ...")
    return typing.get_args(annotation)[0] if annotation is not None else None


def _refused(item: Declared, name: str, text: str) -> BindingError:
    return BindingError(f"{item.declaration.binding(name)}: cannot load the {item.name} function: {text}")


def _called(call: Callable[..., Any]) -> tuple[Callable[..., Any], bool]:
    """What the host calls, and whether it awaits that: also when a plain decorator is around a coroutine function."""
    if inspect.iscoroutinefunction(call):
        return call, True
    if not inspect.iscoroutinefunction(inspect.unwrap(call)):
        return call, False

    @functools.wraps(call)
    async def awaited(**arguments: Any) -> Any:
        value = call(**arguments)
        return await value if inspect.isawaitable(value) else value

    return awaited, True


def _name_faults(item: Declared) -> Iterator[str]:
    if not FUNCTION_NAME.match(item.name) or item.name.lower() == "host":
        text = f"'{item.name}' is no name of a function; a letter, then letters, digits, _ and -, and not 'host'"
        yield item.cannot_load(text)


def _kind_faults(item: Declared) -> Iterator[str]:
    assert item.call is not None
    inner = inspect.unwrap(item.call)
    if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
        yield item.cannot_load("it is a generator (it says yield); return a value, or set an output, for each event")


def _parameter_faults(item: Declared, parameters: Mapping[str, inspect.Parameter], bound: list[str]) -> Iterator[str]:
    for name in sorted({name for name in bound if bound.count(name) > 1}):
        yield item.cannot_load(f"Multiple bindings with name '{name}' discovered. Binding names must be unique.")
    required = {p.name for p in parameters.values() if p.default is p.empty}
    if extra := required - set(bound) - {"context"}:
        where, gap = ("in function.json", " ") if item.in_json else (_DECORATORS, "  ")  # as Azure's worker writes it
        yield item.cannot_load(
            f"the following parameters are declared in Python but not {where}:{gap}{_set(extra)}; bind them, or give "
            f"them defaults. Bindings: {listing(bound)}"
        )
    if extra := set(bound) - set(parameters) - {"$return"}:
        said = _BOUND_IN_JSON if item.in_json else _BOUND_BY_DECORATORS
        yield item.cannot_load(f"{said} {_set(extra)}; add them. Parameters: {listing(parameters)}")
    for parameter in parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.name in bound:
            yield item.cannot_load(f"parameter '{parameter.name}' is positional-only; remove the / from its signature")


_DECORATORS = "in the function definition (function.json or function decorators)"
_BOUND_IN_JSON = "the following parameters are declared in function.json but not in Python:"
_BOUND_BY_DECORATORS = (
    "Extra parameters in binding definition - the following parameters are declared as bindings but are not present "
    "in Python:"
)


def _set(names: set[str]) -> str:
    """Names as Python shows a set, in an order that is always the same."""
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"
