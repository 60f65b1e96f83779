"""The reader of a source, and the share of each function: what comes, in which order, and what is dropped by cause."""

from __future__ import annotations

import asyncio
import re
import shutil
import threading
import time
from pathlib import Path

import pytest

from edgefn.errors import SourceError
from edgefn.subscription import Subscription, Wanted
from edgefn.video import Playing
from tests.steered import until
from tests.video.sources import EVERY, TINY, Sayings, in_balance, opened, rest, some

ROOT = Path(__file__).parents[2]

# --- files -------------------------------------------------------------------------------------------------------


async def test_every_frame_of_a_file_comes_once_and_in_order(test_data: Path) -> None:
    async with opened("videos/people-107-frames.mp4", root=test_data) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        frames = await rest(subscription)
    assert [frame.id for frame in frames] == list(range(107))
    assert frames[0].image.shape == (382, 474, 3)
    assert frames[0].fps == 30.0
    assert round(frames[-1].position, 3) == 3.533
    assert frames[0].timestamp <= frames[1].timestamp
    assert subscription.status()["state"] == "ended"


async def test_two_functions_share_one_reader_and_their_frames() -> None:
    read = []
    async with opened(TINY + "20", count_frame=lambda: read.append(1)) as source:
        one, two = Subscription(source, EVERY), Subscription(source, EVERY)
        one.join()
        two.join()
        first, second = await asyncio.gather(rest(one), rest(two))
    assert len(read) == 20
    assert all(a is b for a, b in zip(first, second, strict=True))


async def test_a_subscription_made_before_the_start_sees_the_first_frame() -> None:
    async with opened(TINY + "20") as source:
        early, late = Subscription(source, EVERY), Subscription(source, EVERY)
        early.join()
        await some(early, 2)
        late.join()
        _, frames = await asyncio.gather(rest(early), rest(late))
    assert [frame.id for frame in frames] == list(range(20))


async def test_a_subscription_made_later_joins_the_running_reader() -> None:
    async with opened(TINY + "20") as source:
        early = Subscription(source, EVERY)
        early.join()
        await some(early, 5)
        late = Subscription(source, EVERY)
        late.join()
        _, frames = await asyncio.gather(rest(early), rest(late))
    assert 5 <= frames[0].id < 20
    assert frames[-1].id == 19


async def test_a_function_that_keeps_every_frame_holds_the_reader_back() -> None:
    async with opened(TINY + "100") as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        await some(subscription, 10)
        assert source.read <= 10 + EVERY.capacity + 1
        await rest(subscription)
    assert subscription.dropped == {}


async def test_the_reader_of_a_file_goes_on_when_half_of_what_waits_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(TINY + "100") as source:
        subscription = Subscription(source, Wanted(capacity=4, holds=True))
        subscription.join()
        await until(lambda: source.read == 5)  # four wait, and one has no room
        woken: list[int] = []
        monkeypatch.setattr(source.changed, "notify_all", lambda: woken.append(source.read))
        await subscription.take()
        assert woken == []
        await subscription.take()
        assert woken == [5]
        monkeypatch.undo()
        with source.changed:
            source.changed.notify_all()
        await until(lambda: source.read == 7)
        assert [frame.id for frame in await rest(subscription)] == list(range(2, 100))


async def test_the_newest_frame_replaces_an_older_one_and_the_sum_is_kept() -> None:
    async with opened(TINY + "50") as source:
        slow, every = Subscription(source, Wanted()), Subscription(source, EVERY)
        slow.join()
        every.join()
        await rest(every)
        frames = await rest(slow)
    assert [frame.id for frame in frames] == [49]
    assert slow.dropped == {"busy": 49}
    assert in_balance(slow)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (Wanted(3, holds=True, every_nth=10), [0, 10, 20]),
        (Wanted(3, holds=True, max_fps=10.0), [0, 10, 20]),
        (Wanted(3, holds=True, max_fps=25.0, every_nth=2), [0, 4, 8, 12, 16, 20, 24, 28]),
    ],
)
async def test_frames_that_nobody_wants_are_not_decoded(wanted: Wanted, ids: list[int]) -> None:
    async with opened(TINY + "30") as source:
        subscription = Subscription(source, wanted)
        subscription.join()
        assert [frame.id for frame in await rest(subscription)] == ids
    assert subscription.dropped == {"rate": 30 - len(ids)}
    assert source._decoded == len(ids)
    assert in_balance(subscription)


async def test_frames_that_are_too_old_are_dropped_by_age() -> None:
    now = [0.0]
    async with opened(TINY + "8", clock=lambda: now[0]) as source:
        other, aged = Subscription(source, EVERY), Subscription(source, Wanted(capacity=10, holds=True, max_age=0.5))
        other.join()
        aged.join()
        await rest(other)
        now[0] = 1.0
        assert await rest(aged) == []
    assert aged.dropped == {"age": 8}
    assert in_balance(aged)


