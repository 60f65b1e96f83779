"""What plugins provide: kinds of bindings, with the inputs, outputs and listeners that they make; what they get."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edgefn.contracts.hubs import Hub
from edgefn.contracts.sessions import SessionKind
from edgefn.contracts.spine import Event, Listener

if TYPE_CHECKING:
    from edgefn.contracts.sessions import OptionsModel
    from edgefn.desired import Desired
    from edgefn.function import Binding
    from edgefn.methods import Methods
    from edgefn.metrics import Metrics
    from edgefn.mqtt.brokers import Brokers
    from edgefn.settings import HostConfig, Settings
    from edgefn.spool import Spool
    from edgefn.traces import Traces


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

    # A kind may have four more members; the loader and ``edgefn manifest`` look for them.
    #
    # fixed: Collection[str]
    #     The options (names in JSON) that do not change while the host runs: the twin's are refused then.
    # needs(binding: Binding) -> Needs
    #     What a checked binding needs of the machine and of edgeHub; opens nothing.
    # copies(binding: Binding) -> Copies
    #     Whether replicas may run a checked binding side by side. Without it one host only has a trigger, and each may
    #     have an input or output.
    # options_of(binding: Binding) -> OptionsModel
    #     The model of the options of one binding, where that depends on what it declares.


class TriggerKind(Kind, Protocol):
    """A binding type that causes invocations."""

    @property
    def level(self) -> int:
        """The level, in logging's numbers, of the lines that each invocation writes: DEBUG where there are many."""

    def convert(self, binding: Binding) -> Callable[[Any], Any] | None:
        """How an event's value becomes the annotated type of the parameter; None when it is passed as it is."""

    def listener(self, binding: Binding) -> Listener:
        """Makes the running side. Must be quick; what is slow belongs into ``listen``."""

    # A kind may have six more members; the host looks for them.
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
    # origin(binding: Binding) -> Callable[[Event], Origin]
    #     How an event tells where it came from, for its trace; asked for only where traces are.


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
    traces: Traces
