"""Calls to a model somewhere else: time-out, attempts with back-off, a circuit; and HTTP that keeps its deadlines."""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

from pydantic import Field

from edgefn.errors import ModelError
from edgefn.function import Options, Seconds
from edgefn.pacing import BackOff
from edgefn.sessions.circuit import Circuit, CircuitOpen
from edgefn.timely import Timely

if TYPE_CHECKING:
    from edgefn.metrics import Metrics

T = TypeVar("T")

MOST_BYTES = 256 * 1024 * 1024
"""Of one reply."""
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same call may succeed."""
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""The name of one."""


class Unavailable(Exception):
    """The far side did not answer, or could not: it may a little later."""


class Rejected(Exception):
    """The far side does not take this call, and will not."""


class Unreached(ModelError):
    """The far side was not reached, whatever was tried."""


class FarOptions(Options):
    """What may be declared of calls to a model somewhere else."""

    timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    """Seconds that one attempt may take, from the connection to the last byte."""
    retries: Annotated[int, Field(ge=0)] = 1
    """Further attempts after one that failed."""
    backoff: Annotated[Seconds, Field(gt=0)] = 0.2
    """Seconds before the second attempt; each time twice as long, less up to a third at random."""
    circuit_failures: Annotated[int, Field(ge=1)] = 5
    """Attempts that fail in a row until the far side is left alone."""
    circuit_pause: Annotated[Seconds, Field(gt=0)] = 10.0
    """Seconds for which it is; then one call tries it."""
    headers: Mapping[str, str] = Field(default_factory=dict)
    """Sent with each call: keys, tokens."""
    requests: Annotated[int, Field(ge=1)] = 4
    """Calls that may be on their way at once."""


class Caller:
    """Makes calls as they are declared. May be used by many threads."""

    def __init__(self, options: FarOptions, circuit: Circuit, count: Callable[[str], None]) -> None:
        self._options = options
        self._count = count
        self._closing = threading.Event()
        self.circuit = circuit

    def call(self, attempt: Callable[[float], T], retries: int | None = None) -> T:
        """What ``attempt`` gives, which takes the seconds it has; raises ModelError: Unreached in the end.

        ``retries`` is how many further attempts there are; None for as many as declared.
        """
        waits = BackOff(self._options.backoff, max(self._options.backoff, 30.0))
        for left in range(self._options.retries if retries is None else retries, -1, -1):
            self._enter()
            try:
                found = attempt(self._options.timeout)
            except Unavailable as error:
                self.circuit.failed(str(error))
                self._count("failed")
                if not left or self._closing.wait(waits.next()):
                    raise Unreached(str(error)) from None
            except Rejected as error:
                self.circuit.succeeded()
                self._count("rejected")
                raise ModelError(str(error)) from None
            else:
                self.circuit.succeeded()
                self._count("ok")
                return found
        raise AssertionError("the last attempt gives or raises")

    def _enter(self) -> None:
        try:
            self.circuit.enter()
        except CircuitOpen as error:
            self._count("refused")
            raise Unreached(str(error)) from None

    def close(self) -> None:
        """Ends the waits between attempts."""
        self._closing.set()


class Circuits:
    """The circuits of one kind of sessions: one for each far side, whoever calls it."""

    def __init__(self, metrics: Metrics) -> None:
        self._calls = metrics.counter("edgefn_remote_calls", "Attempts to call a remote model", ("model", "result"))
        self._open = metrics.gauge("edgefn_remote_circuit_open", "1 while a remote model is left alone", ("model",))
        self._circuits: dict[tuple[str, int, float], Circuit] = {}
        self._lock = threading.Lock()

    def caller(self, name: str, options: FarOptions) -> Caller:
        """Makes calls to the far side of that name."""
        key = (name, options.circuit_failures, options.circuit_pause)
        gauge = self._open.labels(name)
        with self._lock:
            circuit = self._circuits.setdefault(key, Circuit(*key, lambda is_closed: gauge.set(not is_closed)))
        return Caller(options, circuit, lambda result: self._calls.labels(name, result).inc())