async def test_frames_that_wait_when_a_function_stops_are_counted() -> None:
    async with opened(TINY + "50") as source:
        subscription, other = Subscription(source, EVERY), Subscription(source, EVERY)
        subscription.join()
        other.join()
        await some(subscription, 3)
        subscription.leave()
        assert await subscription.take() == []
        await rest(other)
        assert subscription.status()["state"] == "ended"
    assert subscription.taken == 3
    assert in_balance(subscription)


async def test_a_function_that_ends_sets_the_reader_free() -> None:
    async with opened(TINY + "50") as source:
        stuck, other = Subscription(source, EVERY), Subscription(source, EVERY)
        stuck.join()
        other.join()
        await some(other, EVERY.capacity)
        waiting = asyncio.create_task(rest(other))
        stuck.leave()
        assert len(await waiting) == 50 - EVERY.capacity


async def test_a_new_function_goes_on_where_the_replaced_one_stopped() -> None:
    async with opened(TINY + "50") as source:
        old = Subscription(source, EVERY)
        old.join()
        await some(old, 5)
        new = Subscription(source, EVERY)
        old.leave()
        new.join()
        frames = await rest(new)
    assert 5 <= frames[0].id <= 10
    assert [frame.id for frame in frames] == list(range(frames[0].id, 50))


async def test_ids_go_on_when_an_ended_file_is_listened_to_again() -> None:
    async with opened(TINY + "5") as source:
        subscription = Subscription(source, EVERY)
        for first in (0, 5):
            subscription.join()
            assert [frame.id for frame in await rest(subscription)] == list(range(first, first + 5))
            subscription.leave()


@pytest.mark.parametrize(("clip", "frames"), [("people-107-frames.mp4", 107), ("header-says-66-decodes-65.mkv", 65)])
async def test_a_clip_loops_three_times_and_its_ids_go_on(clip: str, frames: int, test_data: Path) -> None:
    async with opened(f"videos/{clip}", Playing(on_end="loop"), test_data) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        taken = await some(subscription, 3 * frames)
        subscription.leave()
    assert [frame.id for frame in taken] == list(range(3 * frames))
    assert [frame.position for frame in taken[:frames]] == [frame.position for frame in taken[2 * frames :]]
    assert taken[frames].position == 0.0


async def test_the_rate_of_a_loop_is_even_over_its_seam() -> None:
    async with opened(TINY + "10", Playing(on_end="loop")) as source:
        subscription = Subscription(source, Wanted(capacity=3, holds=True, max_fps=25))
        subscription.join()
        taken = await some(subscription, 20)
        subscription.leave()
    assert [frame.id for frame in taken] == list(range(0, 80, 4))


async def test_a_round_from_which_nobody_wants_a_frame_is_no_error() -> None:
    async with opened(TINY + "30", Playing(on_end="loop")) as source:
        subscription = Subscription(source, Wanted(3, holds=True, every_nth=100))
        subscription.join()
        assert [frame.id for frame in await some(subscription, 3)] == [0, 100, 200]
        subscription.leave()


