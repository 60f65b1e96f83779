"""The gate that an output declares: which of the values that a function sets are worth a message, and why."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

import orjson
from pydantic import BeforeValidator, Field, model_validator
from pydantic.alias_generators import to_camel

from edgefn.contracts import EdgeMessage, Event, VideoFrame
from edgefn.errors import listing
from edgefn.function import Options, Seconds, Word
from edgefn.gates import LabelGate, PresenceEvent, PresenceGate, ThresholdGate
from edgefn.gates.sightings import Sighting, class_names, sightings

Reason = Mapping[str, str]
"""Why a gate opened: application properties of the message."""


def _once(opened: Any) -> list[Reason]:
    return [{}] if opened else []


def _each(events: Sequence[PresenceEvent]) -> list[Reason]:
    return [{"event": each.event, "name": each.name, "position": f"{each.at:.3f}"} for each in events]


class Declarable(NamedTuple):
    """A gate that an output may declare."""

    make: Callable[..., Any]
    options: tuple[str, ...]
    reasons: Callable[[Any], list[Reason]]


GATES = {
    "label": Declarable(LabelGate, ("threshold", "background", "timeout"), _once),
    "presence": Declarable(PresenceGate, ("classes", "threshold", "hold"), _each),
    "threshold": Declarable(ThresholdGate, ("threshold", "classes"), _once),
}
NEEDS_GATE = ("gate_field", "threshold", "classes", "hold", "background", "timeout")


def _none(value: Any) -> Any:
    return None if value in ("", "none") else value


def _names(value: Any) -> Any:
    return sorted(class_names(value)) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class GatedOptions(Options):
    """The options of an output that are about its gate. What is not set is as the gate itself has it."""

    gate: Annotated[Literal["label", "presence", "threshold"] | None, BeforeValidator(_none), Word] = None
    """A message only when the best label changes, when a class enters or leaves, or when something is sure enough.

    Empty and ``none`` are how a setting says that there is no gate.
    """
    gate_field: str = ""
    """The field of the value that holds the results; the value itself when empty."""
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """The lowest score that counts."""
    classes: Names | None = None
    """Those that count; a list, or names with commas between them. All when there are none."""
    hold: Annotated[Seconds, Field(ge=0, allow_inf_nan=False)] | None = None
    """Seconds without a sighting after which a class has left."""
    background: Names | None = None
    """Labels that mean that nothing is there: the next label is a new one."""
    timeout: Annotated[Seconds, Field(gt=0, allow_inf_nan=False)] | None = None
    """Seconds without a sighting after which a label is forgotten."""

    @model_validator(mode="after")
    def _of_the_gate(self) -> Self:
        if self.gate is None and "gate" in self.model_fields_set:
            return self
        known = ("gate_field", *GATES[self.gate].options) if self.gate else ()
        for name in NEEDS_GATE:
            if getattr(self, name) not in (None, "") and name not in known:
                takers = listing(kind for kind, gate in GATES.items() if name in ("gate_field", *gate.options))
                raise ValueError(f"{to_camel(name)} is for gate {takers}; declare one, or leave it out")
        return self

    def of_gate(self) -> dict[str, Any]:
        """What is said of the declared gate."""
        assert self.gate is not None
        return {name: value for name in GATES[self.gate].options if (value := getattr(self, name)) is not None}


class ResultGate:
    """The gate of one output of one function; it sees what the function sets, in the order of the events.

    Its state goes with the function: a host that starts anew knows of no label and no class.
    """

    def __init__(self, options: GatedOptions) -> None:
        assert options.gate is not None
        self.name: str = options.gate
        self._field = options.gate_field
        self._gate = GATES[options.gate].make(**options.of_gate())
        self._before = self._gate

    def change(self, options: GatedOptions) -> None:
        """Decides by other options of the same gate from now on; who is there, and what was seen last, counts on."""
        made = GATES[self.name].make(**options.of_gate())
        for name in GATES[self.name].options:
            setattr(self._gate, name, getattr(made, name))
            setattr(self._before, name, getattr(made, name))
        self._field = options.gate_field

    def results(self, value: Any) -> list[Sighting]:
        """The results in a value that a function set; raises TypeError where there are none to be found."""
        return sightings(_field_of(_plain(value), self._field))

    def feed(self, results: Sequence[Sighting], event: Event) -> list[Reason]:
        """A reason for each message that the value is worth; none when the gate stays closed."""
        self._before = copy.copy(self._gate)
        if event.settlement is not None:
            event.settlement.otherwise(self.undo)
        return GATES[self.name].reasons(self._gate.feed(results, media_time(event)))

    def undo(self) -> None:
        """Forgets what it was fed with last: the message was not sent, so that the next value opens the gate again."""
        self._gate = self._before


def declared_gate(options: GatedOptions, before: ResultGate | None = None) -> ResultGate | None:
    """The gate that the options declare, if any: the one ``before``, where that is of the same name."""
    if before is None or before.name != options.gate:
        return ResultGate(options) if options.gate else None
    before.change(options)
    return before


def media_time(event: Event) -> float | None:
    """The media time of the frame, or last frame, that an event is about; None for other events."""
    value = event.value[-1] if isinstance(event.value, list) and event.value else event.value
    return value.position if isinstance(value, VideoFrame) else None


def _plain(value: Any) -> Any:
    text = value.body if isinstance(value, EdgeMessage) else value
    if not isinstance(text, str | bytes | bytearray):
        return value
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise TypeError("a gate looks for results in JSON, and finds a text or bytes that are none") from None


def _field_of(value: Any, name: str) -> Any:
    if not name:
        return value
    if isinstance(value, Mapping) and name in value:
        return value[name]
    if not isinstance(value, Mapping) and hasattr(value, name):
        return getattr(value, name)
    known = f" with {listing(map(str, value))}" if isinstance(value, Mapping) else ""
    raise TypeError(
        f"the gate looks for results in the field '{name}', and finds a {type(value).__name__}{known}; "
        "name the field that holds them as gate_field"
    )
