"""What a test gives -> the event that the function's trigger would have made of it."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import orjson

from edgefn.bindings.edge_hub import body_of
from edgefn.captures import Asked, open_capture
from edgefn.contracts import EdgeMessage, Event, VideoFrame
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Function
from edgefn.loader import App
from edgefn.pacing import Spacing
from edgefn.source_addresses import finite, recognise
from edgefn.testing.clock import START, Clock
from edgefn.triggers.file_forms import Form, form_of
from edgefn.triggers.mqtt import MqttTrigger
from edgefn.triggers.timer_clock import time_zone
from edgefn.triggers.timer_options import TimerTrigger
from edgefn.triggers.timer_record import Record
from edgefn.triggers.video_frame import VideoFrameTrigger
from edgefn.values import json_bytes
from edgefn.video import first_frame
from edgefn.web.http import HttpTriggerKind, Slot
from edgefn.web.requests import query_of
from edgefn.web.routes import decoded

SOURCE = "test"


@dataclass(frozen=True, slots=True)
class Tick:
    """A timer that fires."""

    past_due: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request. Without a ``url`` it goes to the function's route; ``json`` is a body, with its content type."""

    method: str = "GET"
    url: str = ""
    """Path and query, with the prefix of the routes: ``/api/items/3?color=red``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | str = b""
    json: Any = None


def message(body: Any, *, properties: Mapping[str, str] | None = None, message_id: str = "") -> EdgeMessage:
    """A message of edgeHub; a body that is neither text nor bytes becomes JSON."""
    encoded, content_type = body_of(body)
    return EdgeMessage(encoded, properties or {}, message_id=message_id, content_type=content_type)


def frame(
    image: Any,
    *,
    id: int = 0,
    timestamp: datetime = START,
    position: float = 0.0,
    source: str = SOURCE,
    fps: float = 0.0,
) -> VideoFrame:
    """A frame of a picture, H x W x 3, uint8, BGR; raises EdgefnError for another array."""
    shape, kind = getattr(image, "shape", None), str(getattr(image, "dtype", type(image).__name__))
    if shape is None or len(shape) != 3 or shape[2] != 3 or kind != "uint8":
        found = f"{kind} {'x'.join(map(str, shape))}" if shape is not None else kind
        raise EdgefnError(f"the picture: found {found}; a numpy array of uint8, H x W x 3 in BGR, would be right")
    return VideoFrame(image, id, timestamp, position, source, fps)


class Events:
    """Makes events for the functions of one app."""

    def __init__(self, app: App, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._numbers: defaultdict[str, itertools.count[int]] = defaultdict(itertools.count)
        self._last: dict[str, datetime] = {}
        self._makers: Mapping[str, Callable[[Binding, Any], Event]] = {
            "videoframetrigger": self._frames,
            "edgehubtrigger": self._messages,
            "eventhubtrigger": self._messages,
            "filetrigger": self._file,
            "mqtttrigger": self._of_topic,
            "timertrigger": self._tick,
            "httptrigger": self._request,
            "warmuptrigger": self._by_hand,
        }

    def event(self, function: Function, given: Any) -> Event:
        """The event; one that is given as such is taken as it is. Raises EdgefnError for what can not become one."""
        if isinstance(given, Event):
            return given
        assert function.trigger is not None
        make = self._makers.get(function.trigger.type.lower(), self._as_it_is)
        event = make(function.trigger, given)
        event.reason = event.reason or "This function was called by a test."
        return event

    def _as_it_is(self, binding: Binding, given: Any) -> Event:
        return Event(given)

    def _by_hand(self, binding: Binding, given: Any) -> Event:
        kind: Any = self._app.kinds.triggers[binding.type.lower()]
        event: Event = kind.manual(binding, "")
        return event

    # --- video ---------------------------------------------------------------------------------------------------

    def _frames(self, binding: Binding, given: Any) -> Event:
        options = _video(binding)
        if options.cardinality == "one":
            return Event(self._frame(binding, options, given))
        several = given if isinstance(given, list | tuple) else [given]
        return Event([self._frame(binding, options, one) for one in several])

    def _frame(self, binding: Binding, options: VideoFrameTrigger, given: Any) -> VideoFrame:
        if isinstance(given, VideoFrame):
            return given
        number = next(self._numbers[binding.function])
        if given is None or isinstance(given, str | Path):
            address = recognise(options.source if given is None else str(given), self._app.root)
            return replace(first_frame(address), id=number, timestamp=self._clock.now())
        return frame(given, id=number, timestamp=self._clock.now())

    def clip(self, function: Function, clip: str | Path | None, seconds: float | None) -> Iterator[VideoFrame]:
        """The frames of a clip, or of the function's own source, that its rate options want, by media time.

        The clock goes with them. Raises EdgefnError for what is no clip.
        """
        binding = function.trigger
        if binding is None or not isinstance(binding.options, VideoFrameTrigger):
            raise EdgefnError(f"function '{function.name}' has no videoFrameTrigger; a clip is for one that has")
        options = binding.options
        address = recognise(options.source if clip is None else str(clip), self._app.root)
        if seconds is None and not finite(address):
            raise EdgefnError(f"{address.shown}: never ends; say how many seconds of it to play")
        capture, began = open_capture(address, Asked(fps=options.capture_fps)), self._clock.monotonic()
        spacing = Spacing(options.max_fps) if options.max_fps else None
        interval = 1 / capture.fps if capture.fps else 0.0
        try:
            for number in itertools.count():
                position = capture.grab()
                if position is None or (seconds is not None and position >= seconds):
                    break
                self._clock.pass_by(max(0.0, began + position - self._clock.monotonic()))
                identity = next(self._numbers[binding.function])
                if number % options.every_nth or not (
                    spacing is None or spacing.wants(position, interval * options.every_nth)
                ):
                    continue
                if (image := capture.retrieve()) is not None:
                    now = self._clock.now()
                    yield VideoFrame(image, identity, now, position, address.shown, capture.fps, capture.item)
            self._clock.pass_by(interval)
        finally:
            capture.close()

    # --- messages ------------------------------------------------------------------------------------------------

    def _messages(self, binding: Binding, given: Any) -> Event:
        options: Any = binding.options
        name = getattr(options, "input_name", None) or options.event_hub_name
        if options.cardinality == "one":
            return Event(self._message(given, name))
        several = given if isinstance(given, list | tuple) else [given]
        return Event([self._message(one, name) for one in several])

    def _message(self, given: Any, input_name: str) -> EdgeMessage:
        made = given if isinstance(given, EdgeMessage) else message({} if given is None else given)
        created = made.created or self._clock.now()
        return replace(made, input_name=made.input_name or input_name, created=created)

    def _of_topic(self, binding: Binding, given: Any) -> Event:
        assert isinstance(binding.options, MqttTrigger)
        options = binding.options
        several = given if options.cardinality == "many" and isinstance(given, list | tuple) else [given]
        made = [one if isinstance(one, EdgeMessage) else message({} if one is None else one) for one in several]
        messages = [replace(one, topic=one.topic or options.topic) for one in made]
        return Event(messages if options.cardinality == "many" else messages[0])

    # --- files ---------------------------------------------------------------------------------------------------

    def _file(self, binding: Binding, given: Any) -> Event:
        """A file by its path, or what would be read of one: a picture, or the content."""
        form = form_of(binding.annotation)
        if isinstance(given, Path) or (isinstance(given, str) and form is not Form.CONTENT):
            kind: Any = self._app.kinds.triggers[binding.type.lower()]
            event: Event = kind.manual(binding, str(given))
            return event
        if form is Form.PATH:
            raise EdgefnError(f"{binding.where()}: is called with the path of a file; found {given!r}")
        if form is Form.CONTENT:
            return Event(body_of(given)[0])
        if isinstance(given, VideoFrame):
            return Event(given, metadata={"name": given.item})
        return Event(frame(given, id=next(self._numbers[binding.function]), timestamp=self._clock.now()))

    # --- timers --------------------------------------------------------------------------------------------------

    def _tick(self, binding: Binding, given: Any) -> Event:
        if given is not None and not isinstance(given, Tick):
            raise EdgefnError(f"{binding.where()}: a timer is called with nothing, or a Tick; found {given!r}")
        assert isinstance(binding.options, TimerTrigger)
        options, now = binding.options, self._clock.now()
        zone = time_zone(self._app.services.settings)
        value = orjson.loads(self._by_hand(binding, given).value)
        value["IsPastDue"] = given is not None and given.past_due
        if options.use_monitor and not options.schedule.is_frequent:
            record = Record(self._last.get(binding.function), options.schedule.next(now, zone), now)
            value["ScheduleStatus"] = record.json(zone)
        self._last[binding.function] = now
        return Event(orjson.dumps(value).decode())

    # --- HTTP ----------------------------------------------------------------------------------------------------

    def _request(self, binding: Binding, given: Any) -> Event:
        if isinstance(given, func.HttpRequest):
            return Event(given, metadata={"reply": Slot()})
        if given is not None and not isinstance(given, Request):
            raise EdgefnError(f"{binding.where()}: an HTTP function is called with a Request; found {given!r}")
        kind = self._app.kinds.triggers[binding.type.lower()]
        assert isinstance(kind, HttpTriggerKind)
        route = kind.routes.get(binding.function)
        assert route is not None
        asked = given or Request(route.methods[0] if route.methods else "GET")
        url = urlsplit(asked.url or f"/{route.template.text.strip('/')}")
        found = kind.routes.match(decoded(url.path.encode()), asked.method.upper())
        if found is None or found[0] is not route:
            gets = f"function '{found[0].function}' gets it" if found else "no function gets it"
            raise EdgefnError(
                f"{binding.where()}: {asked.method.upper()} {url.path}: {gets}; this one has "
                f"/{route.template.text.strip('/')}, methods {', '.join(route.methods) or 'all'}"
            )
        body = json_bytes(asked.json) if asked.json is not None else asked.body
        headers = {name.lower(): text for name, text in asked.headers.items()}
        if asked.json is not None:
            headers.setdefault("content-type", "application/json")
        request = func.HttpRequest(
            asked.method.upper(),
            f"http://localhost{url.path}" + (f"?{url.query}" if url.query else ""),
            headers=headers,
            params=query_of(url.query.encode()),
            route_params=dict(found[1]),
            body=body.encode() if isinstance(body, str) else body,
        )
        return Event(request, metadata={"reply": Slot()})


def _video(binding: Binding) -> VideoFrameTrigger:
    assert isinstance(binding.options, VideoFrameTrigger)
    return binding.options