async def test_a_file_without_any_frame_is_an_error(test_data: Path, tmp_path: Path) -> None:
    clip = (test_data / "videos/header-says-66-decodes-65.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(clip[:1200])
    async with opened("cut.mkv", Playing(on_end="loop"), tmp_path) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        with pytest.raises(SourceError, match="has no frame that can be decoded"):
            await rest(subscription)


async def test_a_clip_that_is_cut_says_so_once_after_what_there_is_of_it(tmp_path: Path, sayings: Sayings) -> None:
    clip = (ROOT / "sample/street.mp4").read_bytes()
    assert clip.index(b"moov") < clip.index(b"mdat")  # what it has comes first, and is whole
    (tmp_path / "cut.mp4").write_bytes(clip[: len(clip) // 2])
    async with opened("cut.mp4", Playing(on_end="loop"), tmp_path) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        await some(subscription, 300)
        subscription.leave()
    (said,) = [line for line in sayings.lines if "and says that it has" in line]
    assert re.match(
        r"cut.mp4: ended after \d+ frames, and says that it has 225; it seems to be cut or damaged: give the", said
    )


async def test_a_restarted_file_that_vanished_is_waited_for(test_data: Path, tmp_path: Path, sayings: Sayings) -> None:
    clip = Path(shutil.copy(test_data / "videos/header-says-66-decodes-65.mkv", tmp_path / "clip.mkv"))
    async with opened("clip.mkv", Playing(on_end="restart", restart_after=0.05), tmp_path) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        await some(subscription, 60)
        clip.unlink()
        await some(subscription, 5)
        await sayings.until("is gone; put it back; it is tried again every 0.05 s")
        shutil.copy(test_data / "videos/header-says-66-decodes-65.mkv", clip)
        assert [frame.id for frame in await some(subscription, 3)] == [65, 66, 67]


async def test_a_loop_without_a_frame_is_an_error_and_no_busy_loop(tmp_path: Path) -> None:
    (tmp_path / "1.jpg").write_bytes(b"no picture")
    async with opened(str(tmp_path), Playing(on_end="loop")) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        with pytest.raises(SourceError, match="has no frame that can be decoded"):
            await rest(subscription)
    assert subscription.dropped == {"unreadable": 1}


async def test_an_unreadable_picture_is_left_out_and_said_once(
    tmp_path: Path, test_data: Path, sayings: Sayings
) -> None:
    shutil.copy(test_data / "images/seed-001/dog.jpg", tmp_path / "2.jpg")
    (tmp_path / "10.jpg").write_bytes(b"no picture")
    async with opened(str(tmp_path), Playing(on_end="loop")) as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        assert [frame.id for frame in await some(subscription, 3)] == [0, 2, 4]
        subscription.leave()
    assert [line for line in sayings.lines if "10.jpg can not be decoded" in line] == sayings.lines[:1]
    assert in_balance(subscription)


async def test_a_file_that_can_not_be_opened_is_the_listeners_error(tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"no video")
    async with opened("clip.mp4", root=tmp_path) as source:
        one, two = Subscription(source, EVERY), Subscription(source, Wanted())
        for each in (one, two):
            each.join()
        for each in (one, two):
            with pytest.raises(SourceError, match="is not a video"):
                await rest(each)


async def test_a_listener_that_never_listens_holds_the_reader_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefn.video.PATIENCE", 0.05)
    async with opened(TINY + "20") as source:
        forgotten, other = Subscription(source, EVERY), Subscription(source, EVERY)
        other.join()
        assert len(await rest(other)) == 20
    assert in_balance(forgotten)


async def test_a_source_that_nobody_wants_any_longer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgefn.video.LINGER", 0.05)
    async with opened("synthetic:?width=64&height=48") as source:
        subscription = Subscription(source, EVERY)
        subscription.join()
        await some(subscription, 2)
        subscription.leave()
        await subscription.ended()
        assert source.status()["state"] == "stopped"


# --- at its own pace ---------------------------------------------------------------------------------------------


async def test_a_file_in_real_time_is_not_faster_than_it_is() -> None:
    async with opened("synthetic:?width=64&height=48&fps=50&frames=51", Playing(real_time=True)) as source:
        subscription = Subscription(source, Wanted(capacity=60))
        began = time.monotonic()
        subscription.join()
        assert len(await rest(subscription)) == 51
    assert time.monotonic() - began >= 0.99


async def test_who_joins_when_a_short_clip_has_ended_already_gets_its_frames_once() -> None:
    """Between two listeners that begin together a reader may reach the end: each frame is still given once to each."""
    async with opened("synthetic:?width=64&height=48&frames=3") as source:
        first, second = Subscription(source, Wanted(capacity=5)), Subscription(source, Wanted(capacity=5))
        first.join()
        assert [frame.id for frame in await rest(first)] == [0, 1, 2]
        await first.ended()
        second.join()
        assert [frame.id for frame in await rest(second)] == [0, 1, 2]
        assert (await rest(first), source.read) == ([], 3)


async def test_a_subscription_made_after_the_end_begins_a_new_run_for_itself_alone() -> None:
    async with opened("synthetic:?width=64&height=48&frames=3") as source:
        first = Subscription(source, Wanted(capacity=5))
        first.join()
        assert len(await rest(first)) == 3
        await first.ended()
        late = Subscription(source, Wanted(capacity=5))
        late.join()
        assert [frame.id for frame in await rest(late)] == [3, 4, 5]
        assert await rest(first) == []


async def test_a_slow_function_gets_the_newest_frame() -> None:
    """S2.6: with ``latest`` an invocation starts with a frame that is younger than the time between two frames."""
    async with opened("synthetic:?width=64&height=48&fps=20&frames=30", Playing(real_time=True)) as source:
        subscription, ages = Subscription(source, Wanted()), []
        subscription.join()
        while frames := await subscription.take():
            ages.append(source.status()["age_ms"])
            assert frames[0].id >= source.read - 2  # one more may be on its way
            await asyncio.to_thread(threading.Event().wait, 0.12)
    assert sorted(ages)[len(ages) // 2] < 50
    assert subscription.dropped["busy"] >= 10
    assert in_balance(subscription)


async def test_stopping_does_not_wait_for_the_next_frame() -> None:
    async with opened("synthetic:?width=64&height=48&fps=0.1", Playing(real_time=True)) as source:
        subscription = Subscription(source, Wanted())
        subscription.join()
        await some(subscription, 1)
        began = time.monotonic()
        await source.close()
        await subscription.ended()
    assert time.monotonic() - began < 1.0


# --- live sources ------------------------------------------------------------------------------------------------
