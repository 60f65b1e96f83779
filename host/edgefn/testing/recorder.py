"""Keeps the last events of one function, with what it made of them, while a host runs.

The function pays for putting two references into a queue. A thread makes PNG and JSON of them; where it is too slow,
events are left out, and counted: the function never waits for it.
"""

from __future__ import annotations

import itertools
import logging
import queue
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from edgefn.by_hand import function_named
from edgefn.contracts import Event, Outcome, OutputKind, Status, VideoFrame
from edgefn.function import Function
from edgefn.hookspecs import hookimpl
from edgefn.loader import App
from edgefn.redaction import MASK, redact, redacted, secrets_in
from edgefn.settings import references
from edgefn.testing.event_forms import NotRecordable, form_of
from edgefn.testing.outputs import ToldOutputKind, as_json, properties_of, snapshot, values_of
from edgefn.testing.recording import Recorded, Recording

log = logging.getLogger("edgefn.record")

WAITING = 16
"""Events that may wait for the thread, however large they are."""
WAITING_BYTES = 64_000_000
"""Of the events that wait: more of them may where they are small."""
SMALL = 65_536
"""Bytes that an event is taken for at least."""
MOST_BYTES = 256_000_000
"""Of the pictures and texts that are kept; the oldest go first."""
UNFINISHED = 256
"""Invocations whose outputs are remembered until they end; some never do."""


@dataclass(slots=True)
class Seen:
    """One invocation, on its way to the thread."""

    event: Event
    outcome: Outcome
    ended: datetime
    outputs: Mapping[str, Any]
    value: bytes | None


@dataclass(slots=True)
class Kept:
    """One invocation in the ring."""

    at: datetime
    recorded: Recorded
    pictures: dict[str, bytes] = field(default_factory=dict)
    size: int = 0


