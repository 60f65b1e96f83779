"""What the parts of edgefn say to each other. Read this first, then function.py and hookspecs.py.

    source -> listener -> emit(event) -> invocation (bind inputs, call, collect outputs) -> output -> hub

A listener awaits ``emit`` and gets the outcome: backpressure, reply and error report are that one value.

    spine.py      events, outcomes, listeners         messages.py   frames and messages
    kinds.py      what plugins provide                sessions.py   opened models and their results
    needs.py      what a binding needs of a box       hubs.py       the hub, its twin, brokers

All of it is imported from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgefn.contracts.hubs import Destination, Hub, HubSink, HubState, MethodReply, MethodRequest, Twin
from edgefn.contracts.kinds import Input, InputKind, Kind, Output, OutputKind, Services, TriggerKind
from edgefn.contracts.messages import EdgeMessage, Outgoing, VideoFrame
from edgefn.contracts.needs import Asset, Copies, LiveSetting, Needs
from edgefn.contracts.sessions import (
    Box,
    Candidate,
    ClassificationSession,
    Detection,
    DetectionSession,
    PixelBox,
    Session,
    SessionKind,
    Task,
)
from edgefn.contracts.spine import NOTHING, Emit, Event, Feed, Listener, Origin, Outcome, Settlement, Status

if TYPE_CHECKING:
    from edgefn.contracts.sessions import OptionsModel as OptionsModel

__all__ = [
    "NOTHING",
    "Asset",
    "Box",
    "Candidate",
    "ClassificationSession",
    "Copies",
    "Destination",
    "Detection",
    "DetectionSession",
    "EdgeMessage",
    "Emit",
    "Event",
    "Feed",
    "Hub",
    "HubSink",
    "HubState",
    "Input",
    "InputKind",
    "Kind",
    "Listener",
    "LiveSetting",
    "MethodReply",
    "MethodRequest",
    "Needs",
    "Origin",
    "Outcome",
    "Outgoing",
    "Output",
    "OutputKind",
    "PixelBox",
    "Services",
    "Session",
    "SessionKind",
    "Settlement",
    "Status",
    "Task",
    "TriggerKind",
    "Twin",
    "VideoFrame",
]
