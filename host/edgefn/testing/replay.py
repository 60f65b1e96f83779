"""A recording through today's code: the same events, and what the function makes of them now."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from edgefn.by_hand import function_named
from edgefn.errors import EdgefnError, listing, nearest
from edgefn.testing.clock import START, Clock
from edgefn.testing.differences import TOLERANCE, Difference, differences, is_ignored
from edgefn.testing.event_forms import event_of, name_of
from edgefn.testing.kit import Kit, load
from edgefn.testing.outputs import snapshot
from edgefn.testing.recorder import recorded_of, settings_of
from edgefn.testing.recording import Recorded, Recording, read
from edgefn.testing.roots import app_root_of
from edgefn.testing.stubs import Answers

SHOWN = 20
"""Invocations that a report shows."""


@dataclass(slots=True)
class Changed:
    """One invocation that gives other results than it gave."""

    number: int
    """Its place in the recording, from 0."""
    event: str
    differences: list[Difference]


@dataclass(slots=True)
class Replay:
    """What came of a recording."""

    file: str
    function: str
    invocations: int
    changed: list[Changed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is not the same around the function: settings, a recording that begins in the middle."""
    today: list[Recorded] = field(default_factory=list)
    """The invocations with the results of today."""

    @property
    def is_same(self) -> bool:
        return not self.changed

    def text(self, most: int = SHOWN) -> str:
        """The report for people."""
        same = self.invocations - len(self.changed)
        lines = [f"{self.file}: {self.function}: {same} of {self.invocations} events give the same results"]
        for changed in self.changed[:most]:
            lines.append(f"  {changed.event}")
            lines += [f"    {difference}" for difference in changed.differences[:most]]
            if (more := len(changed.differences) - most) > 0:
                lines.append(f"    and {more} more")
        if (more := len(self.changed) - most) > 0:
            lines.append(f"  and {more} more events")
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def json(self) -> dict[str, Any]:
        """The report for programs: every difference."""
        changed = [
            {
                "number": each.number,
                "event": each.event,
                "differences": [{"path": d.path, "before": d.before, "after": d.after} for d in each.differences],
            }
            for each in self.changed
        ]
        return {
            "file": self.file,
            "function": self.function,
            "invocations": self.invocations,
            "same": self.is_same,
            "changed": changed,
            "notes": self.notes,
        }


def replay(
    path: Path, recording: Recording, kit: Kit, *, tolerance: float = TOLERANCE, ignore: Sequence[str] = ()
) -> Replay:
    """Runs the events of a recording, in their order, with the clock at the times when they happened.

    Raises EdgefnError when the app has no such function, or that has another trigger, or can not be opened.
    """
    _check(path, recording, kit)
    done = Replay(path.name, recording.function, len(recording.invocations))
    for number, before in enumerate(recording.invocations):
        after = _again(f"{path}: invocation {number}", before, recording, kit)
        done.today.append(after)
        found = [d for d in _differences(before, after, tolerance) if not is_ignored(d.path, ignore)]
        if found:
            done.changed.append(Changed(number, name_of(before.event, number), found))
    done.notes += _notes(recording, kit, done)
    return done


def _check(path: Path, recording: Recording, kit: Kit) -> None:
    names = kit.functions
    if recording.function not in names:
        raise EdgefnError(
            f"{path}: records function '{recording.function}', which {kit.app.root} does not have"
            f"{nearest(recording.function, names)}; functions: {listing(names)}"
            + "".join(f"\n{error}" for error in kit.app.errors)
        )
    trigger = function_named(kit.app, recording.function).trigger
    if trigger is not None and trigger.type.lower() != recording.trigger.lower():
        raise EdgefnError(
            f"{path}: records function '{recording.function}' with {recording.trigger}, and it has {trigger.type} now; "
            "record it again"
        )


def _again(where: str, before: Recorded, recording: Recording, kit: Kit) -> Recorded:
    at = datetime.fromisoformat(before.at)
    kit.clock.reach(at)
    result = kit.call(recording.function, event_of(before.event, recording.pictures, where))
    returns = any(b.name == "$return" for b in function_named(kit.app, recording.function).outputs)
    value = None if returns or result.outcome.value is None else snapshot(result.outcome.value)
    return recorded_of(before.event, at, result.outcome, result.raw, value)


def _differences(before: Recorded, after: Recorded, tolerance: float) -> Iterator[Difference]:
    yield from differences(before.status, after.status, "status", tolerance)
    yield from differences(before.error, after.error, "error", tolerance)
    yield from differences(before.value, after.value, "value", tolerance)
    for name in [*before.outputs, *(name for name in after.outputs if name not in before.outputs)]:
        yield from differences(before.outputs.get(name, []), after.outputs.get(name, []), name, tolerance)
        one, other = (each.properties.get(name, []) for each in (before, after))
        yield from differences(one, other, f"{name}.properties", tolerance)


def _notes(recording: Recording, kit: Kit, done: Replay) -> Iterator[str]:
    now = settings_of(function_named(kit.app, recording.function))
    for name, value in recording.settings.items():
        if now.get(name) != value:
            yield f"setting {name} was {value!r} and is {now.get(name)!r}"
    if done.changed and not recording.is_whole:
        yield "the recording begins in the middle, or has gaps: what a function remembers of earlier events is missing"


def clock_of(recording: Recording) -> Clock:
    """A clock that begins with the first event."""
    first = next((datetime.fromisoformat(each.at) for each in recording.invocations), START)
    return Clock(first)


def replay_case(
    file: str | Path,
    *,
    root: str | Path | None = None,
    settings: Mapping[str, str] | None = None,
    sessions: Mapping[str, Answers] | None = None,
    tolerance: float = TOLERANCE,
    ignore: Sequence[str] = (),
) -> Callable[[], None]:
    """A test for pytest: ``test_street = edgefn.testing.replay_case("street.edgefn")``.

    It fails with what differs. ``file`` is relative to the test's file; the app is in ``root``, else in the nearest
    folder above the test with a host.json. ``tolerance`` and ``ignore`` are those of ``edgefn replay``.
    """
    here = Path(sys._getframe(1).f_globals.get("__file__", "."))
    path = here.parent / file

    def test() -> None:
        __tracebackhide__ = True
        recording = read(path)
        folder = app_root_of(here.parent) if root is None else here.parent / root
        with load(folder, settings=settings, sessions=sessions, clock=clock_of(recording)) as kit:
            done = replay(path, recording, kit, tolerance=tolerance, ignore=ignore)
        if not done.is_same:
            raise AssertionError(done.text())

    test.__doc__ = f"{path.name} gives the same results as when it was recorded."
    return test
