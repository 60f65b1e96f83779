"""What is seen of invocations on video: results in their place, marks, and nothing while nobody looks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from edgefn import sight
from edgefn.contracts import Box, Candidate, Detection, Event, Outcome, PixelBox, Status, VideoFrame
from edgefn.host import Host
from edgefn.metrics import Metrics
from edgefn.sight import Mark, SeenSession, Sight, Sights, mark, seen
from edgefn.web.page.films import Films
from edgefn.web.page.streams import pictures
from tests.conftest import AppIn

FOUND = Detection(1, "car", 0.9, Box(0.0, 0.0, 0.5, 1.0), PixelBox(0, 0, 1, 1))


def frame(number: int = 0, width: int = 200, height: int = 100) -> VideoFrame:
    image = np.zeros((height, width, 3), np.uint8)
    return VideoFrame(image, number, datetime.now(UTC), 0.0, "source", 10.0)


def sight_of(*frames: VideoFrame) -> Sight:
    return Sight("f", "id", frames)


class Finds:
    """A session that always finds the same."""

    def __init__(self, *found: Any) -> None:
        self.found = list(found)
        self.more = "the session's own"

    def infer(self, data: Any) -> Any:
        return self.found

    async def infer_async(self, data: Any) -> Any:
        return self.found

    def status(self) -> dict[str, Any]:
        return {"model": "m"}


PARTS: dict[str, tuple[Callable[[VideoFrame], Any], Box | None]] = {
    "the frame": (lambda frame: frame, Box(0.0, 0.0, 0.5, 1.0)),
    "its image": (lambda frame: frame.image, Box(0.0, 0.0, 0.5, 1.0)),
    "a part of it": (lambda frame: frame.image[50:75, 100:200], Box(0.5, 0.5, 0.75, 0.75)),
    "a copy": (lambda frame: frame.image.copy(), None),
    "a picture of another size": (lambda frame: np.zeros((30, 30, 3), np.uint8), None),
    "a mapping": (lambda frame: {"input": frame.image}, None),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_box_is_where_its_picture_is_in_the_frame(name: str) -> None:
    part, box = PARTS[name]
    whole = frame()
    looked = sight_of(whole)
    assert SeenSession(Finds(FOUND), looked).infer(part(whole)) == [FOUND]
    assert looked.newest() == [Mark("car", box, 0.9, index=1)]


async def test_results_of_lists_of_frames_belong_to_their_own_frame() -> None:
    first, last = frame(0), frame(1)
    looked = sight_of(first, last)
    session = SeenSession(Finds(Candidate(3, "day", 0.7)), looked)
    await session.infer_async(first)
    assert looked.newest() == []
    await session.infer_async(last)
    assert looked.newest() == [Mark("day", None, 0.7, index=3)]
    assert (session.status(), session.more) == ({"model": "m"}, "the session's own")


def test_results_that_are_not_typed_say_nothing() -> None:
    looked = sight_of(frame())
    SeenSession(Finds("text", 1, None), looked).infer(frame())
    looked.results(looked.frame, {"output": np.zeros(3)})
    assert looked.marks == []


def test_marks_are_bounded_and_never_raise(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = sight_of(frame())
    mark("nobody looks", "wrong")
    token = sight.CURRENT.set(looked)
    try:
        mark("share", (0, 0, 0.5, 0.5), score=1, colour="red")
        mark("pixels", PixelBox(20, 10, 100, 50))
        mark("wrong", "box")
        mark("wrong", (1, 2))
        mark("wrong", score="high")  # type: ignore[arg-type]
        mark("x" * 1000)
        assert looked.newest()[:2] == [
            Mark("share", Box(0.0, 0.0, 0.5, 0.5), 1.0, "red"),
            Mark("pixels", Box(0.1, 0.1, 0.5, 0.5)),
        ]
        assert [len(each.text) for each in looked.newest()[2:]] == [sight.LONGEST]
        for _ in range(1000):
            mark("more")
    finally:
        sight.CURRENT.reset(token)
    assert len(looked.marks) == sight.MOST


def test_a_session_is_itself_while_nobody_looks() -> None:
    session = Finds()
    assert seen(session) is session


def test_who_looks_is_told_and_forgotten() -> None:
    sights, told = Sights(), list[Sight]()
    event = Event(frame())
    assert sights.begin("f", "id", event) is None
    with sights.look("f", told.append), sights.look("f", told.append):
        assert sights.begin("g", "id", event) is None
        assert sights.begin("f", "id", Event("no frame")) is None
        looked = sights.begin("f", "id", event)
        assert looked is not None
        sights.end(looked, Outcome(Status.FAILED))
    assert [each.status for each in told] == [Status.FAILED] * 2
    assert sights.lookers == {}


CODE = """
import edgefn, threading
app = edgefn.FunctionApp()
SEEN = []
@app.video_frame_trigger("frame", "synthetic:?frames=3", policy="every")
@app.inference_session("net", "stub:a.json", task="detection")
{kind} f(frame: edgefn.VideoFrame, net):
    SEEN.append(type(net).__name__)
    {call}
    edgefn.mark("mine")
"""
ANSWERS = '[[{"index": 1, "name": "car", "score": 0.9, "box": [0, 0, 0.5, 1]}]]'


@pytest.mark.parametrize(("kind", "call"), [("def", "net.infer(frame)"), ("async def", "await net.infer_async(frame)")])
@pytest.mark.parametrize("looks", [True, False])
async def test_through_a_host_each_frame_has_its_own_results(app_of: AppIn, kind: str, call: str, looks: bool) -> None:
    app = app_of({"a.json": ANSWERS, "functions/f.py": CODE.format(kind=kind, call=call)})
    host, told = Host(app), list[Sight]()
    with host.sights.look("f" if looks else "other", told.append):
        await host.start()
        async with asyncio.timeout(20):
            await host.wait_for_end()
        await host.stop()
    types = app.manager.get_plugin("functions.f").SEEN
    assert types == (["SeenSession"] if looks else ["StubSession"]) * len(types)
    texts = [(each.frame.id, [mark.text for mark in each.newest()]) for each in told]
    assert texts == [(number, ["car", "mine"]) for number in range(len(types) if looks else 0)]
    assert sight.CURRENT.get() is None


async def test_what_a_slow_browser_does_not_take_is_never_encoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefn.web.page.films.RATE", 1e6)
    sights, metrics = Sights(), Metrics()
    stream = pictures(Films(sights, metrics), ["f"])
    first = asyncio.create_task(anext(stream))
    await asyncio.sleep(0)
    for number in range(5):
        sights.end(sight_of(frame(number)), Outcome(Status.OK))
    assert b'"frame":4' in await first
    assert metrics.registry.get_sample_value("edgefn_page_pictures_total", {"function": "f"}) == 1.0
    for number in range(5, 9):
        sights.end(sight_of(frame(number)), Outcome(Status.OK))
    assert b'"frame":8' in await anext(stream)
    await stream.aclose()
    assert metrics.registry.get_sample_value("edgefn_page_pictures_total", {"function": "f"}) == 2.0
    assert (sights.lookers, threading.active_count() < 50) == ({}, True)
