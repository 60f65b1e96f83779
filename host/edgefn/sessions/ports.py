"""Inputs and outputs of a model, in words that errors and heads use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Port(NamedTuple):
    """An input or output of a model; -1 stands for a dimension that is known only at run time."""

    name: str
    shape: tuple[int, ...]
    type: str
    dtype: Any = None
    """The same as a numpy dtype; None when numpy has none."""

    def __str__(self) -> str:
        return f"{self.name} [{','.join('?' if n < 0 else str(n) for n in self.shape)}] {self.type}"


class Tensors(Protocol):
    """The model beneath a session, tensors in and tensors out: what the host can serve to other programs."""

    @property
    def inputs(self) -> Sequence[Port]: ...

    @property
    def outputs(self) -> Sequence[Port]: ...

    @property
    def picture(self) -> Port | None:
        """The input that takes a picture of any size too, prepared as the session's binding declares; if any."""

    def infer(self, data: Mapping[str, Any]) -> Mapping[str, NDArray[Any]]:
        """All outputs by name, for an array for each input, or an H x W x 3 uint8 BGR picture for ``picture``."""


def name_of(port: Any) -> str:
    """The name of an OpenVINO input or output; of its node, when it has none of its own."""
    return str(port.any_name if port.names else port.node.friendly_name)


def port_of(port: Any) -> Port:
    """The description of an OpenVINO input or output."""
    shape = tuple(n.get_length() if n.is_static else -1 for n in port.partial_shape)
    return Port(name_of(port), shape, port.element_type.get_type_name(), _dtype(port))


def _dtype(port: Any) -> Any:
    try:
        return port.element_type.to_dtype()
    except (RuntimeError, TypeError, KeyError):  # bf16, u4 and others that numpy has not
        return None
