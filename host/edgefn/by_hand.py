"""Events made by hand, of a text: for the admin endpoint, the direct method ``invoke``, and ``edgefn run``."""

from __future__ import annotations

from edgefn.contracts import Event
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.function import Function
from edgefn.loader import App
from edgefn.plugins import KindTable


def function_named(app: App, name: str) -> Function:
    """The function of that name, in any case; raises EdgefnError where there is none, or it is in error."""
    found = next((function for function in app.functions if function.name.lower() == name.lower()), None)
    if found is None:
        names = [function.name for function in app.functions]
        raise EdgefnError(
            "\n".join(app.errors) or f"no function '{name}'{nearest(name, names)}; functions: {listing(names)}"
        )
    if found.errors:
        raise EdgefnError("\n".join(found.errors))
    return found


def event_by_hand(kinds: KindTable, function: Function, text: str, reason: str) -> Event:
    """What the function's trigger makes of a text; raises EdgefnError where it makes nothing of one."""
    trigger = function.trigger
    assert trigger is not None
    manual = getattr(kinds.triggers[trigger.type.lower()], "manual", None)
    if manual is None:
        raise EdgefnError(
            f"{trigger.where()} has events of its own only, and takes no text; let it run in edgefn start"
        )
    event: Event = manual(trigger, text)
    event.reason = reason
    return event
