"""``videoFrameTrigger``: an invocation for each wanted frame of a video source."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from pydantic import BeforeValidator, Field

from edgefn.captures import Asked
from edgefn.contracts import Asset, Copies, Emit, Event, Feed, Needs, Origin, VideoFrame
from edgefn.errors import BindingError, SourceError
from edgefn.function import SPELLED, Binding, Options, Seconds, Truth, Word, named
from edgefn.hookspecs import hookimpl
from edgefn.images import is_array
from edgefn.key_frames import INSTALL
from edgefn.source_addresses import Address, SourceKind, finite, recognise
from edgefn.subscription import Subscription, Wanted
from edgefn.values import element_of, first_of_union
from edgefn.video import Playing, Source, first_frame
from edgefn.workers import work

if TYPE_CHECKING:
    from edgefn.contracts import Services, TriggerKind

AHEAD = 2  # frames that are read ahead of the invocations


def text(value: Any) -> Any:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def ending(value: Any) -> Any:
    """Whether it loops, in any spelling of a boolean, as a word."""
    truth = SPELLED.get(value.strip().lower()) if isinstance(value, str) else value
    return ("loop" if truth else "stop") if isinstance(truth, bool) else value


class VideoFrameTrigger(Options):
    """The options of ``videoFrameTrigger``. Those that a kind of source has no use for are ignored there."""

    source: Annotated[str, BeforeValidator(text), named("a camera, a URL, a file, a folder or synthetic:")]
    """Index or path of a camera, rtsp/http/udp/tcp URL, file, folder of pictures, or ``synthetic:``."""
    policy: Annotated[Literal["latest", "every"], Word] | None = None
    """When the function is behind: ``latest`` drops the older frame, ``every`` keeps the order and holds a file back.

    Default: ``latest`` for cameras, streams and with ``realTime``; otherwise ``every``. A live source is never held
    back: with ``every`` it drops the oldest waiting frame when too many wait.
    """
    max_fps: Annotated[float, Field(gt=0)] | None = None
    """At most so many frames a second, evenly spaced: by media time for files, otherwise by the clock."""
    every_nth: int = Field(1, ge=1)
    """Only each nth frame of the source."""
    key_frames: Annotated[bool, Truth] = False
    """Only the frames that a clip or stream has whole; the others are not decoded. Needs the extra ``av``."""
    motion: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Only frames of which this share differs from the background, whatever their resolution; 0 for all frames.

    Looked at after ``maxFps`` and ``everyNth``: frames that these leave out are not seen by it.
    """
    motion_hold: Annotated[Seconds, Field(ge=0)] = 0.0
    """Seconds of media for which all frames are taken after the last motion."""
    max_age: Annotated[Seconds, Field(gt=0)] | None = None
    """Seconds; frames that are older when their invocation would start are dropped."""
    on_end: Annotated[Literal["stop", "loop", "restart"], Word, BeforeValidator(ending)] = "stop"
    """What follows the end of a file or folder; ``restart`` waits for ``restartAfter`` first; true is ``loop``."""
    restart_after: Annotated[Seconds, Field(ge=0)] = 5.0
    real_time: Annotated[bool, Truth] = False
    """Whether a file or folder is played at its own pace, as if it were a camera."""
    silent_after: Annotated[Seconds, Field(ge=1)] = 10.0
    """Seconds without a frame after which a camera or stream is opened again."""
    max_in_flight: Annotated[int, Field(ge=1)] | None = None
    """Invocations at a time. Default: 1 for a synchronous function; for an async one 8 with ``every``, else 2."""
    cardinality: Annotated[Literal["one", "many"], Word] = "one"
    """``many`` gives a list with the frames that are there, at least one and at most ``maxBatchSize``."""
    max_batch_size: int = Field(8, ge=1)
    width: Annotated[int, Field(ge=1)] | None = None
    """Asked of a camera, in pixels, as ``height`` is."""
    height: Annotated[int, Field(ge=1)] | None = None
    capture_fps: Annotated[float, Field(gt=0)] | None = None
    """Frames a second: asked of a camera; for a folder of pictures what it counts as (1.0)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a listener is made for, once: other frames of the source it may take at any time."""

    address: Address
    playing: Playing
    in_flight: int
    batch: int | None
    """The longest list of frames; None for one frame at a time."""
    every: bool
    """Whether it is to have every frame, in order."""

    @property
    def feed(self) -> Feed:
        return Feed.FINITE if finite(self.address) and self.playing.on_end == "stop" else Feed.ENDLESS