# --- HTTP --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply by HTTP; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def address_of(url: str) -> SplitResult:
    """The parts of an address; raises ModelError for one that names no host, or holds a password."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:  # its text would quote what it takes for a port, which may be a part of a password
        raise ModelError(f"model '{url}' is no address; right would be http://host:port/name") from None
    if not parts.hostname:
        raise ModelError(f"model '{url}' names no host; right would be {parts.scheme or 'http'}://host:port/name")
    if parts.username or parts.password:
        raise ModelError(f"model '{parts.scheme}://***@{parts.hostname}' holds a password; declare 'headers' instead")
    return parts


def headers_of(options: FarOptions) -> dict[str, str]:
    """Headers as they are sent: without blanks around their values, as files of tokens end with one.

    Raises ModelError for what can not be sent; it shows no value, which may be a secret.
    """
    found = {name: value.strip() for name, value in options.headers.items()}
    for name, value in found.items():
        if HEADER.fullmatch(name) is None:
            raise ModelError(f"headers: {name!r} is no name of one; letters, digits and - would be right")
        if not value.isascii() or not value.isprintable():
            raise ModelError(
                f"headers: the value of '{name}' holds characters that none can have; printable ASCII would be right"
            )
    return found


class Wire:
    """One connection, kept open between calls; for one thread at a time."""

    def __init__(self, address: SplitResult, headers: Mapping[str, str]) -> None:
        self._address = address
        self._headers = dict(headers)
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        """The reply to a request, within so many seconds; raises Unavailable.

        A connection that the far side closed while nobody used it is replaced without another word.
        """
        until = time.monotonic() + seconds
        kept = self._connection is not None
        try:
            return self._asked(method, path, body, {**self._headers, **headers}, until)
        except (ConnectionError, http.client.BadStatusLine) as error:
            self.close()
            if not kept:
                raise Unavailable(f"{self._name}: {_said(error)}") from None
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unavailable(f"{self._name}: {_said(error, seconds)}") from None
        return self.ask(method, path, body, headers, max(0.001, until - time.monotonic()))

    @property
    def _name(self) -> str:
        return f"{self._address.scheme}://{self._address.netloc}"

    def _asked(self, method: str, path: str, body: bytes, headers: Mapping[str, str], until: float) -> Answer:
        connection = self._connection or self._connected(until)
        cast("Timely", connection.sock).until = until
        connection.request(method, path, body or None, dict(headers))
        response = connection.getresponse()
        content = response.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise http.client.HTTPException(f"its reply is larger than {MOST_BYTES} bytes")
        if response.will_close:
            self.close()
        elif not response.isclosed():
            response.read()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def _connected(self, until: float) -> http.client.HTTPConnection:
        host, port, seconds = self._address.hostname or "", self._address.port, max(0.001, until - time.monotonic())
        if self._address.scheme == "https":
            made: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=seconds, context=ssl.create_default_context()
            )
        else:
            made = http.client.HTTPConnection(host, port, timeout=seconds)
        made.connect()
        made.sock = Timely(made.sock)
        self._connection = made
        return made

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.close()


def _said(error: Exception, seconds: float | None = None) -> str:
    if isinstance(error, TimeoutError) and seconds is not None:
        return f"no answer within {seconds:g} s"
    if isinstance(error, http.client.RemoteDisconnected):
        return "the connection was closed without an answer"
    text = str(getattr(error, "strerror", "") or error)
    return text or type(error).__name__


def check_status(answer: Answer, url: str, said: str) -> None:
    """Raises Unavailable or Rejected for a reply that is no success; ``said`` is why, in the far side's words."""
    if 200 <= answer.status < 300:
        return
    text = f"{url} answered {answer.status}{f': {said[:300]}' if said else ''}"
    raise (Unavailable if answer.status in PASSING else Rejected)(text)
