"""What the parts of edgefn say to each other. Read this first, then function.py and hookspecs.py.

    source -> listener -> emit(event) -> invocation (bind inputs, call, collect outputs) -> output -> hub

A listener awaits ``emit`` and gets the outcome: backpressure, reply and error report are that one value.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefn.desired import Desired
    from edgefn.function import Binding, Options
    from edgefn.methods import Methods
    from edgefn.metrics import Metrics
    from edgefn.mqtt.brokers import Brokers
    from edgefn.settings import HostConfig, Settings
    from edgefn.spool import Spool

    OptionsModel = type[Options]

NOTHING: Mapping[str, Any] = {}


# --- the spine ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Event:
    """One happening handed to ``emit``.

    ``value`` is what the trigger gives (a VideoFrame, an EdgeMessage, ...), ``reason`` the words of the log line,
    ``metadata`` what a trigger knows beside the value.
    """

    value: Any
    reason: str = ""
    metadata: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    settlement: Settlement | None = None
    """Where the event is a stored message: what is to become of it, and of the outputs of its invocation."""


class Settlement(Protocol):
    """A stored message that is being worked off. What it caused and its own end are one transaction."""

    @property
    def attempts(self) -> int:
        """Attempts that failed so far, also those before the host was started again."""

    def begin(self) -> None:
        """Forgets what an earlier attempt has put: a new one begins."""

    def next_id(self) -> str:
        """The id for the next message that is put: the same whenever the function runs for this event."""

    def put(self, message: Outgoing) -> None:
        """Adds a message that leaves when, and only when, this one is done."""

    def otherwise(self, undo: Callable[[], None]) -> None:
        """What is to be called where what an attempt has put does not leave, before anything is put anew."""

    async def failed(self, error: BaseException, delay: float) -> None:
        """Records an attempt that failed, and that the next one is due in ``delay`` seconds."""


class Status(enum.StrEnum):
    """How an invocation ended."""

    OK = "ok"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


@dataclass(slots=True)
class Outcome:
    """The end of one invocation: the function's return value, or its error; ``duration`` in seconds."""

    status: Status
    value: Any = None
    error: BaseException | None = None
    duration: float = 0.0
    is_open: bool = False
    """Whether it is not the last word: the host stopped, or a thread is held, before all attempts were made."""

    @property
    def ok(self) -> bool:
        return self.status is Status.OK


Emit = Callable[[Event], Awaitable[Outcome]]


class Feed(enum.StrEnum):
    """Where a listener's events come from; the host ends and drains by it."""

    FINITE = "finite"
    """They end by themselves: a clip that is played once."""
    ENDLESS = "endless"
    """They go on for as long as the host runs."""
    INBOX = "inbox"
    """They are messages that other functions may have caused: such a listener is stopped last."""


class Listener(Protocol):
    """The running side of a trigger."""

    @property
    def feed(self) -> Feed: ...

    async def listen(self, emit: Emit) -> None:
        """Hands events to ``emit`` until cancelled; returns only when there can be no further event.

        An exception means that the trigger is broken for now: the host says so and listens again, with back-off.
        A listener that is cancelled stops taking events and waits for the invocations that it started.
        """

    def status(self) -> Mapping[str, Any]:
        """Numbers and states to be shown, as JSON values."""

    # A listener may have ``adopt``, as inputs and outputs; see Input. One of an endless feed may have
    #
    # worked_off() -> Awaitable[bool]
    #     Where events may lie there already, as files do: returns when those have all been taken; whether any was since
    #     the call. The invocations for them may still run.


# --- what plugins provide ----------------------------------------------------------------------------------------