class VideoFrameListener:
    """Hands the frames of one subscription to ``emit``, so many at a time, their starts in the order of the frames."""

    def __init__(
        self, binding: Binding, subscription: Subscription, shape: Shape, shape_of: Callable[[Binding], Shape]
    ) -> None:
        self.binding = binding
        self.subscription = subscription
        self.feed = shape.feed
        self._shape = shape
        self._shape_of = shape_of
        self._in_flight = shape.in_flight
        self._batch = shape.batch

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        """Rates, ages and motion change in place; another source, or another way to play it, needs another listener."""
        if self._shape_of(binding) != self._shape:
            return None
        return functools.partial(self.subscription.want, _wanted(_options(binding), self._shape))

    async def listen(self, emit: Emit) -> None:
        """Returns when the source has ended; raises SourceError when it can not be read."""

        async def handle(frames: list[VideoFrame]) -> None:
            first, last = frames[0], frames[-1]
            if self._batch is None:
                await emit(Event(first, f"frame {first.id} of {first.source}"))
            else:
                await emit(Event(frames, f"frames {first.id} to {last.id} of {last.source}"))

        self.subscription.join()
        try:
            await work(self._in_flight, self._take, handle, self.subscription.leave)
        finally:
            self.subscription.leave()
        await self.subscription.ended()

    async def _take(self) -> list[VideoFrame]:
        if frames := await self.subscription.take(self._batch or 1):
            return frames
        raise StopAsyncIteration

    def status(self) -> dict[str, Any]:
        """``source``, its ``state``, ``fps`` measured and ``claimed_fps``, ``age_ms`` of the newest frame, ``frames``
        read for this function and what became of them (``emitted``, ``dropped`` by cause), ``reopened``, ``width``
        and ``height`` in pixels. States: starting, running, lost, silent, ended, stopped.
        """
        return self.subscription.status()


class VideoFrameKind:
    """Owns the sources of one host: functions with the same source and the same ways of playing it share one."""

    type = "videoFrameTrigger"
    options = VideoFrameTrigger
    level = logging.DEBUG

    def __init__(self, services: Services) -> None:
        self._root: Path = services.root
        self._sources: weakref.WeakValueDictionary[tuple[Address, Playing], Source] = weakref.WeakValueDictionary()
        self._listeners: weakref.WeakSet[VideoFrameListener] = weakref.WeakSet()
        counter = services.metrics.counter
        self._read = counter("edgefn_video_frames", "Frames read from a video source", ("source",))
        self._dropped = counter(
            "edgefn_video_frames_dropped", "Frames that a function did not get, by cause", ("function", "cause")
        )

    def check(self, binding: Binding) -> None:
        self._address(binding)
        options = _options(binding)
        if "max_batch_size" in options.model_fields_set and options.cardinality == "one":
            raise BindingError(f"{binding.where()}: maxBatchSize is for lists; add cardinality=many, or leave it out")
        self._check_key_frames(binding, options)
        self.convert(binding)

    def _check_key_frames(self, binding: Binding, options: VideoFrameTrigger) -> None:
        if not options.key_frames:
            return
        kind, where = self._address(binding).kind, binding.where()
        if kind not in (SourceKind.FILE, SourceKind.STREAM):
            text = f"keyFrames is for clips and streams, not for a source of kind '{kind}'; leave it out"
            raise BindingError(f"{where}: {text}")
        if importlib.util.find_spec("av") is None:
            raise BindingError(f"{where}: keyFrames needs PyAV; install it: {INSTALL}")

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """VideoFrame and no annotation pass; numpy.ndarray gives the frame's image; lists come with ``many``."""
        many = _options(binding).cardinality == "many"
        wanted = first_of_union(binding.annotation)
        element = wanted
        if many and wanted not in (None, Any):
            element = element_of(wanted) if get_origin(wanted) is list or wanted is list else binding
        if element in (None, Any, VideoFrame):
            return None
        if is_array(element):
            return _images if many else _image
        fitting = "list[VideoFrame] or list[numpy.ndarray]" if many else "VideoFrame or numpy.ndarray"
        hint = "" if many else "; a list of frames comes with cardinality=many"
        raise BindingError(
            f"{binding.where()}: the parameter is annotated {_named(wanted)}; what fits is {fitting}{hint}"
        )

    def listener(self, binding: Binding) -> VideoFrameListener:
        """Subscribes to the source. The reader starts when the first of its listeners listens."""
        shape = self._shape(binding)
        address, playing = shape.address, shape.playing
        self._refuse_contradiction(binding, address, playing)
        source = self._sources.get((address, playing))
        if source is None:
            source = Source(address, playing, count_frame=self._read.labels(address.shown).inc)
            self._sources[address, playing] = source

        dropped = functools.cache(lambda cause: self._dropped.labels(binding.function, cause))
        wanted = _wanted(_options(binding), shape)
        subscription = Subscription(source, wanted, lambda cause: dropped(cause).inc())
        listener = VideoFrameListener(binding, subscription, shape, self._shape)
        self._listeners.add(listener)
        return listener

    def _shape(self, binding: Binding) -> Shape:
        options, address = _options(binding), self._address(binding)
        policy = _policy(options, address)
        return Shape(
            address,
            _playing(address, options),
            options.max_in_flight or _usual_in_flight(binding, policy),
            options.max_batch_size if options.cardinality == "many" else None,
            policy == "every",
        )

    def manual(self, binding: Binding, text: str) -> Event:
        """The first frame of a source: the text is whatever ``source`` may be, also a picture; empty for its own."""
        try:
            frame = first_frame(recognise(text, self._root) if text.strip() else self._address(binding))
        except SourceError as error:
            raise BindingError(f"{binding.where()}: {error}") from None
        return Event([frame] if _options(binding).cardinality == "many" else frame)

    def origin(self, binding: Binding) -> Callable[[Event], Origin]:
        """The source, and the number of the frame, or of the first one."""

        def origin(event: Event) -> Origin:
            first: VideoFrame = event.value[0] if isinstance(event.value, list) else event.value
            return Origin(attributes={"edgefn.source": first.source, "edgefn.frame": first.id})

        return origin

    def needs(self, binding: Binding) -> Needs:
        """The camera's device file, or the clip or folder; a stream needs the network only."""
        address, options = self._address(binding), _options(binding)
        extras = ("av",) if options.key_frames else ()
        if address.kind is SourceKind.CAMERA:
            number = address.target if address.target.isdigit() else ""
            return Needs(devices=(f"/dev/video{number}" if number else address.target,), groups=("video",))
        if address.kind in (SourceKind.FILE, SourceKind.FOLDER):
            return Needs(reads=(Asset(options.source.strip(), Path(address.target)),), extras=extras)
        return Needs(extras=extras)

    def copies(self, binding: Binding) -> Copies:
        """A source belongs to one host."""
        return Copies("each host would read its source, and see the same frames")

    async def close(self) -> None:
        await asyncio.gather(*(source.close() for source in list(self._sources.values())))

    def _address(self, binding: Binding) -> Address:
        value = _options(binding).source.strip()
        declared = str(binding.declared.get("source", value))
        shown = f"source ({declared})" if declared != value else "source"
        try:
            return recognise(value, self._root)
        except SourceError as error:
            raise BindingError(f"{binding.where()}: {shown}: {error}") from None

    def _refuse_contradiction(self, binding: Binding, address: Address, playing: Playing) -> None:
        """A live source is opened once, so all functions on it have to ask it for the same."""
        if not address.live:
            return
        for other in self._listeners:
            source = other.subscription.source
            theirs = other.binding.function != binding.function and not other.subscription.left
            if theirs and source.address.target == address.target and source.playing != playing:
                raise BindingError(
                    f"{binding.where()}: asks {address.shown} for {_asked(playing)}, while function "
                    f"'{other.binding.function}' ({other.binding.place}) asks it for {_asked(source.playing)}; "
                    "it is opened once, so let both ask for the same"
                )