class Recorder:
    """Records one function of a host; ``attach`` it before the host is made.

    ``seconds`` is how much is kept, None for all; ``now`` gives the time, in UTC.
    """

    def __init__(
        self,
        function: Function,
        seconds: float | None,
        most_bytes: int = MOST_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.function = function
        self._seconds = seconds
        self._most = most_bytes
        self._now = now
        self._outputs: dict[int, tuple[Event, dict[str, Any]]] = {}
        self._queue: queue.SimpleQueue[Seen | None] = queue.SimpleQueue()
        self._ring: deque[Kept] = deque()
        self._bytes = 0
        self._numbers = itertools.count(1)
        self._left_out: Counter[str] = Counter()
        self._is_whole = True
        self._settings = settings_of(function)
        self.began: Callable[[], None] | None = None
        """Called for each event."""
        self._returns = any(binding.name == "$return" for binding in function.outputs)
        self._thread = threading.Thread(target=self._work, name=f"record {function.name}", daemon=True)
        self._thread.start()

    # --- on the event loop ---------------------------------------------------------------------------------------

    def told(self, name: str, event: Event, said: Any) -> None:
        """Takes what the function gave to an output."""
        if len(self._outputs) > UNFINISHED:
            del self._outputs[next(iter(self._outputs))]
        self._outputs.setdefault(id(event), (event, {}))[1][name] = said  # the event is held: its id stays its own

    @hookimpl
    def edgefn_invocation_ended(self, function: Function, event: Event, outcome: Outcome) -> None:
        if function.name != self.function.name:
            return
        _, outputs = self._outputs.pop(id(event), (event, {}))
        if self.began is not None:
            self.began()
        if self._queue.qsize() >= max(WAITING, WAITING_BYTES // max(SMALL, _pixels(event.value))):
            self._left_out["recording was too slow"] += 1
            return
        value = None if self._returns or outcome.value is None else snapshot(outcome.value)
        self._queue.put(Seen(event, outcome, self._now(), outputs, value))

    # --- on the thread -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (seen := self._queue.get()) is not None:
            try:
                self._keep(seen)
            except NotRecordable as error:
                self._left_out[str(error)] += 1
            except Exception as error:  # whatever it is, the next event may be recorded
                log.warning("An event can not be recorded: %s: %s", type(error).__name__, error)
                self._left_out["it can not be recorded"] += 1

    def _keep(self, seen: Seen) -> None:
        pictures: dict[str, bytes] = {}

        def keep(data: bytes) -> str:
            name = f"frames/{next(self._numbers):06d}.png"
            pictures[name] = data
            return name

        at = _time_of(seen)
        recorded = recorded_of(form_of(seen.event, keep), at, seen.outcome, seen.outputs, seen.value)
        size = sum(map(len, pictures.values())) + len(orjson.dumps(recorded))
        self._ring.append(Kept(at, recorded, pictures, size))
        self._bytes += size
        oldest = None if self._seconds is None else at - timedelta(seconds=self._seconds)
        while self._ring and (self._bytes > self._most or (oldest is not None and self._ring[0].at < oldest)):
            if self._bytes > self._most:
                self._left_out[f"more than {self._most} bytes"] += 1
            self._bytes -= self._ring.popleft().size
            self._is_whole = False

    # --- the end -------------------------------------------------------------------------------------------------

    def finish(self) -> Recording:
        """Waits until everything is kept, and gives it, in the order of the events."""
        self._queue.put(None)
        self._thread.join()
        function, trigger = self.function, self.function.trigger
        kept = sorted(self._ring, key=lambda each: each.at)
        return Recording(
            function.name,
            trigger.type if trigger is not None else "",
            self._settings,
            [each.recorded for each in kept],
            {name: data for each in kept for name, data in each.pictures.items()},
            recorded=self._now().isoformat(),
            is_whole=self._is_whole and not self._left_out,
            left_out=dict(self._left_out),
        )


def attach(app: App, function: str, seconds: float | None, most_bytes: int = MOST_BYTES) -> Recorder:
    """Records a function of an app whose host is made afterwards; raises EdgefnError for one that is not there."""
    recorder = Recorder(function_named(app, function), seconds, most_bytes)
    name = recorder.function.name
    outputs: dict[str, OutputKind] = {
        key: ToldOutputKind(kind, name, recorder.told) for key, kind in app.kinds.outputs.items()
    }
    app.kinds = replace(app.kinds, outputs=outputs)
    app.manager.register(recorder)
    return recorder


def recorded_of(
    form: dict[str, Any], at: datetime, outcome: Outcome, outputs: Mapping[str, Any], value: bytes | None
) -> Recorded:
    """One invocation as JSON, without secrets."""
    error = outcome.error
    return Recorded(
        at.isoformat(),
        form,
        outcome.status.value,
        None if value is None else redacted(orjson.loads(value)),
        None if outcome.status is Status.OK else redact(f"{type(error).__name__}: {error}"),
        {name: [redacted(as_json(one)) for one in values_of(said)] for name, said in outputs.items()},
        {name: redacted(found) for name, said in outputs.items() if (found := properties_of(said))},
    )


def settings_of(function: Function) -> dict[str, str]:
    """The settings that the bindings of a function name, with ``***`` for those that are secrets."""
    found: dict[str, str] = {}
    for binding in function.bindings:
        declared = [name for value in binding.declared.values() for name in references(value)]
        declared += [str(binding.declared["settingName"])] if "settingName" in binding.declared else []
        for name in declared:
            value = binding.settings.get(name) if binding.settings is not None else None
            if value is not None:
                found[name] = MASK if value in secrets_in({name: value}) else redact(value)
    return found


def _pixels(value: Any) -> int:
    """The bytes of the pictures of an event."""
    frames = value if isinstance(value, list) else [value]
    return sum(frame.image.nbytes for frame in frames if isinstance(frame, VideoFrame))


def _time_of(seen: Seen) -> datetime:
    value = seen.event.value
    first = value[0] if isinstance(value, list) and value else value
    return first.timestamp if isinstance(first, VideoFrame) else seen.ended