class Kind(Protocol):
    """One binding type, by its name in function.json. Lives as long as the host that asked for it."""

    @property
    def type(self) -> str:
        """The name in JSON, e.g. ``videoFrameTrigger``."""

    @property
    def options(self) -> OptionsModel:
        """The model that validates the binding's JSON object."""

    def check(self, binding: Binding) -> None:
        """Raises BindingError when the parameter's annotation or the options together make no sense.

        Called while the app loads, and again whenever the twin changes options or settings; opens nothing.
        """

    async def close(self) -> None:
        """Releases what the kind shares between functions."""

    # A kind may have three more members; the loader and ``edgefn manifest`` look for them.
    #
    # fixed: Collection[str]
    #     The options (names in JSON) that do not change while the host runs: the twin's are refused then.
    # needs(binding: Binding) -> Needs
    #     What a checked binding needs of the machine and of edgeHub; opens nothing.
    # options_of(binding: Binding) -> OptionsModel
    #     The model of the options of one binding, where that depends on what it declares.


class Asset(NamedTuple):
    """A file or folder that a binding reads."""

    declared: str
    """As the option has it: in a container it is looked for under this name, from the app root on."""
    found: Path | None
    """Where it is on this machine; None where it is not."""


class LiveSetting(NamedTuple):
    """A setting that an operator may change while the host runs."""

    default: Any
    """A JSON value; None where there is none."""
    schema: Mapping[str, Any]
    """A JSON schema of the values that fit."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a binding needs of the machine and of edgeHub, for the manifest of a deployment."""

    devices: tuple[str, ...] = ()
    """Device files, by their names on Linux."""
    groups: tuple[str, ...] = ()
    """The groups whose members may use them."""
    binds: tuple[str, ...] = ()
    """Folders of the machine that a driver has its files in; in the container they have the same name."""
    reads: tuple[Asset, ...] = ()
    writes: tuple[str, ...] = ()
    """Folders to write to, as declared."""
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    """Variables, where the settings do not have them."""
    variables: tuple[str, ...] = ()
    """Names of settings that are read where no option names them, as ``%NAME%`` does."""
    settings: Mapping[str, LiveSetting] = field(default_factory=lambda: NOTHING)
    """Settings by name that an operator may change while the host runs."""
    ports: tuple[int, ...] = ()
    """Ports of the container that something outside of the machine's modules calls."""
    inputs: tuple[str, ...] = ()
    """Inputs of the module that feed it; ``*`` for all."""
    outputs: tuple[str, ...] = ()
    """Outputs of the module that it writes to; empty text for messages without output."""
    notes: tuple[str, ...] = ()
    """What somebody who deploys it should know."""

    @classmethod
    def of_all(cls, many: Iterable[Needs]) -> Needs:
        """All that several need, each thing once, in their order."""
        several = list(many)
        values: dict[str, Any] = {}
        lists = "devices groups binds reads writes ports variables inputs outputs notes"
        for name in lists.split():
            values[name] = tuple(dict.fromkeys(item for needs in several for item in getattr(needs, name)))
        for name in ("environment", "settings"):
            values[name] = {key: item for needs in reversed(several) for key, item in getattr(needs, name).items()}
        return cls(**values)


class TriggerKind(Kind, Protocol):
    """A binding type that causes invocations."""

    @property
    def level(self) -> int:
        """The level, in logging's numbers, of the lines that each invocation writes: DEBUG where there are many."""

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """How an event's value becomes the annotated type of the parameter; None when it is passed as it is."""

    def listener(self, binding: Binding) -> Listener:
        """Makes the running side. Must be quick; what is slow belongs into ``listen``."""

    # A kind may have five more members; the host looks for them.
    #
    # is_call: bool
    #     True where somebody waits for the answer to each event, as with HTTP: outputs do not wait for those of earlier
    #     events, and nothing is retried.
    # subscribe(binding: Binding) -> None
    #     Called before the hub delivers anything, and before the function is open: messages are kept from then on.
    # unsubscribe(binding: Binding) -> None
    #     Called when the twin has disabled the function: messages that come from now on are not for it.
    # release(function: str) -> None
    #     Called before a function is declared anew, or when it is gone: what ``check`` kept for it (a name, a route) is
    #     free again.
    # manual(binding: Binding, text: str) -> Event
    #     An event made by hand, of a text: the body of a message or request, the source of a frame. For ``edgefn run``
    #     and the admin endpoint; raises EdgefnError.


