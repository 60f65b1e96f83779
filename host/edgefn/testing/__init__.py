"""What authors of functions use in their tests: call a function without a host, a hub, or a camera.

app = edgefn.testing.load("path/to/app", sessions={"detector": [[]]})
assert app.call("detect", picture).outputs["detections"] == [...]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgefn.testing.clock import Clock as Clock
    from edgefn.testing.events import Request as Request
    from edgefn.testing.events import Tick as Tick
    from edgefn.testing.events import frame as frame
    from edgefn.testing.events import message as message
    from edgefn.testing.kit import Kit as Kit
    from edgefn.testing.kit import load as load
    from edgefn.testing.outputs import Out as Out
    from edgefn.testing.replay import replay_case as replay_case
    from edgefn.testing.result import Response as Response
    from edgefn.testing.result import Result as Result

HOMES = {
    "Clock": "clock",
    "Kit": "kit",
    "Out": "outputs",
    "Request": "events",
    "Response": "result",
    "Result": "result",
    "Tick": "events",
    "frame": "events",
    "load": "kit",
    "message": "events",
    "replay_case": "replay",
}

__all__ = [*sorted(HOMES)]


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that a run of pytest without them costs nothing."""
    if name not in HOMES:
        raise AttributeError(f"module 'edgefn.testing' has no attribute '{name}'; it has {', '.join(__all__)}")
    value = getattr(import_module(f"edgefn.testing.{HOMES[name]}"), name)
    globals()[name] = value
    return value
