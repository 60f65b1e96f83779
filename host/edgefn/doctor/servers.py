"""Models on other servers: there, and as they are declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from edgefn.bindings.inference_session import InferenceSessionOptions, kind_name
from edgefn.doctor.lines import Line, of_error, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.errors import EdgefnError, listing
from edgefn.function import Binding
from edgefn.sessions.far import Rejected, Unavailable, Wire, address_of
from edgefn.sessions.kserve import KserveOptions

CHECK = "servers"
LONGEST = 3.0
"""Seconds that a server gets."""
START = "start it, or correct 'model'; the function starts without it, and asks again with each inference"


Look = Callable[[InferenceSessionOptions], str]
"""What a server says, or that it answers; raises Unavailable and Rejected."""


def check_servers(subject: Subject) -> Iterator[Line]:
    """A line for each address, however many sessions are on it; those whose options are in error are left out."""
    seen: set[str] = set()
    for binding in subject.bindings("inferenceSession"):
        declared = binding.options
        if not isinstance(declared, InferenceSessionOptions) or declared.model in seen:
            continue
        look = _LOOKS.get(kind_name(declared))
        if look is not None:
            seen.add(declared.model)
            yield _line(binding, declared, look)


def _line(binding: Binding, declared: InferenceSessionOptions, look: Look) -> Line:
    where = f"{binding.where()}: "
    try:
        return ok(CHECK, f"{declared.model}: {look(declared)}")
    except Unavailable as error:
        return wrong(CHECK, f"{where}{error}", START)
    except Rejected as error:
        return wrong(CHECK, f"{where}{error}", "correct the name of the model, or its 'headers'")
    except EdgefnError as error:
        return of_error(CHECK, f"{where}{error}")


def _open_inference(declared: InferenceSessionOptions) -> str:
    """Inputs and outputs of the model, as its server tells them."""
    from edgefn.sessions.links import link_to, place_of

    options = KserveOptions.model_validate(declared.all())
    link = link_to(place_of(options.model), options.headers)
    try:
        said = link.metadata(LONGEST)
    finally:
        link.close()
    return f"{listing(map(str, said.inputs))} -> {listing(map(str, said.outputs))}"


def _custom_vision(declared: InferenceSessionOptions) -> str:
    """Whether anything answers: nothing is posted."""
    address = address_of(declared.model)
    wire = Wire(address, {})
    try:
        answer = wire.ask("GET", "/", b"", {}, LONGEST)
    finally:
        wire.close()
    return f"answers, with {answer.status} at /"


_LOOKS: dict[str, Look] = {
    **dict.fromkeys(("kserve", "http", "https", "grpc", "grpcs"), _open_inference),
    "custom-vision": _custom_vision,
}
