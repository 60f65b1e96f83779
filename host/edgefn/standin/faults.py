"""What can go wrong on demand: each fault is one small thing, with its options in one table.

refuse-connect code=5 count=1        the next CONNECT is answered with code 5
lose-pubacks share=0.01 seconds=60   for a minute one in a hundred PUBACKs is not sent
"""

from __future__ import annotations

import asyncio
import math
import random
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgefn.errors import HubError, listing, nearest

Option = str | float


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault as it is listed; ``own`` are its own options with what they are when not given."""

    name: str
    text: str
    own: Mapping[str, Option] = field(default_factory=dict)
    holds: bool = True
    """Whether it lasts until it is over or cleared; else it happens once, at once."""
    shared: tuple[str, ...] = ("module", "seconds", "count", "share")

    @property
    def options(self) -> tuple[str, ...]:
        return (*self.own, *self.shared)


NO_MODULE = ("seconds", "count", "share")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("kill-connections", "drops connections without a word", holds=False, shared=("module",)),
        Kind("forget-sessions", "loses subscriptions, and drops connections", holds=False, shared=("module",)),
        Kind("rotate-ca", "a new root and server certificate; drops connections", holds=False, shared=()),
        Kind("freeze", "the whole hub stands still, as by SIGSTOP", {"seconds": 5.0}, holds=False, shared=()),
        Kind("refuse-connect", "answers CONNECT with a code", {"code": 5.0}),
        Kind("no-connack", "does not answer CONNECT"),
        Kind("no-tls", "accepts TCP connections and never begins with TLS", shared=("seconds", "count")),
        Kind("wrong-host-name", "a certificate for another host", shared=("seconds", "count")),
        Kind("lose-pubacks", "stores and does not acknowledge"),
        Kind("delay-pubacks", "acknowledges late", {"by": 5.0}),
        Kind("double-pubacks", "acknowledges twice"),
        Kind("die-before-puback", "exits hard, stored and not acknowledged", {"after": 1.0}, shared=("module",)),
        Kind("abort-packet", "drops the connection in the middle of a packet", {"bytes": 10_000.0}),
        Kind("poison", "drops the connection on a message whose body holds a text", {"text": "poison"}),
        Kind("lose-twin-answers", "does not answer requests for the twin"),
        Kind("double-methods", "sends method requests twice, with the same id"),
        Kind("workload-503", "the workload API answers 503", shared=NO_MODULE),
        Kind("workload-hang", "the workload API does not answer until the fault is over", shared=NO_MODULE),
        Kind("workload-slow", "the workload API answers late", {"by": 5.0}, shared=NO_MODULE),
        Kind("workload-gone", "the socket of the workload API is not there", shared=("seconds",)),
        Kind("wrong-signature", "the workload API signs with another key", shared=NO_MODULE),
    )
}


@dataclass(eq=False, slots=True)
class Fault:
    """One fault of a running hub."""

    kind: Kind
    own: dict[str, Option]
    module: str = ""
    seconds: float = math.inf
    left: float = math.inf
    share: float = 1.0
    struck: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def number(self, option: str) -> float:
        return float(self.own[option])

    def status(self) -> dict[str, Any]:
        limits = {"module": self.module, "seconds": self.seconds, "left": self.left, "share": self.share}
        given = {name: value for name, value in limits.items() if value not in ("", math.inf, 1.0)}
        return {"fault": self.kind.name, **self.own, **given, "struck": self.struck}


def parse_fault(text: str | Sequence[str]) -> Fault:
    """``refuse-connect code=5 count=1``; raises HubError."""
    try:
        name, *pairs = shlex.split(text) if isinstance(text, str) else text
    except ValueError:
        raise HubError(f"fault {text!r}: no name of a fault; faults: {listing(KINDS)}") from None
    kind = KINDS.get(name)
    if kind is None:
        raise HubError(f"fault {name!r}: there is none of that name{nearest(name, KINDS)}; faults: {listing(KINDS)}")
    given = dict(_pairs(kind, pairs))
    own = {option: given.get(option, default) for option, default in kind.own.items()}
    return Fault(
        kind,
        own,
        str(given.get("module", "")),
        float(given.get("seconds", math.inf)),
        float(given.get("count", math.inf)),
        float(given.get("share", 1.0)),
    )


def _pairs(kind: Kind, pairs: Sequence[str]) -> Iterator[tuple[str, Option]]:
    for pair in pairs:
        option, equals, value = pair.partition("=")
        if not equals or option not in kind.options:
            there = listing(f"{known}=" for known in kind.options)
            raise HubError(f"fault {kind.name}: no option {pair!r}{nearest(option, kind.options)}; options: {there}")
        is_text = option == "module" or isinstance(kind.own.get(option), str)
        yield option, value if is_text else _number(kind, option, value)


def _number(kind: Kind, option: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf or (option == "share" and number > 1):
        right = "a number from 0 to 1" if option == "share" else "a number from 0 on"
        raise HubError(f"fault {kind.name}: {option}={value}; {right} would be right")
    return number


class Faults:
    """Those that hold now. The places where one strikes ask for it by name."""

    def __init__(self) -> None:
        self._held: list[Fault] = []

    def __bool__(self) -> bool:
        return bool(self._held)

    def hold(self, fault: Fault, later: Callable[[float, Callable[[], None]], object]) -> None:
        """From now on; ``later`` runs a call after so many seconds."""
        self._held.append(fault)
        if fault.seconds < math.inf:
            later(fault.seconds, lambda: self.end(fault))

    def end(self, fault: Fault) -> None:
        fault.over.set()
        self._held = [held for held in self._held if held is not fault]

    def clear(self) -> int:
        """Ends all; gives their number."""
        held = self._held
        for fault in held:
            self.end(fault)
        return len(held)

    def strike(self, name: str, module: str = "") -> Fault | None:
        """The fault of that name, if it hits now; counted as a hit."""
        fault = self.find(name, module)
        if fault is None or (fault.share < 1 and random.random() >= fault.share):
            return None
        fault.left -= 1
        fault.struck += 1
        return fault

    def find(self, name: str, module: str = "") -> Fault | None:
        """The fault of that name, if it could hit."""
        for fault in self._held:
            if fault.kind.name == name and fault.module in ("", module) and fault.left >= 1:
                return fault
        return None

    def status(self) -> list[dict[str, Any]]:
        return [fault.status() for fault in self._held]
