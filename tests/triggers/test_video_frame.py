from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from edgefn.contracts import Event, Feed, Outcome, Services, Status, VideoFrame
from edgefn.errors import BindingError, Place, SourceError
from edgefn.function import Binding, Direction
from edgefn.metrics import Metrics
from edgefn.triggers.video_frame import VideoFrameKind, VideoFrameListener, VideoFrameTrigger, edgefn_triggers

TINY = "synthetic:?width=64&height=48&fps=100&frames=30"


class Seen:
    """Takes events as the host does, and lets a test wait for them; ``gate`` holds the invocations."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self.running = self.most = self.ended = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self._more = asyncio.Event()

    async def __call__(self, event: Event) -> Outcome:
        self.values.append(event.value)
        self.running += 1
        self.most = max(self.most, self.running)
        self._more.set()
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        finally:
            self.running -= 1
        self.ended += 1
        return Outcome(Status.OK)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.values) < count:
                self._more.clear()
                await self._more.wait()


def bound(
    source: str, *, function: str = "detect", annotation: Any = None, is_async: bool = True, **options: Any
) -> Binding:
    declared = {"source": source, **options}
    model = VideoFrameTrigger.model_validate(declared)
    place = Place("function_app.py", 7)
    return Binding(function, "frame", "videoFrameTrigger", Direction.IN, declared, model, annotation, is_async, place)


@pytest.fixture(name="services")
def own_services(services: Services) -> Services:
    """Those of a host, with counters that no other kind has claimed yet."""
    return replace(services, metrics=Metrics())


@pytest.fixture
async def kind(services: Services) -> AsyncIterator[VideoFrameKind]:
    [kind] = edgefn_triggers(services)
    assert isinstance(kind, VideoFrameKind)
    yield kind
    await kind.close()


async def listened(listener: VideoFrameListener, emit: Any) -> None:
    async with asyncio.timeout(20):
        await listener.listen(emit)


def in_balance(listener: VideoFrameListener) -> bool:
    status = listener.status()
    return bool(status["frames"] == status["emitted"] + sum(status["dropped"].values()))


# --- options -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["true", "True", "TRUE", "yes", "On", "1", "y", "t"])
def test_every_spelling_of_yes_is_read(text: str) -> None:
    assert VideoFrameTrigger.model_validate({"source": "0", "realTime": text}).real_time is True


@pytest.mark.parametrize("text", ["false", "False", "no", "OFF", "0", "n", "f"])
def test_every_spelling_of_no_is_read(text: str) -> None:
    assert VideoFrameTrigger.model_validate({"source": "0", "realTime": text}).real_time is False


def test_options_may_be_text_as_settings_are() -> None:
    options = VideoFrameTrigger.model_validate(
        {"source": 0, "maxFps": "12.5", "everyNth": "2", "maxAge": "00:00:02", "onEnd": "Loop", "cardinality": "MANY"}
    )
    assert (options.source, options.max_fps, options.every_nth, options.max_age) == ("0", 12.5, 2, 2.0)
    assert (options.on_end, options.cardinality, options.restart_after) == ("loop", "many", 5.0)


@pytest.mark.parametrize(
    "option",
    [{"maxFps": 0}, {"everyNth": 0}, {"policy": "newest"}, {"maxInFlight": 0}, {"realTime": "maybe"}, {"fps": 3}]
    + [{"motion": value} for value in (-0.1, 1.1, "nan", "some")]
    + [{"motionHold": -1}],
)
def test_options_out_of_range_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        VideoFrameTrigger.model_validate({"source": "0", **option})


@pytest.mark.parametrize("value", ["", "none", " None ", "NULL"])
def test_a_source_that_names_nothing_counts_as_not_set(value: str) -> None:
    with pytest.raises(ValidationError, match=r"names nothing: empty and none count as not set; give a camera, a URL"):
        VideoFrameTrigger.model_validate({"source": value})


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("missing.mp4", "source: missing.mp4: there is no such file or folder, looked for .*missing.mp4 and "),
        ("gopher://host/clip", "source: gopher://host/clip: unknown scheme 'gopher://'; known are rtsp://"),
        ("synthetic:?speed=2", "source: synthetic:.speed=2: unknown parameter 'speed'; known are width="),
    ],
)
def test_a_wrong_source_is_found_when_the_app_loads(source: str, fault: str, kind: VideoFrameKind) -> None:
    with pytest.raises(BindingError, match=fault):
        kind.check(bound(source))


def test_a_camera_that_is_not_there_is_no_error_when_the_app_loads(kind: VideoFrameKind) -> None:
    camera = bound("/dev/video97", annotation=VideoFrame)
    kind.check(camera)
    assert kind.listener(camera).status()["source"] == "/dev/video97"


def test_a_batch_size_without_a_batch_is_an_error(kind: VideoFrameKind) -> None:
    with pytest.raises(BindingError, match="maxBatchSize is for lists; add cardinality=many"):
        kind.check(bound(TINY, maxBatchSize=4))


@pytest.mark.parametrize(
    ("source", "options", "policy"),
    [
        ("0", {}, (1, False)),
        ("rtsp://camera", {}, (1, False)),
        ("rtsp://camera", {"policy": "every"}, (10, False)),
        (TINY, {}, (10, True)),
        (TINY, {"realTime": True}, (1, False)),
        (TINY, {"realTime": True, "policy": "every"}, (10, True)),
        (TINY, {"policy": "latest", "cardinality": "many", "maxBatchSize": 5}, (5, False)),
        (TINY, {"maxInFlight": 2}, (4, True)),
    ],
)
def test_a_live_source_is_never_held_back_and_a_file_is(
    source: str, options: dict[str, Any], policy: tuple[int, bool], kind: VideoFrameKind
) -> None:
    wanted = kind.listener(bound(source, **options)).subscription.wanted
    assert (wanted.capacity, wanted.holds) == policy


@pytest.mark.parametrize(
    ("source", "options", "feed"),
    [
        (TINY, {}, Feed.FINITE),
        (TINY, {"onEnd": "loop"}, Feed.ENDLESS),
        ("synthetic:", {}, Feed.ENDLESS),
        ("0", {}, Feed.ENDLESS),
    ],
)
def test_only_what_ends_by_itself_is_finite(
    source: str, options: dict[str, Any], feed: Feed, kind: VideoFrameKind
) -> None:
    assert kind.listener(bound(source, **options)).feed is feed


# --- the parameter -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotation", [None, Any, VideoFrame, VideoFrame | None])
def test_a_frame_is_passed_as_it_is(annotation: Any, kind: VideoFrameKind) -> None:
    assert kind.convert(bound(TINY, annotation=annotation)) is None


@pytest.mark.parametrize("annotation", [None, Any, list, list[VideoFrame]])
def test_a_list_of_frames_is_passed_as_it_is(annotation: Any, kind: VideoFrameKind) -> None:
    assert kind.convert(bound(TINY, annotation=annotation, cardinality="many")) is None


@pytest.mark.parametrize("annotation", [np.ndarray, NDArray[np.uint8]])
async def test_an_array_gets_the_image(annotation: Any, kind: VideoFrameKind) -> None:
    convert = kind.convert(bound(TINY, annotation=annotation))
    several = kind.convert(bound(TINY, annotation=list[annotation], cardinality="many"))
    seen = Seen()
    await listened(kind.listener(bound(TINY)), seen)
    assert convert is not None
    assert several is not None
    assert convert(seen.values[0]) is seen.values[0].image
    assert several(seen.values[:2])[1] is seen.values[1].image


@pytest.mark.parametrize(
    ("annotation", "options", "fault"),
    [
        (bytes, {}, "annotated bytes; what fits is VideoFrame or numpy.ndarray; a list .* cardinality=many"),
        (list[VideoFrame], {}, "annotated list.*; what fits is VideoFrame or numpy.ndarray"),
        (VideoFrame, {"cardinality": "many"}, r"annotated VideoFrame; what fits is list\[VideoFrame\]"),
        (list[str], {"cardinality": "many"}, r"what fits is list\[VideoFrame\] or list\[numpy.ndarray\]$"),
    ],
)
def test_an_annotation_that_does_not_fit_is_an_error(
    annotation: Any, options: dict[str, Any], fault: str, kind: VideoFrameKind
) -> None:
    with pytest.raises(BindingError, match=fault):
        kind.check(bound(TINY, annotation=annotation, **options))


# --- sharing -----------------------------------------------------------------------------------------------------


async def test_functions_on_one_source_share_one_reader(kind: VideoFrameKind, services: Services) -> None:
    listeners = [kind.listener(bound(TINY, function=name)) for name in ("a", "b", "c")]
    seen = [Seen() for _ in listeners]
    await asyncio.gather(*(listened(listener, each) for listener, each in zip(listeners, seen, strict=True)))
    assert [len(each.values) for each in seen] == [30, 30, 30]
    assert services.metrics.registry.get_sample_value("edgefn_video_frames_total", {"source": TINY}) == 30


async def test_files_that_are_played_differently_are_opened_twice(kind: VideoFrameKind) -> None:
    once, looped = kind.listener(bound(TINY)), kind.listener(bound(TINY, function="other", onEnd="loop"))
    assert once.subscription.source is not looped.subscription.source


async def test_options_without_meaning_for_a_source_do_not_keep_functions_apart(kind: VideoFrameKind) -> None:
    plain = kind.listener(bound("rtsp://camera"))
    other = kind.listener(bound("rtsp://camera", function="other", onEnd="loop", realTime=True, width=640))
    assert plain.subscription.source is other.subscription.source


async def test_functions_that_ask_one_camera_for_different_things_are_both_named(kind: VideoFrameKind) -> None:
    kept = kind.listener(bound("0", function="wide", width=1280))
    with pytest.raises(BindingError) as caught:
        kind.listener(bound("/dev/video0", function="small", width=640))
    text = str(caught.value)
    assert "of function 'small': asks /dev/video0 for width=640" in text
    assert "function 'wide' (function_app.py:7) asks it for width=1280" in text
    assert kept.status()["state"] == "starting"


async def test_a_function_may_ask_its_camera_for_something_else_when_it_is_replaced(kind: VideoFrameKind) -> None:
    kept = kind.listener(bound("0", function="wide", width=1280))
    assert kind.listener(bound("0", function="wide", width=640)) is not kept


# --- listening ---------------------------------------------------------------------------------------------------


async def test_a_function_gets_every_frame_of_a_clip_in_order(kind: VideoFrameKind, test_data: Path) -> None:
    seen, listener = Seen(), kind.listener(bound(str(test_data / "videos/car-detection.mp4")))
    await listened(listener, seen)
    assert [frame.id for frame in seen.values] == list(range(377))
    status = listener.status()
    assert (status["state"], status["frames"], status["emitted"], status["dropped"]) == ("ended", 377, 377, {})
    assert (status["width"], status["height"], status["claimed_fps"]) == (768, 432, 12.5)


@pytest.mark.parametrize(
    ("is_async", "options", "most"), [(True, {}, 8), (False, {}, 1), (False, {"maxInFlight": 3}, 3)]
)
async def test_so_many_invocations_run_at_a_time(
    is_async: bool, options: dict[str, Any], most: int, kind: VideoFrameKind
) -> None:
    seen, listener = Seen(), kind.listener(bound(TINY, is_async=is_async, **options))
    seen.gate.clear()
    listening = asyncio.create_task(listened(listener, seen))
    await seen.until(most)
    seen.gate.set()
    await listening
    assert seen.most == most
    assert [frame.id for frame in seen.values] == list(range(30))


async def test_dropped_frames_are_counted_by_cause_for_each_function(kind: VideoFrameKind, services: Services) -> None:
    rated = kind.listener(bound(TINY, function="rated", maxFps=10))
    newest = kind.listener(bound(TINY, function="newest", policy="latest", maxInFlight=1))
    every = kind.listener(bound(TINY, function="every"))
    held = Seen()
    held.gate.clear()
    listening = asyncio.create_task(listened(newest, held))
    await asyncio.gather(listened(rated, Seen()), listened(every, Seen()))
    held.gate.set()
    await listening
    assert rated.status()["dropped"] == {"rate": 27}
    assert every.status()["dropped"] == {}
    assert list(newest.status()["dropped"]) == ["busy"]
    assert all(in_balance(each) for each in (rated, newest, every))
    labels = {"function": "rated", "cause": "rate"}
    assert services.metrics.registry.get_sample_value("edgefn_video_frames_dropped_total", labels) == 27


async def test_a_batch_holds_what_is_there_and_nothing_is_lost(kind: VideoFrameKind) -> None:
    seen, other = Seen(), Seen()
    held = kind.listener(bound(TINY, cardinality="many", maxBatchSize=7, maxInFlight=1))
    beside = kind.listener(bound(TINY, function="other"))
    seen.gate.clear()
    listening = asyncio.gather(listened(held, seen), listened(beside, other))
    await seen.until(1)
    await other.until(len(seen.values[0]) + 7)  # so many are read until the reader is held back
    seen.gate.set()
    await listening
    assert [frame.id for batch in seen.values for frame in batch] == list(range(30))
    assert len(seen.values[1]) == 7
    assert all(1 <= len(batch) <= 7 for batch in seen.values)


async def test_a_file_that_is_broken_is_the_listeners_error(kind: VideoFrameKind, services: Services) -> None:
    (services.root / "clip.mp4").write_bytes(b"no video")
    listener = kind.listener(bound("clip.mp4"))
    with pytest.raises(SourceError, match="is not a video"):
        await listened(listener, Seen())


async def test_listening_again_after_an_error_reads_the_mended_file(
    kind: VideoFrameKind, services: Services, test_data: Path
) -> None:
    (services.root / "clip.mkv").write_bytes(b"no video")
    seen, listener = Seen(), kind.listener(bound("clip.mkv"))
    with pytest.raises(SourceError):
        await listened(listener, seen)
    shutil.copy(test_data / "videos/header-says-66-decodes-65.mkv", services.root / "clip.mkv")
    await listened(listener, seen)
    assert [frame.id for frame in seen.values] == list(range(65))


async def test_a_cancelled_listener_takes_no_frame_and_waits_for_its_invocations(kind: VideoFrameKind) -> None:
    seen, listener = Seen(), kind.listener(bound("synthetic:?width=64&height=48", maxInFlight=4))
    seen.gate.clear()
    listening = asyncio.create_task(listener.listen(seen))
    await seen.until(4)
    listening.cancel()
    done, _ = await asyncio.wait([listening], timeout=0.1)
    assert not done
    seen.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await listening
    await kind.close()
    assert (len(seen.values), seen.ended) == (4, 4)
    assert listener.status()["state"] == "stopped"
    assert in_balance(listener)


async def test_a_listener_that_is_cancelled_twice_cancels_its_invocations(kind: VideoFrameKind) -> None:
    seen, listener = Seen(), kind.listener(bound("synthetic:?width=64&height=48"))
    seen.gate.clear()
    listening = asyncio.create_task(listener.listen(seen))
    await seen.until(4)
    for _ in range(2):
        listening.cancel()
        await asyncio.wait([listening], timeout=0.05)
    with pytest.raises(asyncio.CancelledError):
        await listening
    assert (seen.running, seen.ended) == (0, 0)


async def test_an_error_out_of_emit_comes_out_of_the_listener(kind: VideoFrameKind) -> None:
    async def emit(event: Event) -> Outcome:
        raise RuntimeError("a fault of the host")

    with pytest.raises(RuntimeError, match="a fault of the host"):
        await listened(kind.listener(bound(TINY)), emit)


async def test_a_looping_clip_is_stopped_by_cancelling(kind: VideoFrameKind, test_data: Path) -> None:
    seen = Seen()
    clip = str(test_data / "videos/people-107-frames.mp4")
    listening = asyncio.create_task(kind.listener(bound(clip, onEnd="loop", maxFps="10")).listen(seen))
    await seen.until(3 * 36)
    listening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await listening
    ids = [frame.id for frame in seen.values]
    assert ids == sorted(set(ids))
    assert max(ids) > 2 * 107


async def test_closing_the_kind_ends_every_reader(services: Services) -> None:
    kind, seen = VideoFrameKind(services), Seen()
    listening = asyncio.create_task(kind.listener(bound("synthetic:?width=64&height=48", realTime=True)).listen(seen))
    await seen.until(1)
    await kind.close()
    async with asyncio.timeout(5):
        await listening
    assert [
        thread.name for thread in threading.enumerate() if thread.name.startswith("video synthetic:?width=64")
    ] == []


# --- motion ------------------------------------------------------------------------------------------------------


def pictures(folder: Path, squares: str) -> str:
    """A folder of grey pictures, of which those marked ``x`` have a white square at a place of its own."""
    folder.mkdir()
    for number, mark in enumerate(squares):
        image = np.full((90, 160, 3), 90, np.uint8)
        if mark == "x":
            left = 10 * (number % 13)
            image[30:60, left : left + 30] = 220
        cv2.imwrite(str(folder / f"{number}.png"), image)
    return str(folder)


async def test_frames_without_motion_are_dropped_as_still(
    kind: VideoFrameKind, services: Services, tmp_path: Path
) -> None:
    seen, listener = Seen(), kind.listener(bound(pictures(tmp_path / "p", "...x...xx."), motion="0.01"))
    await listened(listener, seen)
    assert [frame.id for frame in seen.values] == [0, 3, 7, 8]
    assert listener.status()["dropped"] == {"still": 6}
    assert in_balance(listener)
    labels = {"function": "detect", "cause": "still"}
    assert services.metrics.registry.get_sample_value("edgefn_video_frames_dropped_total", labels) == 6


async def test_frames_go_on_for_the_hold_time_after_the_last_motion(kind: VideoFrameKind, tmp_path: Path) -> None:
    source, seen = pictures(tmp_path / "p", "......x........"), Seen()
    await listened(kind.listener(bound(source, motion=0.01, motionHold="00:00:03")), seen)
    assert [frame.id for frame in seen.values] == [0, 1, 2, 6, 7, 8]


async def test_a_function_without_motion_gets_every_frame_beside_one_with(kind: VideoFrameKind, tmp_path: Path) -> None:
    source = pictures(tmp_path / "p", "...x......")
    moving, every, off = Seen(), Seen(), Seen()
    await asyncio.gather(
        listened(kind.listener(bound(source, motion=0.01)), moving),
        listened(kind.listener(bound(source, function="every")), every),
        listened(kind.listener(bound(source, function="off", motion=0)), off),
    )
    assert [frame.id for frame in moving.values] == [0, 3]
    assert [frame.id for frame in every.values] == [frame.id for frame in off.values] == list(range(10))


async def test_a_still_frame_holds_no_reader_back(kind: VideoFrameKind) -> None:
    """A function with motion that never comes back from its first frame; beside it one that gets all of them."""
    moving, every = Seen(), Seen()
    moving.gate.clear()
    listening = asyncio.create_task(listened(kind.listener(bound(TINY, motion=0.9, maxInFlight=1)), moving))
    await listened(kind.listener(bound(TINY, function="every")), every)
    assert (len(every.values), len(moving.values)) == (30, 1)
    moving.gate.set()
    await listening


async def test_a_still_frame_takes_the_place_of_no_frame_that_waits(kind: VideoFrameKind, tmp_path: Path) -> None:
    source, seen, every = pictures(tmp_path / "p", "...x......"), Seen(), Seen()
    listener = kind.listener(bound(source, motion=0.01, policy="latest", maxInFlight=1))
    seen.gate.clear()
    listening = asyncio.create_task(listened(listener, seen))
    await seen.until(1)
    await listened(kind.listener(bound(source, function="every")), every)
    seen.gate.set()
    await listening
    assert seen.values[-1].id == 3
    assert set(listener.status()["dropped"]) <= {"still", "busy"}


async def test_motion_is_looked_for_in_the_frames_that_the_rate_leaves(kind: VideoFrameKind, tmp_path: Path) -> None:
    source, seen = pictures(tmp_path / "p", ".x.....x.."), Seen()
    listener = kind.listener(bound(source, motion=0.01, everyNth=2))
    await listened(listener, seen)
    assert [frame.id for frame in seen.values] == [0]
    assert listener.status()["dropped"] == {"rate": 5, "still": 4}


async def test_a_still_clip_that_loops_triggers_once(kind: VideoFrameKind, tmp_path: Path) -> None:
    seen, every = Seen(), Seen()
    source = pictures(tmp_path / "p", "...")
    listening = [
        asyncio.create_task(kind.listener(bound(source, onEnd="loop", motion=0.01)).listen(seen)),
        asyncio.create_task(kind.listener(bound(source, function="every", onEnd="loop")).listen(every)),
    ]
    await every.until(12)
    for task in listening:
        task.cancel()
    await asyncio.wait(listening)
    assert [frame.id for frame in seen.values] == [0]


async def test_another_share_counts_from_the_next_frame_on(kind: VideoFrameKind, tmp_path: Path) -> None:
    """While the function works on its first frame three wait, and the reader holds one more."""
    source, seen = pictures(tmp_path / "p", "." + "..x" * 10), Seen()
    listener = kind.listener(bound(source, motion=0.01, maxInFlight=1))
    seen.gate.clear()
    listening = asyncio.create_task(listened(listener, seen))
    await seen.until(1)
    change = listener.adopt(bound(source, motion=0.5, maxInFlight=1))
    assert change is not None
    change()
    seen.gate.set()
    await listening
    assert {frame.id for frame in seen.values} <= {0, 3, 6, 9, 12}
    assert in_balance(listener)
