"""Converters that users register with ``azure.functions.meta``: they decide what a message becomes, and what is sent.

A kind whose type has such a converter is wrapped when the app is loaded, so that host and plugins need not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import azure.functions as func
from azure.functions import meta

from edgefn.contracts import EdgeMessage, Event, Listener, Output, OutputKind, TriggerKind
from edgefn.errors import BindingError
from edgefn.function import Binding
from edgefn.plugins import KindTable
from edgefn.values import first_of_union

if TYPE_CHECKING:
    from edgefn.contracts import OptionsModel

LIBRARY = "azure.functions"


def with_converters(kinds: KindTable) -> KindTable:
    """The table with each kind wrapped whose type a user's converter claims."""
    triggers = {
        name: ConvertedTrigger(kind, converter) if (converter := users_converter(kind.type, "decode")) else kind
        for name, kind in kinds.triggers.items()
    }
    outputs = {
        name: ConvertedOutputs(kind, converter) if (converter := users_converter(kind.type, "encode")) else kind
        for name, kind in kinds.outputs.items()
    }
    return KindTable(triggers, kinds.inputs, outputs)


def converter_of(type_name: str) -> Any:
    """The converter of a binding type, Azure's or the user's; None for a type that is generic to Azure's library."""
    return func.get_binding_registry().get(type_name)  # type: ignore[no-untyped-call]


def has_implicit_output(type_name: str) -> bool:
    """Whether a function with a binding of that type may return a value that goes nowhere."""
    converter = converter_of(type_name)
    return converter is None or bool(getattr(converter, "has_implicit_output", lambda: False)())


def users_converter(type_name: str, method: str) -> Any:
    """The converter that user code has registered for a binding type, if it has that method; else None."""
    converter = converter_of(type_name)
    is_own = converter is not None and converter.__module__.split(".")[:2] != LIBRARY.split(".")
    return converter if is_own and hasattr(converter, method) else None


class ConvertedTrigger:
    """A trigger kind whose values go through a user's converter, except where ``str`` or ``bytes`` is asked for."""

    def __init__(self, kind: TriggerKind, converter: Any) -> None:
        self._kind = kind
        self._converter = converter
        self.type: str = kind.type
        self.options: OptionsModel = kind.options
        self.level: int = kind.level

    def check(self, binding: Binding) -> None:
        if _is_plain(binding.annotation):
            self._kind.check(binding)
            return
        self._kind.check(replace(binding, annotation=None))
        _check(binding, self._converter.check_input_type_annotation)

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        if _is_plain(binding.annotation):
            return self._kind.convert(binding)
        binary = str(binding.declared.get("dataType", "")).lower() == "binary"
        decode, passes_metadata = self._converter.decode, self._converter.has_trigger_support()

        def converted(value: Any) -> Any:
            metadata = trigger_metadata(value) if passes_metadata else {}
            return decode(datum_of(value, binary=binary), trigger_metadata=metadata)

        return converted

    def subscribe(self, binding: Binding) -> None:
        if (subscribe := getattr(self._kind, "subscribe", None)) is not None:
            subscribe(binding)

    def unsubscribe(self, binding: Binding) -> None:
        if (unsubscribe := getattr(self._kind, "unsubscribe", None)) is not None:
            unsubscribe(binding)

    def listener(self, binding: Binding) -> Listener:
        return self._kind.listener(binding)

    async def close(self) -> None:
        await self._kind.close()


class ConvertedOutputs:
    """An output kind whose values go through a user's converter first, except where ``Out`` is of str or bytes."""

    def __init__(self, kind: OutputKind, converter: Any) -> None:
        self._kind = kind
        self._converter = converter
        self.type: str = kind.type
        self.options: OptionsModel = kind.options

    def check(self, binding: Binding) -> None:
        if self._is_passed(binding):
            self._kind.check(binding)
            return
        self._kind.check(replace(binding, annotation=None))
        _check(binding, self._converter.check_output_type_annotation)

    async def open(self, binding: Binding) -> Output:
        opened = await self._kind.open(binding)
        return opened if self._is_passed(binding) else ConvertedOutput(opened, self._converter, binding)

    async def close(self) -> None:
        await self._kind.close()

    def _is_passed(self, binding: Binding) -> bool:
        return binding.name != "$return" and _is_plain(binding.annotation)


