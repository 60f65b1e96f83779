"""The frames of a source: one reader thread, shared by all functions on it.

    Source (one an address) -- its thread grabs, decodes what is wanted, hands out --> Subscription (one a function)

The reader starts when the first subscription is joined. It never calls into the event loop but in ``Source._wake``.
All that both sides touch is guarded by one condition, ``Source.changed``.
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from edgefn.captures import Asked, Capture, open_capture
from edgefn.contracts import VideoFrame
from edgefn.errors import SourceError
from edgefn.pacing import BackOff, MeasuredRate, Pacer
from edgefn.source_addresses import Address
from edgefn.subscription import Run, Subscription

log = logging.getLogger(__name__)

Clock = Callable[[], float]
LINGER = 5.0  # seconds that a source stays open for nobody, so that a function can be replaced
SILENCE = 0.9  # the share of ``silent_after`` from which a gap counts: time-outs of OpenCV are not exact
WHOLE = 0.9  # the share of its frames below which a clip counts as cut: what it says is an estimate in some formats
PATIENCE = 10.0  # seconds for which a subscription that is not joined yet holds the reader back


@dataclass(frozen=True, slots=True)
class Playing:
    """How a source is played; of a file only, except for ``asked``."""

    asked: Asked = field(default_factory=Asked)
    real_time: bool = False
    on_end: str = "stop"
    """``stop``, ``loop``, or ``restart`` after ``restart_after`` seconds."""
    restart_after: float = 5.0


def first_frame(address: Address) -> VideoFrame:
    """Opens a source for its first frame alone; raises SourceError. A picture is opened as a clip of one frame."""
    capture = open_capture(address, Asked())
    try:
        position = capture.grab()
        image = None if position is None else capture.retrieve()
        if position is None or image is None:
            raise SourceError(f"{address.shown}: has no frame that can be decoded; give a picture or a clip")
        return VideoFrame(image, 0, datetime.now(UTC), position, address.shown, capture.fps, capture.item)
    finally:
        capture.close()


class Source:
    """Frames of one address for all its subscriptions.

    ``count_frame`` is called for each frame on the reader's thread; ``clock`` gives seconds, and never goes back.
    """

    def __init__(
        self,
        address: Address,
        playing: Playing = Playing(),
        *,
        count_frame: Callable[[], Any] = lambda: None,
        back_off: Callable[[], BackOff] = BackOff,
        clock: Clock = time.monotonic,
    ) -> None:
        self.address = address
        self.playing = playing
        self.clock = clock
        self.changed = threading.Condition()
        self.state = "starting"
        self.read = 0
        self.reopened = 0
        self._count_frame = count_frame
        self._back_off = back_off
        self._members: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._active: tuple[Subscription, ...] = ()
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._waking = False
        self._alone_since: float | None = None
        self._rate = MeasuredRate()
        self._pacer = Pacer() if playing.real_time and not address.live else None
        self._by_clock = address.live or playing.real_time
        self._base = 0.0
        self._media = 0.0
        self._claimed = 0.0
        self._newest: float | None = None
        self._last = 0.0
        self._gap = (0.0, -math.inf)
        self._size = (0, 0)
        self._decoded = 0
        self._failed = 0
        self._unreadable: set[str] = set()

    # On the event loop.

    def admit(self, subscription: Subscription) -> None:
        with self.changed:
            self._members.add(subscription)

    def join(self, subscription: Subscription) -> Run:
        """The run that reads for the subscription: the one at work, the one that has read for it, or else a new one."""
        with self.changed:
            run = self._run
            if run is None or (run.over and subscription not in run.served):
                run = self._begin(without=run.served if run is not None else set())
            elif subscription not in run.served:
                self._active += (subscription,)
                run.served.add(subscription)
            self.changed.notify_all()
            return run

    def _begin(self, without: set[Subscription]) -> Run:
        """Starts the reader for all but those that may still work off the frames of an earlier run."""
        self._loop = asyncio.get_running_loop()
        self._active = tuple(each for each in self._members if not each.left and each not in without)
        self._run = Run(served=set(self._active))
        name = f"video {self.address.shown}"
        self._thread = threading.Thread(target=self._read_all, args=(self._run, self._thread), name=name, daemon=True)
        self._thread.start()
        return self._run

    def leave(self, subscription: Subscription) -> None:
        with self.changed:
            subscription.left = True
            if self._run is not None:
                self._run.served.discard(subscription)
            self._active = tuple(each for each in self._active if each is not subscription)
            subscription.clear()
            self.changed.notify_all()

    async def close(self) -> None:
        """Ends the reader. One that hangs in a driver or in the network is left behind after two seconds."""
        self._stopping.set()
        with self.changed:
            self.changed.notify_all()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, 2.0)

    def status(self) -> dict[str, Any]:
        age = None if self._newest is None else self.clock() - self._newest
        state = self.state
        if state == "running" and self.address.live and age is not None and age > self.playing.asked.silent_after:
            state = "silent"
        return {
            "source": self.address.shown,
            "state": state,
            "fps": 0.0 if state in ("lost", "silent") else round(self._rate.fps, 2),
            "claimed_fps": round(self._claimed, 2),
            "age_ms": None if age is None else round(age * 1000, 1),
            "reopened": self.reopened,
            "width": self._size[0],
            "height": self._size[1],
        }

    def _wake(self) -> None:
        with self.changed:
            self._waking = False
            members = list(self._members)
        for each in members:
            each.wake()

    # Where the reader's thread meets the event loop, and nowhere else but in the future that tells its end.

    def _wake_soon(self) -> None:
        with self.changed:
            if self._waking or self._loop is None:
                return
            self._waking = True
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop is closed: nobody is left to read for
            self._stopping.set()

    # On the reader's thread.

    def _read_all(self, run: Run, previous: threading.Thread | None) -> None:
        run.end.set_running_or_notify_cancel()
        if previous is not None:
            previous.join()
        error: BaseException | None = None
        try:
            self._play_live() if self.address.live else self._play_file()
        except BaseException as raised:  # whatever it is, it is the listeners' error
            error = raised
        finally:
            with self.changed:
                run.over = True
                self._active = ()
                if self.state != "ended":
                    self.state = "stopped" if error is None else "lost"
            self._wake_soon()
        if error is None:
            run.end.set_result(None)
        else:
            run.end.set_exception(error)

    def _look_complete(self, read: int, claimed: int) -> None:
        if read < WHOLE * claimed:
            said = f"ended after {read} frames, and says that it has {claimed}"
            log.warning("%s: %s; it seems to be cut or damaged: give the whole file", self.address.shown, said)

    def _play_file(self) -> None:
        playing, shown = self.playing, self.address.shown
        played = False
        if self._pacer is not None:
            self._pacer.restart()
        while not self._stopping.is_set():
            try:
                capture = open_capture(self.address, playing.asked)
            except SourceError as error:
                if not played or playing.on_end != "restart":
                    raise
                self._turn("lost", f"{error}; it is tried again every {playing.restart_after:g} s")
            else:
                read, decoded, failed = self.read, self._decoded, self._failed
                if not self._read(capture):
                    return
                if self.read == read or (self._failed > failed and self._decoded == decoded):
                    raise SourceError(f"{shown}: has no frame that can be decoded; give a complete file")
                if not played:
                    self._look_complete(self.read - read, capture.frames)
                played = True
            if playing.on_end == "stop":
                self._turn("ended", f"{shown}: ended after {self.read} frames", logging.INFO)
                return
            if playing.on_end == "restart":
                self._turn("ended", f"{shown}: ended, begins again in {playing.restart_after:g} s", logging.INFO)
                self._stopping.wait(playing.restart_after)
                if self._pacer is not None:
                    self._pacer.restart()

    def _play_live(self) -> None:
        back_off, delay = self._back_off(), 0.0
        while not self._stopping.is_set() and not self._deserted():
            try:
                capture = open_capture(self.address, self.playing.asked)
            except SourceError as error:
                state, text = "lost", str(error)
            else:
                began = self._last = self.clock()
                if not self._read(capture):
                    return
                state, text = self._how_it_broke()
                if self._last - began > delay:
                    back_off = self._back_off()
            delay = back_off.next()
            self._turn(state, f"{text}; it is opened again until it answers, next in {delay:.1f} s")
            self._stopping.wait(delay)

    def _how_it_broke(self) -> tuple[str, str]:
        now, shown, least = self.clock(), self.address.shown, SILENCE * self.playing.asked.silent_after
        gap, ended = self._gap
        quiet = gap if now - ended < least else now - self._last
        if quiet < least:
            return "lost", f"{shown}: the stream broke off"
        return "silent", f"{shown}: no frame for {quiet:.0f} s"

    def _read(self, capture: Capture) -> bool:
        """Hands out the frames of an opened source. True when it has no more of them, False when nobody wants them."""
        self._claimed = capture.fps
        interval = 1 / capture.fps if capture.fps else 0.0
        if self.read:
            self._base = self._media + interval  # media time goes on, for what is spaced or paced by it
        try:
            while self._active or not self._deserted():
                position = capture.grab()
                if position is None:
                    return True
                self._media = self._base + position
                at = self.clock()
                if self._pacer is not None and (early := self._pacer.delay(self._media, at)) > 0:
                    self._stopping.wait(early)
                    at = self.clock()
                if self._stopping.is_set():
                    return False
                self._frame(capture, position, at, interval)
            return False
        finally:
            capture.close()

    def _frame(self, capture: Capture, position: float, at: float, interval: float) -> None:
        number = self.read
        self.read += 1
        if at - self._last > SILENCE * self.playing.asked.silent_after:
            self._gap = (at - self._last, at)  # after a time-out FFmpeg still gives what its decoder held
        self._newest = self._last = at
        self._rate.frame(at)
        self._count_frame()
        if self.state != "running":
            self._came()
        grid = at if self._by_clock else self._media
        wanting = [each for each in self._active if each.wants(number, grid, interval)]
        if not wanting:
            return
        timestamp = datetime.now(UTC)
        image = capture.retrieve()
        if image is None:
            self._leave_out(capture.item or "a frame", wanting)
            return
        self._decoded += 1
        self._size = (image.shape[1], image.shape[0])
        frame = VideoFrame(image, number, timestamp, position, self.address.shown, self._claimed, capture.item)
        self._hand_out(frame, at, [each for each in wanting if each.stirs(frame)])

    def _hand_out(self, frame: VideoFrame, at: float, wanting: Sequence[Subscription]) -> None:
        with self.changed:
            while any(each.holds for each in wanting) and not self._stopping.is_set():
                if not self.changed.wait(PATIENCE):
                    self._pass_over()
            awaited = [each.put(at, frame) for each in wanting]
        if any(awaited):
            self._wake_soon()

    def _pass_over(self) -> None:
        """Lets nobody wait for a function whose listener was made and never listened; it may still join."""
        for each in self._active:
            if not each.joined:
                self.leave(each)

    def _leave_out(self, item: str, wanting: Sequence[Subscription]) -> None:
        self._failed += 1
        with self.changed:
            for each in wanting:
                each.drop("unreadable")
        if item not in self._unreadable:
            self._unreadable.add(item)
            log.warning("%s: %s can not be decoded and is left out", self.address.shown, item)

    def _deserted(self) -> bool:
        """Whether nobody wants the source any longer.

        With no listener a file waits here for one; a live source is read on, so that its frames stay fresh.
        """
        with self.changed:
            while not self._active and not self._stopping.is_set():
                if self._alone_since is None:
                    self._alone_since = self.clock()
                expected = any(not each.joined for each in self._members)
                if not expected and self.clock() - self._alone_since > LINGER:
                    break
                if self.address.live:
                    return False
                self.changed.wait(LINGER / 5)
                if self._pacer is not None:
                    self._pacer.restart()
            self._alone_since = None
            if self._active and not self._stopping.is_set():
                return False
            if self._run is not None:
                self._run.over = True  # with ``changed`` held, so that who joins now starts a new run
            return True

    def _came(self) -> None:
        if self.state in ("lost", "silent"):
            log.info("%s: gives frames", self.address.shown)
            self.reopened += self.read > 1
        self.state = "running"

    def _turn(self, state: str, text: str, level: int = logging.WARNING) -> None:
        """Enters a state, and says so once."""
        if state != self.state:
            self.state = state
            log.log(level, "%s", text)