class Input(Protocol):
    """An opened input binding."""

    def value(self, event: Event) -> Any:
        """The parameter's value for this event; quick, called on the event loop."""

    def status(self) -> Mapping[str, Any]:
        """States to be shown, as JSON values."""

    async def close(self) -> None: ...

    # An opened input may have
    #
    # adopt(binding: Binding) -> Callable[[], None] | None
    #     What is to be called so that it goes on with the options and settings of its binding declared anew, at once
    #     and without a fault; None where it can not, and another one is to be opened in its place. Raises EdgefnError.


class InputKind(Kind, Protocol):
    """A binding type that gives a function something to work with."""

    async def open(self, binding: Binding) -> Input:
        """Opens the input, in threads where that takes time; raises EdgefnError."""


class Output(Protocol):
    """An opened output binding."""

    # An output may have ``required: bool``: True where a function that returns None has made a mistake, as with HTTP;
    # the None is then given to ``encode``. It may also have ``adopt``; see Input.

    def encode(self, value: Any) -> Any:
        """Turns what the function set into what ``send`` takes, at once, so that later changes do not show.

        Raises TypeError for values that can not be sent, which then is an error of the function.
        """

    async def send(self, encoded: Any, event: Event) -> None:
        """Sends one encoded value; returns when it is accepted. Awaited in the order of the events."""

    def status(self) -> Mapping[str, Any]:
        """Numbers to be shown, as JSON values."""

    async def close(self) -> None: ...


class OutputKind(Kind, Protocol):
    """A binding type that takes a function's results."""

    async def open(self, binding: Binding) -> Output:
        """Opens the output; raises EdgefnError."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the host lends to plugins."""

    root: Path
    """The app root: the folder with host.json; relative paths in bindings start here."""
    state: Path
    """The one folder in which the host and its plugins keep files."""
    settings: Settings
    config: HostConfig
    metrics: Metrics
    hub: Hub
    spool: Spool
    session_kinds: Mapping[str, SessionKind]
    methods: Methods
    desired: Desired
    brokers: Brokers


# --- frames and messages -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class VideoFrame:
    """One picture of a video source."""

    image: NDArray[np.uint8]
    """H x W x 3, uint8, BGR (OpenCV's order). Shared with other functions on the source: copy before drawing."""
    id: int
    """Number of the frame in its source, from 0; goes on counting when a clip loops or a camera is reopened."""
    timestamp: datetime
    """When the frame was captured, UTC."""
    position: float
    """Media time of the frame in seconds from the beginning of the clip or stream."""
    source: str
    """The source as declared, without credentials."""
    fps: float
    """Frames a second that the source claims; 0.0 when it does not say."""
    item: str = ""
    """The name of the file, where the source is a folder of pictures."""


@dataclass(frozen=True, slots=True)
class EdgeMessage:
    """A message of edgeHub: what comes to a module's input, or leaves by a module's output. Or one of an MQTT broker.

    Names follow the system properties of IoT Hub messages.
    """

    body: bytes
    properties: Mapping[str, str] = field(default_factory=dict)
    message_id: str = ""
    correlation_id: str = ""
    content_type: str = "application/json"
    content_encoding: str = "utf-8"
    created: datetime | None = None
    """Creation time, UTC."""
    connection_device_id: str = ""
    connection_module_id: str = ""
    output_name: str = ""
    input_name: str = ""
    topic: str = ""
    """The topic that it came by, or is for, where an MQTT broker has it."""
    retain: bool = False
    """Whether the broker keeps it, or kept it, for those who subscribe later."""
    qos: int = 1
    """MQTT's quality of service, 0 or 1: whether the broker acknowledges it."""
    is_json: bool = field(default=False, compare=False, repr=False)
    """Whether the body is known to be JSON in UTF-8, so that nobody has to look."""

    @property
    def size(self) -> int:
        """Bytes of body, properties and system properties: what edgeHub's limit of 262,144 is about."""
        texts = (self.message_id, self.correlation_id, self.content_type, self.content_encoding, self.output_name)
        properties = sum(len(name.encode()) + len(text.encode()) for name, text in self.properties.items())
        return len(self.body) + properties + sum(len(text.encode()) for text in texts)

    @property
    def text(self) -> str:
        """The body as text, in the message's encoding (UTF-8 when it names none)."""
        return self.body.decode(self.content_encoding or "utf-8")

    def json(self) -> Any:
        """The body as a JSON value; raises ValueError when it is none."""
        import orjson

        return orjson.loads(self.text)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to the hub, with what its output says of it."""

    message: EdgeMessage
    when_full: str = ""
    """``block``, ``drop_oldest``, ``drop_newest`` or ``dead_letter``; empty for what the spool's options say."""
    ttl: float | None = None
    """Seconds after which it is worth nothing; None for as long as the spool keeps messages."""
    destination: str = ""
    """The name of the broker that it is for; empty for the hub."""


