"""Device strings, checked before OpenVINO sees them, so that a wrong one is one line and not a C++ trace.

CPU   GPU   GPU.1   NPU   AUTO   AUTO:GPU,CPU   AUTO:-CPU   HETERO:GPU,CPU   MULTI:GPU,CPU   BATCH:GPU(16)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgefn.errors import ModelError, listing, nearest

REAL = ("CPU", "GPU", "NPU")
VIRTUAL = ("AUTO", "HETERO", "MULTI", "BATCH")
GONE = ("FPGA", "GNA", "HDDL", "MYRIAD", "VPUX")
"""Devices of earlier releases, which OpenVINO no longer supports."""


class DeviceError(ModelError):
    """A device that is not there, or does not take the model: a declared fallback is used instead."""


ENTRY = re.compile(r"^-?[A-Z]+(\.\d+)?(\(\d+\))?$")


@dataclass(frozen=True, slots=True)
class Choice:
    """The string that OpenVINO is given, and what was left out of the declared one, in words."""

    device: str
    note: str = ""


def choose(asked: str, present: Sequence[str]) -> Choice:
    """What to open for the declared string on a machine that has the devices ``present``.

    ``AUTO`` takes what is there: absent devices are dropped from its list. ``HETERO``, ``MULTI`` and ``BATCH`` need
    every device that they name. One of the first three over a single device is that device.

    Raises DeviceError for a string that is not understood, or a device that is not there.
    """
    text = asked.strip().upper()
    head, colon, rest = text.partition(":")
    entries = [entry.strip() for entry in rest.split(",")] if colon else []
    if head not in VIRTUAL:
        entries = [text]
    elif not entries and head != "AUTO":
        raise DeviceError(f"device '{asked}' lists no device; right would be '{head}:CPU'; {_has(present)}")
    _check_words(asked, head, entries, present)
    if head not in VIRTUAL:
        _check_present(asked, entries, present)
        return Choice(text)
    if head != "AUTO":
        _check_present(asked, entries, present)
        return Choice(_plain(head, entries) or text)
    return _automatic(asked, entries, present)


def is_there(name: str, present: Sequence[str]) -> bool:
    """Whether the machine has the device; ``GPU`` and ``GPU.0`` are the same."""
    if name in present:
        return True
    kind, _, number = name.partition(".")
    if number:
        return number == "0" and kind in present
    return any(device.partition(".")[0] == kind for device in present)


def _check_words(asked: str, head: str, entries: Sequence[str], present: Sequence[str]) -> None:
    for entry in entries:
        if not ENTRY.match(entry) or (entry.startswith("-") and head != "AUTO"):
            raise DeviceError(
                f"device '{asked}' is not understood{nearest(entry or head, (*REAL, *VIRTUAL))}; right would be"
                f" CPU, GPU, GPU.1, NPU, AUTO, AUTO:GPU,CPU, HETERO:GPU,CPU or MULTI:GPU,CPU; {_has(present)}"
            )


def _check_present(asked: str, entries: Sequence[str], present: Sequence[str]) -> None:
    absent = [name for name in map(_name, entries) if not is_there(name, present)]
    if not absent:
        return
    gone = [name for name in absent if name.partition(".")[0] in GONE]
    known = {name.partition(".")[0] for name in present} | {*REAL, *GONE}
    strange = [name for name in absent if name.partition(".")[0] not in known]
    reason = f"; OpenVINO no longer supports {listing(gone)}" if gone else ""
    hint = nearest(strange[0], (*REAL, *VIRTUAL)) if strange else ""
    subject = f"device '{asked}'" if [asked.strip().upper()] == absent else f"device '{asked}': {listing(absent)}"
    raise DeviceError(f"{subject} is not there{reason}{hint}; {_has(present)}")


def _automatic(asked: str, entries: Sequence[str], present: Sequence[str]) -> Choice:
    wanted = [entry for entry in entries if not entry.startswith("-")]
    barred = [_name(entry) for entry in entries if entry.startswith("-")]
    kept = [entry for entry in wanted if is_there(_name(entry), present)]
    reals = kept if wanted else [name for name in present if not any(is_there(bar, [name]) for bar in barred)]
    if not reals:
        _check_present(asked, wanted, present)
        raise DeviceError(f"device '{asked}' leaves no device; {_has(present)}")
    dropped = [entry for entry in wanted if entry not in kept]
    note = f"{listing(dropped)} of {asked} is not there" if dropped else ""
    if len(reals) == 1:
        return Choice(reals[0], note)
    bars = [f"-{bar}" for bar in barred if is_there(bar, present)]
    return Choice(":".join(filter(None, ("AUTO", ",".join(kept + bars)))), note)


def _plain(head: str, entries: Sequence[str]) -> str:
    return entries[0] if len(entries) == 1 and head in ("HETERO", "MULTI") and "(" not in entries[0] else ""


def _has(present: Sequence[str]) -> str:
    return f"this machine has {listing(present)}"


def _name(entry: str) -> str:
    return entry.lstrip("-").partition("(")[0]
