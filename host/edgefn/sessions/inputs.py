"""Which input of a model takes the picture, and in which layout: for every engine that gives tensors."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from edgefn.errors import ModelError, listing, nearest
from edgefn.sessions.ports import Port


def find_picture(
    model: str,
    ports: Sequence[Port],
    aliases: Sequence[Collection[str]],
    layouts: Sequence[str | None],
    wanted: str | None,
) -> int | None:
    """The index of the input that takes the picture: the wanted one, else the only one with a layout; None for none.

    ``aliases`` are further names of each input. Raises ModelError that lists the inputs.
    """
    names = [port.name for port in ports]
    if wanted:
        found = [i for i, name in enumerate(names) if wanted in {name, *aliases[i]}]
        if not found:
            raise ModelError(
                f"model '{model}' has no input '{wanted}'{nearest(wanted, names)};"
                f" its inputs: {listing(map(str, ports))}"
            )
        return found[0]
    found = [i for i, layout in enumerate(layouts) if layout]
    if len(found) > 1:
        raise ModelError(f"several inputs could take the picture: {listing(map(str, ports))}; declare 'inputName'")
    return found[0] if found else None


def layout_of(shape: Sequence[int], known: str) -> str | None:
    """``NCHW`` or ``NHWC``: what is known of it, else what the place of the 3 (or 1) channels tells."""
    if len(shape) != 4:
        return None
    if known in ("NCHW", "NHWC"):
        return known
    for channels in (3, 1):
        if (shape[1] == channels) != (shape[3] == channels):
            return "NCHW" if shape[1] == channels else "NHWC"
    return None


def picture_shape(port: Port, layout: str | None, size: tuple[int, int] | None) -> list[int]:
    """The input's shape for one picture, of the declared size where there is one; raises ModelError for an open one."""
    if layout is None:
        raise ModelError(f"the layout of input {port} is not clear; declare 'layout': nchw or nhwc")
    shape = list(port.shape)
    wanted = {"N": 1, "C": 3 if shape[layout.index("C")] < 0 else None, **dict(zip("HW", size or (), strict=False))}
    for axis, letter in enumerate(layout):
        shape[axis] = wanted.get(letter) or shape[axis]
    if -1 in shape:
        raise ModelError(f"input {port} leaves its height or width open; declare 'inputSize': [height, width]")
    return shape