# --- sessions ----------------------------------------------------------------------------------------------------
# Results are plain dataclasses, many a frame: orjson writes them five times faster than ones with slots, and
# frozen ones take twice as long to make.


@dataclass
class Box:
    """A rectangle in a picture: each edge as a share of the picture's width or height, 0.0 to 1.0."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


@dataclass
class PixelBox:
    """A rectangle in whole pixels of the picture that was given to ``infer``."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass
class Candidate:
    """One class that a picture may belong to; ``score`` as the model gives it, 0.0 to 1.0 for softmax outputs."""

    index: int
    name: str
    score: float


@dataclass
class Detection:
    """One object found in a picture. Serialises to JSON as ``{"index", "name", "score", "box", "pixels"}``."""

    index: int
    name: str
    score: float
    box: Box
    pixels: PixelBox


class Task(enum.StrEnum):
    """What the results of a session are."""

    RAW = "raw"
    CLASSIFICATION = "classification"
    DETECTION = "detection"


class Session(Protocol):
    """An opened model. ``infer`` and ``infer_async`` may be called by many threads and tasks at once."""

    def infer(self, data: Any) -> Any:
        """Runs the model on one picture (H x W x 3 uint8 BGR, or a VideoFrame) and waits for the result.

        The plain session also takes a mapping of input names to arrays. It gives a mapping of output names to
        arrays that belong to the caller.
        """

    async def infer_async(self, data: Any) -> Any:
        """As ``infer``, without holding the event loop. Results come in the order in which they were asked for."""

    def status(self) -> Mapping[str, Any]:
        """Model, device really used, precision, requests and inferences so far, as JSON values."""

    # A session may have ``tensors``: the model beneath it (sessions/ports.py), which the host then can serve.


class ClassificationSession(Session, Protocol):
    """A session whose results are the best classes of a picture."""

    def infer(self, data: Any) -> list[Candidate]:
        """The best classes, highest score first, as many as the binding's ``topN``."""

    async def infer_async(self, data: Any) -> list[Candidate]:
        """As ``infer``, without holding the event loop."""


class DetectionSession(Session, Protocol):
    """A session whose results are the objects in a picture."""

    def infer(self, data: Any) -> list[Detection]:
        """The objects with a score of at least the binding's ``threshold``, highest score first."""

    async def infer_async(self, data: Any) -> list[Detection]:
        """As ``infer``, without holding the event loop."""


class SessionKind(Protocol):
    """A way to open models: OpenVINO here, a server elsewhere, recorded answers."""

    @property
    def name(self) -> str:
        """The value of the binding's option ``kind``."""

    @property
    def options(self) -> OptionsModel:
        """The model that validates the binding's JSON object for this kind."""

    def open(self, binding: Binding, task: Task) -> Session:
        """Opens, or shares, the binding's model. Takes its time: called in a thread. Raises ModelError."""

    def close(self) -> None:
        """Releases all models."""

    # A kind of session may have ``needs``; see Kind. The binding's options are those of the session's own model.
    # One whose sessions never have ``tensors`` may say so: ``has_tensors = False``.