class ConvertedOutput:
    """An opened output behind a user's converter."""

    def __init__(self, output: Output, converter: Any, binding: Binding) -> None:
        self._output = output
        self._converter = converter
        self._type = binding.type
        self._expected = binding.annotation

    def encode(self, value: Any) -> Any:
        """What the inner output makes of the converter's Datum; None, which is not sent, of an empty one."""
        try:
            datum = self._converter.encode(value, expected_type=self._expected)
        except NotImplementedError:
            raise TypeError(
                f'unable to encode outgoing TypedData: unsupported type "{self._type}" for Python type '
                f'"{type(value).__name__}"'
            ) from None
        if datum is None or datum.type is None or datum.value is None:
            return None
        return self._output.encode(datum.value)

    async def send(self, encoded: Any, event: Event) -> None:
        if encoded is not None:
            await self._output.send(encoded, event)

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        adopt = getattr(self._output, "adopt", None)
        change: Callable[[], None] | None = adopt(binding) if adopt is not None else None
        return change

    def status(self) -> Mapping[str, Any]:
        return self._output.status()

    async def close(self) -> None:
        await self._output.close()


# --- what converters are given -----------------------------------------------------------------------------------


def datum_of(value: Any, *, binary: bool = False) -> meta.Datum:
    """An event's value as Azure's host would send it: a message as text, or as bytes with ``dataType: binary``."""
    if isinstance(value, EdgeMessage):
        return meta.Datum(value.body, "bytes") if binary else meta.Datum(value.text, "string")
    if isinstance(value, list) and value and all(isinstance(item, EdgeMessage) for item in value):
        if binary:
            return meta.Datum(SimpleNamespace(bytes=[message.body for message in value]), "collection_bytes")
        return meta.Datum(SimpleNamespace(string=[message.text for message in value]), "collection_string")
    if value is None or isinstance(value, bool):
        return meta.Datum(value, None if value is None else "int")
    for kind, name in ((str, "string"), (bytes, "bytes"), (int, "int"), (float, "double")):
        if isinstance(value, kind):
            return meta.Datum(value, name)
    return meta.Datum(json.dumps(value), "json") if isinstance(value, dict | list) else meta.Datum(value, "object")


def trigger_metadata(value: Any) -> dict[str, meta.Datum]:
    """What is known of a message beside its body, in the names of Azure's binding data; lists for several messages."""
    if isinstance(value, EdgeMessage):
        return {name: _text_or_json(item) for name, item in _metadata(value).items()}
    if isinstance(value, list) and value and all(isinstance(item, EdgeMessage) for item in value):
        several = [_metadata(message) for message in value]
        return {f"{name}Array": _text_or_json([one[name] for one in several]) for name in several[0]}
    return {}


def _metadata(message: EdgeMessage) -> dict[str, Any]:
    system = {
        "message-id": message.message_id,
        "correlation-id": message.correlation_id,
        "content-type": message.content_type,
        "content-encoding": message.content_encoding,
        "iothub-connection-device-id": message.connection_device_id,
        "iothub-connection-module-id": message.connection_module_id,
    }
    return {
        "Properties": dict(message.properties),
        "SystemProperties": {name: text for name, text in system.items() if text},
        "EnqueuedTimeUtc": message.created.isoformat() if message.created else "",
        "InputName": message.input_name,
        "MessageId": message.message_id,
    }


def _text_or_json(value: Any) -> meta.Datum:
    return meta.Datum(value, "string") if isinstance(value, str) else meta.Datum(json.dumps(value), "json")


# --- annotations -------------------------------------------------------------------------------------------------


def _is_plain(annotation: Any) -> bool:
    return first_of_union(annotation) in (str, bytes)


def _check(binding: Binding, accepts: Callable[[Any], bool]) -> None:
    """Asks the converter whether it makes the annotated type; raises BindingError when it does not, or can not say."""
    annotation = first_of_union(binding.annotation)
    if annotation is None:
        return
    shown = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    try:
        fits = accepts(annotation)
        why = f"the converter that the app registers for {binding.type} does not take {shown}"
    except Exception as error:  # the user's code: issubclass() of something that is no class, above all
        fits, why = False, f"the converter of {binding.type} failed on {shown}: {type(error).__name__}: {error}"
    if not fits:
        origin = "return annotation" if binding.name == "$return" else "Python type annotation"
        raise BindingError(
            f'{binding.place}: cannot load the {binding.function} function: binding type "{binding.type}" of '
            f"'{binding.name}' does not match its {origin} {shown}: {why}; annotate it with a type that it takes"
        )
