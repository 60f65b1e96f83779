"""``setting``: an app setting as a parameter, in the type of its annotation; the twin may change it at any time."""

from __future__ import annotations

import dataclasses
import enum
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation, PydanticUserError

from edgefn.contracts import Event, InputKind, LiveSetting, Needs, Services
from edgefn.errors import BindingError, listing, nearest
from edgefn.function import SPELLED, Binding, Options, Truth
from edgefn.hookspecs import hookimpl
from edgefn.values import fault_of, first_of_union, json_bytes, shown

NOTHING = ("", "none", "null")
"""Texts that are None for a parameter that may be None."""
NUMBERS: Mapping[Any, tuple[str, str]] = {
    int: ("integer", r"^\s*[+-]?\d+\s*$"),
    float: ("number", r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"),
}
"""The kinds of numbers in a JSON schema, and what a text of one looks like."""
LISTS = (list, tuple, set, frozenset)


class SettingOptions(Options):
    """The options of ``setting``."""

    setting_name: str = Field(min_length=1)
    default: Any = None
    """What the parameter is where the setting is not there: a JSON value."""

    @property
    def has_default(self) -> bool:
        return "default" in self.model_fields_set


# --- a text becomes a type -----------------------------------------------------------------------------------------


def text_converter(annotation: Any) -> Callable[[str], Any]:
    """How the text of a setting becomes a type; the result raises ValueError for a text that does not fit.

    ``str`` takes it as it is, numbers and booleans in every usual spelling; words of a Literal or an Enum in any case;
    lists as JSON or with commas; dict, dataclasses and the like as JSON. ``X | None`` is None for ``none``, ``null``
    and nothing. Raises TypeError for types that a text can not become.
    """
    wanted = first_of_union(annotation)
    convert = _converter(wanted)
    if is_optional(annotation) and wanted is not str:
        return lambda text: None if text.strip().lower() in NOTHING else convert(text)
    return convert


def schema_of(annotation: Any) -> dict[str, Any]:
    """A JSON schema of the values that fit a type: exact for numbers, truth and words, open for all else."""
    wanted = first_of_union(annotation)
    if is_optional(annotation):
        return {}
    if wanted is bool:
        return {"anyOf": [{"type": "boolean"}, {"enum": [word for word in SPELLED if word]}]}
    if wanted in NUMBERS:
        kind, pattern = NUMBERS[wanted]
        return {"anyOf": [{"type": kind}, {"type": "string", "pattern": pattern}]}
    if typing.get_origin(wanted) is typing.Literal:
        return {"enum": list(typing.get_args(wanted))}
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return {"enum": list(dict.fromkeys(word for member in wanted for word in (member.name, member.value)))}
    return {}


def is_optional(annotation: Any) -> bool:
    """Whether the annotation says that None will do."""
    is_union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return is_union and type(None) in typing.get_args(annotation)


def _converter(wanted: Any) -> Callable[[str], Any]:
    if wanted in (None, Any, str):
        return lambda text: text
    if wanted is bytes:
        return str.encode
    if wanted is bool:
        wanted = Annotated[bool, Truth]
    if typing.get_origin(wanted) is typing.Literal:
        return partial(_word, {str(member): member for member in typing.get_args(wanted)})
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return partial(_word, {member.name: member for member in wanted} | {str(m.value): m for m in wanted})
    try:
        adapter = TypeAdapter(wanted)
    except (PydanticSchemaGenerationError, PydanticUserError, PydanticUndefinedAnnotation):
        raise TypeError(f"a setting can not become {name_of(wanted)}") from None
    is_list = (typing.get_origin(wanted) or wanted) in LISTS
    return partial(_read, adapter, is_list)


def _word(members: Mapping[str, Any], text: str) -> Any:
    found = text.strip().lower()
    for name, member in members.items():
        if name.lower() == found:
            return member
    raise ValueError(f"should be one of {listing(members)}, found {shown(text)}")


def _read(adapter: TypeAdapter[Any], is_list: bool, text: str) -> Any:
    text = text.strip()
    try:
        if text.startswith(("{", "[")):
            value = adapter.validate_json(text)
        else:
            value = adapter.validate_python(list(_parts(text)) if is_list else text)
    except ValidationError as error:
        raise ValueError(fault_of(error)) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"should be a finite number, found {shown(text)}")
    return value


