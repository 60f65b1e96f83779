"""edgefn: Azure Functions in Python on live video, next to the camera."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from azure.functions import Context as Context
    from azure.functions import Out as Out

    from edgefn.app import Blueprint as Blueprint
    from edgefn.app import FunctionApp as FunctionApp
    from edgefn.contracts import Box as Box
    from edgefn.contracts import Candidate as Candidate
    from edgefn.contracts import ClassificationSession as ClassificationSession
    from edgefn.contracts import Detection as Detection
    from edgefn.contracts import DetectionSession as DetectionSession
    from edgefn.contracts import EdgeMessage as EdgeMessage
    from edgefn.contracts import PixelBox as PixelBox
    from edgefn.contracts import Session as Session
    from edgefn.contracts import VideoFrame as VideoFrame
    from edgefn.gates import LabelGate as LabelGate
    from edgefn.gates import MotionGate as MotionGate
    from edgefn.gates import PresenceEvent as PresenceEvent
    from edgefn.gates import PresenceGate as PresenceGate
    from edgefn.gates import ThresholdGate as ThresholdGate
    from edgefn.hookspecs import hookimpl as hookimpl
    from edgefn.sight import mark as mark

__version__ = "0.1.0"

HOMES = {
    "FunctionApp": "edgefn.app",
    "Blueprint": "edgefn.app",
    "Context": "azure.functions",
    "Out": "azure.functions",
    "hookimpl": "edgefn.hookspecs",
    "mark": "edgefn.sight",
    **dict.fromkeys(
        (
            "Box",
            "Candidate",
            "ClassificationSession",
            "Detection",
            "DetectionSession",
            "EdgeMessage",
            "PixelBox",
            "Session",
            "VideoFrame",
        ),
        "edgefn.contracts",
    ),
    **dict.fromkeys(
        ("LabelGate", "MotionGate", "PresenceEvent", "PresenceGate", "ThresholdGate"),
        "edgefn.gates",
    ),
}

__all__ = ["__version__", *sorted(HOMES)]


def _remedy(name: str) -> str:
    """What somebody meant by a name that is a decorator's; asked for each submodule too, so nothing is imported."""
    app = getattr(sys.modules.get("edgefn.app"), "FunctionApp", None)
    if name[0] != "_" and hasattr(app, name):
        return f"; decorators are those of an app: app = edgefn.FunctionApp(), then @app.{name}(...)"
    return ""


def __getattr__(name: str) -> Any:
    """Public names are imported when they are first used, so that the command line answers at once."""
    if name not in HOMES:
        raise AttributeError(f"module 'edgefn' has no attribute '{name}'{_remedy(name)}; it has {', '.join(__all__)}")
    value = getattr(import_module(HOMES[name]), name)
    globals()[name] = value
    return value
