"""Which apps may run in several hosts at once, as replicas, and which function holds an app to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from edgefn.contracts import Copies
from edgefn.function import Binding, Function
from edgefn.hubs.mqtt import hub_address
from edgefn.loader import App
from edgefn.plugins import KindTable, kind_of


@dataclass(frozen=True, slots=True)
class Replication:
    """Whether replicas of an app are right, and what they would bring."""

    held: Mapping[str, str]
    """Why an app runs in one host only: reasons by what has them; empty where several may run."""
    shares: bool
    """Whether some function takes its part of the messages that all replicas get."""


def replication(app: App) -> Replication:
    """What the functions of a checked app say; those that are disabled say nothing."""
    active = [function for function in app.functions if not function.disabled]
    held = {f"function '{each.name}' ({each.place})": why for each in active if (why := _why_one(each, app.kinds))}
    hub = hub_address(app.root, app.config, app.defaults.settings)
    if hub is not None and hub.client_id:
        held["extensions.edgeHub.broker"] = "its address has a clientId, which one host at a time may have"
    shares = any(copies.shares for each in active for copies in _all(each, app.kinds))
    return Replication(held, shares)


def _why_one(function: Function, kinds: KindTable) -> str:
    return next((copies.why_one for copies in _all(function, kinds) if copies.why_one), "")


def _all(function: Function, kinds: KindTable) -> Iterator[Copies]:
    for binding in function.bindings:
        yield _copies(binding, kinds, is_trigger=binding is function.trigger)


def _copies(binding: Binding, kinds: KindTable, *, is_trigger: bool) -> Copies:
    asked = getattr(kind_of(binding, kinds), "copies", None)
    if asked is None:
        return Copies(f"the kind {binding.type} does not say that replicas may share its events" if is_trigger else "")
    found: Copies = asked(binding)
    return found