def _parts(text: str) -> Iterator[str]:
    return (part.strip() for part in text.split(",") if part.strip())


def name_of(annotation: Any) -> str:
    """A type as errors name it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation).removeprefix("typing.")


# --- the input -----------------------------------------------------------------------------------------------------


@dataclasses.dataclass(slots=True)
class Found:
    """A converted setting, and where it came from."""

    value: Any
    origin: str
    """``twin``, ``settings`` or ``default``."""


class SettingInput:
    """Gives the value that the setting has now."""

    def __init__(self, kind: SettingKind, name: str, found: Found) -> None:
        self._kind = kind
        self._name = name
        self._found = found

    def value(self, event: Event) -> Any:
        return self._found.value

    def adopt(self, binding: Binding) -> Callable[[], None]:
        return partial(setattr, self, "_found", self._kind.found(binding))

    def status(self) -> Mapping[str, Any]:
        """The name of the setting, and who says its value; the value itself may be a secret."""
        return {"setting": self._name, "from": self._found.origin}

    async def close(self) -> None:
        """Holds nothing."""


class SettingKind:
    """The binding type ``setting``."""

    type = "setting"
    options = SettingOptions

    def __init__(self, services: Services) -> None:
        self._settings = services.settings

    def check(self, binding: Binding) -> None:
        self.found(binding)

    def needs(self, binding: Binding) -> Needs:
        """The setting."""
        options = _options(binding)
        return Needs(settings={options.setting_name: LiveSetting(options.default, schema_of(_annotation(binding)))})

    def found(self, binding: Binding) -> Found:
        """The value by the settings that the binding was resolved with; raises BindingError."""
        options = _options(binding)
        settings, name = binding.settings or self._settings, options.setting_name
        default = self._converted(binding, text_of(options.default), "default") if options.has_default else None
        text = settings.get(name)
        if text is not None:
            return self._converted(binding, text, "twin" if settings.is_overlaid(name) else "settings")
        if default is not None:
            return default
        if is_optional(binding.annotation):
            return Found(None, "default")
        raise BindingError(
            f"{binding.where()}: {name} is not set, and there is no default; set it in the environment, under Values "
            f"in local.settings.json, or with --set {name}=...{nearest(name, {**settings.values, **settings.overlay})}"
        )

    def _converted(self, binding: Binding, text: str, origin: str) -> Found:
        annotation, name = _annotation(binding), _options(binding).setting_name
        try:
            return Found(text_converter(annotation)(text), origin)
        except TypeError as error:
            raise BindingError(f"{binding.where()}: {error}; str, int, float, bool, list or dict would do") from None
        except ValueError as error:
            said = {"twin": f"{name} of the twin", "settings": name, "default": f"the default of {name}"}[origin]
            raise BindingError(
                f"{binding.where()}: {said} should be {name_of(first_of_union(annotation))}: {error}"
            ) from None

    async def open(self, binding: Binding) -> SettingInput:
        return SettingInput(self, _options(binding).setting_name, self.found(binding))

    async def close(self) -> None:
        """Shares nothing."""


def text_of(value: Any) -> str:
    """A JSON value as the text of a setting."""
    return value if isinstance(value, str) else json_bytes(value).decode()


def _options(binding: Binding) -> SettingOptions:
    assert isinstance(binding.options, SettingOptions)
    return binding.options


def _annotation(binding: Binding) -> Any:
    """The annotation of the parameter; where there is none the type of the default."""
    options = _options(binding)
    return type(options.default) if binding.annotation is None and options.has_default else binding.annotation


@hookimpl
def edgefn_inputs(services: Services) -> Sequence[InputKind]:
    return [SettingKind(services)]
