"""Events made by hand, of a text: for the admin endpoint, the direct method ``invoke``, and ``edgefn run``."""

from __future__ import annotations

from edgefn.contracts import Event
from edgefn.errors import EdgefnError
from edgefn.function import Function
from edgefn.plugins import KindTable


def event_by_hand(kinds: KindTable, function: Function, text: str, reason: str) -> Event:
    """What the function's trigger makes of a text; raises EdgefnError where it makes nothing of one."""
    trigger = function.trigger
    assert trigger is not None
    manual = getattr(kinds.triggers[trigger.type.lower()], "manual", None)
    if manual is None:
        raise EdgefnError(f"{trigger.where()} has events of its own only, and can not be run with a text")
    event: Event = manual(trigger, text)
    event.reason = reason
    return event