# --- hubs --------------------------------------------------------------------------------------------------------


class HubState(enum.StrEnum):
    """Whether the hub can be reached."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    ONLINE = "online"


@dataclass(frozen=True, slots=True)
class Twin:
    """Desired and reported properties of the module, as the hub has them; both hold ``$version``."""

    desired: Mapping[str, Any] = field(default_factory=dict)
    reported: Mapping[str, Any] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The ``$version`` of the desired properties, 0 where there is none."""
        return int(self.desired.get("$version", 0))


@dataclass(frozen=True, slots=True)
class MethodRequest:
    """A direct method that was called; ``id`` is the hub's for this call, ``payload`` a JSON value."""

    id: str
    name: str
    payload: Any = None


@dataclass(frozen=True, slots=True)
class MethodReply:
    """The answer to a direct method: a status as in HTTP, and a JSON value."""

    status: int
    payload: Any = None


class HubSink(Protocol):
    """Where a hub delivers what comes in. All of it is called on the event loop that ``start`` was awaited on."""

    async def on_input(self, message: EdgeMessage) -> None:
        """Takes a message for ``message.input_name``; the hub may acknowledge it when this returns, since it is stored
        then. Raises HubError when it can not be stored: the hub must keep it, and deliver it again.
        """

    async def on_method(self, request: MethodRequest) -> MethodReply:
        """Answers a direct method; never raises."""

    async def on_desired(self, patch: Mapping[str, Any]) -> None:
        """Takes a change of the desired properties, with its ``$version``; None in it removes a property."""

    def on_state(self, state: HubState) -> None:
        """Tells that the hub went away or came back; the twin should be read again when it is online."""


class Hub(Protocol):
    """The transport to edgeHub. Holds nothing beyond its window, never retries, has a time-out on everything."""

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> HubState: ...

    @property
    def window(self) -> int:
        """How many messages may be on their way at once."""

    async def start(self, sink: HubSink) -> None:
        """Begins to connect, and keeps connected until ``stop``; returns at once, whether the hub is there or not.

        Raises EdgefnError only for what can not become right by waiting.
        """

    async def stop(self) -> None:
        """Takes nothing in any more, and disconnects; what is on its way fails with ConnectionLost."""

    def check(self, message: EdgeMessage) -> None:
        """Raises TooLarge for a message that this hub never takes; asked before a message is stored."""

    def publish(self, message: EdgeMessage) -> Awaitable[None]:
        """Hands one message of ``message.output_name`` over; the awaitable ends with the hub's acknowledgement.

        Messages leave in the order of the calls. Raises HubError when the hub did not take it: NotConnected (it never
        left), ConnectionLost or AckTimeout (it may have arrived), TooLarge.
        """

    async def twin(self) -> Twin:
        """Desired and reported properties; raises HubError."""

    async def report(self, patch: Mapping[str, Any]) -> None:
        """Changes the reported properties; None removes one. Returns when the hub has it; raises HubError."""

    def status(self) -> Mapping[str, Any]:
        """``name``, ``state``, ``since`` (UTC), ``generation`` (connections so far), ``lost`` (why the last one ended),
        and what else the adapter counts, as JSON values.
        """


class Destination(Protocol):
    """Where messages of the outbox go: the hub, or a broker. Holds nothing beyond its window, and never retries."""

    @property
    def state(self) -> HubState: ...

    @property
    def window(self) -> int:
        """How many messages may be on their way at once."""

    def check(self, message: EdgeMessage) -> None:
        """Raises TooLarge for a message that is never taken; asked before a message is stored."""

    def publish(self, message: EdgeMessage, left: float | None) -> Awaitable[None]:
        """As the hub's; ``left`` are the seconds for which the message is still worth something, None for ever.

        Raises Refused too, for a message that is not taken as it is.
        """


Kinds = Sequence[Kind]