def _options(binding: Binding) -> VideoFrameTrigger:
    assert isinstance(binding.options, VideoFrameTrigger)
    return binding.options


def _playing(address: Address, options: VideoFrameTrigger) -> Playing:
    """How the source is played, without the options that this kind of source has no use for."""
    if address.kind is SourceKind.CAMERA:
        return Playing(Asked(options.width, options.height, options.capture_fps, options.silent_after))
    if address.kind is SourceKind.STREAM:
        return Playing(Asked(silent_after=options.silent_after, key_frames=options.key_frames))
    fps = options.capture_fps if address.kind is SourceKind.FOLDER else None
    restart_after = options.restart_after if options.on_end == "restart" else 0.0
    return Playing(Asked(fps=fps, key_frames=options.key_frames), options.real_time, options.on_end, restart_after)


def _policy(options: VideoFrameTrigger, address: Address) -> str:
    return options.policy or ("latest" if address.live or options.real_time else "every")


def _usual_in_flight(binding: Binding, policy: str) -> int:
    if not binding.is_async:
        return 1
    return 8 if policy == "every" else 2


def _wanted(options: VideoFrameTrigger, shape: Shape) -> Wanted:
    return Wanted(
        capacity=max(shape.in_flight + AHEAD if shape.every else 1, shape.batch or 1),
        holds=shape.every and not shape.address.live,
        max_fps=options.max_fps,
        every_nth=options.every_nth,
        max_age=options.max_age,
        motion=options.motion,
        motion_hold=options.motion_hold,
    )


def _asked(playing: Playing) -> str:
    asked = playing.asked
    named = {"width": asked.width, "height": asked.height, "captureFps": asked.fps, "silentAfter": asked.silent_after}
    numbers = [f"{name}={value:g}" for name, value in named.items() if value is not None]
    return ", ".join([*numbers, f"keyFrames={str(asked.key_frames).lower()}"])


def _named(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


def _image(frame: VideoFrame) -> Any:
    return frame.image


def _images(frames: Sequence[VideoFrame]) -> Any:
    return [frame.image for frame in frames]


@hookimpl
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:
    return [VideoFrameKind(services)]
