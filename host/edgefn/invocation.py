"""One event through one function: bind, call, collect, send -> Outcome.

What can be decided once is decided when the invoker is made: whether the function is a coroutine, how its trigger's
value is converted, which parameters there are.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import azure.functions as func

from edgefn.context import Context
from edgefn.contracts import Event, Input, Outcome, Output, Settlement, Status
from edgefn.deadlines import Deadlines
from edgefn.errors import EdgefnError, FunctionTimeout, StillRunning, UnfitEvent
from edgefn.function import Function
from edgefn.ids import new_id
from edgefn.invocation_lines import InvocationLines, told
from edgefn.logs import CURRENT, Invocation, failed_line, running_line
from edgefn.metrics import FunctionMetrics
from edgefn.retries import delays
from edgefn.sight import CURRENT as SIGHT
from edgefn.sight import Sights
from edgefn.threads import Job, Threads
from edgefn.turnstile import Ticket, Turnstile

if TYPE_CHECKING:
    from edgefn.spans import FunctionSpans

UNSET = object()
Ended = Callable[[Event, Outcome], None]


class OutParameter(func.Out[Any]):
    """What a function gets for an output parameter; the last value that is set counts."""

    __slots__ = ("_output", "_value", "encoded")

    def __init__(self, output: Output) -> None:
        self._output = output
        self._value: Any = None
        self.encoded: Any = UNSET

    def set(self, val: Any) -> None:
        """Keeps the value as it is now; None takes back what was set. Raises TypeError for what can not be sent."""
        self.encoded = UNSET if val is None else self._output.encode(val)
        self._value = val

    def get(self) -> Any:
        return self._value


class Held:
    """The threads that invocations of a function hold after their time-out, whichever version of it they ran."""

    __slots__ = ("threads",)

    def __init__(self) -> None:
        self.threads = 0


class Invoker:
    """One function with its bindings open; ``emit`` runs it for one event.

    An invoker that comes ``after`` another one takes its place: outputs keep the order of the events of both.
    """

    def __init__(
        self,
        function: Function,
        root: Path,
        *,
        convert: Callable[[Any], Any] | None,
        inputs: Mapping[str, Input],
        outputs: Mapping[str, Output],
        threads: Threads,
        metrics: FunctionMetrics,
        ended: Ended | None = None,
        sights: Sights | None = None,
        spans: FunctionSpans | None = None,
        level: int = logging.INFO,
        is_call: bool = False,
        after: Invoker | None = None,
        together: Callable[[], AbstractAsyncContextManager[Settlement]] | None = None,
    ) -> None:
        """``together`` makes one whole of what several outputs send for an event that is no stored message."""
        assert function.trigger is not None
        assert function.call is not None
        self.function = function
        self._root = root
        self._call = function.call
        self._run = self._await if function.is_async else self._in_thread
        self._trigger = function.trigger.name
        self._convert = convert
        self._inputs = tuple(inputs.items())
        self._outputs = {name: output for name, output in outputs.items() if name != "$return"}
        self._return = outputs.get("$return")
        self._threads = threads
        self._metrics = metrics
        self._ended = ended
        self._sights = sights or Sights()
        self._spans = spans
        self._log = logging.getLogger(f"Function.{function.name}")
        self._lines = InvocationLines(function.name, level)
        self._timeout = function.timeout
        self._deadlines = None if function.timeout is None else Deadlines(function.timeout)
        self._retry = None if is_call else function.retry
        self._stopping: asyncio.Event = after._stopping if after else asyncio.Event()
        self._may_return = function.may_return
        self._must_return = bool(getattr(self._return, "required", False))
        self._is_call = is_call
        self._together = together
        self._order: Turnstile = after._order if after else Turnstile()
        self._held: Held = after._held if after else Held()
        self.running = 0
        """Invocations in flight."""
        self._rest: asyncio.Event | None = None

    @property
    def stuck(self) -> int:
        """Threads that timed-out invocations of this function still hold."""
        return self._held.threads

    async def idle(self) -> None:
        """Returns when no invocation is in flight."""
        while self.running:
            self._rest = self._rest or asyncio.Event()
            await self._rest.wait()

    async def emit(self, event: Event) -> Outcome:
        """Runs the function for one event. Never raises for what goes wrong in it: that is the outcome."""
        if self._held.threads:
            return self._refused(event)
        tried = event.settlement.attempts if event.settlement is not None else 0
        invocation = Invocation(new_id(), self.function.name, tried)
        trace = self._spans.begin(event, invocation) if self._spans is not None else None
        ticket = self._order.enter()
        token = CURRENT.set(invocation)
        self.running += 1
        sight = self._sights.begin(self.function.name, invocation.id, event) if self._sights.lookers else None
        if sight is not None:
            SIGHT.set(sight)
        is_logged = self._lines.are_written()
        if is_logged:
            self._lines.began(event, invocation)
        outcome = Outcome(Status.OK)
        started = time.perf_counter()
        try:
            error = await self._attempt(event, invocation, ticket, outcome)
            if error is not None and self._retry is not None:
                error = await self._try_again(error, event, invocation, ticket, outcome)
            if error is not None:
                self._failed(outcome, error)
        except asyncio.CancelledError as error:
            self._failed(outcome, error)
            raise
        finally:
            outcome.duration = time.perf_counter() - started
            self._order.leave(ticket)
            self.running -= 1
            if self._rest is not None and not self.running:
                self._rest.set()
                self._rest = None
            self._metrics.record(outcome, invocation.id)
            if outcome.error is not None:
                text = told(outcome.error)
                self._metrics.note(invocation.id, text)
                self._lines.failed(outcome.error, text, outcome, invocation)
            elif is_logged:
                self._lines.succeeded(outcome, invocation)
            if trace is not None:
                trace.end(outcome, invocation.retry_count)
            CURRENT.reset(token)
            if sight is not None:
                SIGHT.set(None)
                self._sights.end(sight, outcome)
        if self._ended is not None:
            self._ended(event, outcome)
        return outcome

    async def _attempt(
        self, event: Event, invocation: Invocation, ticket: Ticket, outcome: Outcome
    ) -> BaseException | None:
        """Runs the function once; gives what it failed with."""
        try:
            await self._pass(event, invocation, ticket, outcome)
        except asyncio.CancelledError as error:
            if self._is_cancelled():
                raise
            return error
        except GeneratorExit:
            raise
        except BaseException as error:
            return error
        return None

    async def _try_again(
        self, error: BaseException, event: Event, invocation: Invocation, ticket: Ticket, outcome: Outcome
    ) -> BaseException | None:
        """Runs the function as often as its policy says, or until it succeeds; gives the last error."""
        assert self._retry is not None
        before = invocation.retry_count
        for number, delay in enumerate(itertools.islice(delays(self._retry), before, None), before + 1):
            if event.settlement is not None:
                await event.settlement.failed(error, delay)
            if self.stuck or not await self._pause(delay, number):
                outcome.is_open = True
                return error
            invocation.retry_count, invocation.error = number, error
            failed = await self._attempt(event, invocation, ticket, outcome)
            if failed is None:
                return None
            error = failed
        self._lines.error(f"Function execution failed after '{invocation.retry_count}' retries.", invocation)
        return error

    async def _pause(self, delay: float, number: int) -> bool:
        """Waits before an attempt; False when the host stops meanwhile."""
        assert self._retry is not None
        self._log.debug(
            "Waiting for `%s` before retrying function execution. Next attempt: '%d'. Max retry count: '%d'.",
            *(_clock(delay), number, self._retry.max_retry_count),
        )
        try:
            async with asyncio.timeout(delay):
                await self._stopping.wait()
        except TimeoutError:
            return True
        self._log.warning("Invocation cancelled - exiting retry loop.")
        return False

    def stop(self) -> None:
        """Ends the waiting between attempts: the invocations that are in it fail."""
        self._stopping.set()

    async def _pass(self, event: Event, invocation: Invocation, ticket: Ticket, outcome: Outcome) -> None:
        if event.settlement is not None:
            event.settlement.begin()
        arguments = self._bind(event, invocation)
        parameters = {name: OutParameter(output) for name, output in self._outputs.items()}
        value = outcome.value = await self._run({**arguments, **parameters}, invocation)
        encoded = [(self._outputs[name], p.encoded) for name, p in parameters.items() if p.encoded is not UNSET]
        if value is not None or self._must_return:
            if self._return is not None:
                encoded.append((self._return, self._encoded(self._return, value)))
            elif not self._may_return:
                raise self._returned_to_nobody()
        if encoded:
            if not self._is_call:
                await self._order.turn(ticket)
            if len(encoded) == 1 or event.settlement is not None or self._together is None:
                await _sent(encoded, event)
            else:
                async with self._together() as together:
                    await _sent(encoded, dataclasses.replace(event, settlement=together))

    def _encoded(self, output: Output, value: Any) -> Any:
        """What was returned, ready to be sent; raises EdgefnError that names the function, as no line of it would."""
        try:
            return output.encode(value)
        except (TypeError, ValueError) as error:
            if failed_line(error, self._root):  # in a converter of the app's own
                raise
            if self._is_call:  # Azure's own words
                raise type(error)(f"{error}, in {self.function.place}") from None
            raise EdgefnError(f"{self.function.place}: function '{self.function.name}' returned: {error}") from error

    def _bind(self, event: Event, invocation: Invocation) -> dict[str, Any]:
        arguments = {self._trigger: event.value if self._convert is None else self._converted(event)}
        for name, opened in self._inputs:
            arguments[name] = opened.value(event)
        if self.function.wants_context:
            arguments["context"] = Context(invocation, self.function, self._root)
        return arguments

    def _converted(self, event: Event) -> Any:
        assert self._convert is not None
        try:
            return self._convert(event.value)
        except (ValueError, TypeError, LookupError) as error:
            raise UnfitEvent(
                f"{self.function.place}: the event does not fit parameter '{self._trigger}' "
                f"of function '{self.function.name}': {error}"
            ) from None

    # --- the call ------------------------------------------------------------------------------------------------

    async def _await(self, arguments: dict[str, Any], invocation: Invocation) -> Any:
        if self._deadlines is None:
            return await self._call(**arguments)
        deadline = self._deadlines.begin()
        try:
            with deadline:
                return await self._call(**arguments)
        except asyncio.CancelledError as error:
            if not deadline.passed:
                raise
            raise self._timed_out(invocation, failed_line(error, self._root)) from None

    async def _in_thread(self, arguments: dict[str, Any], invocation: Invocation) -> Any:
        job = self._threads.run(lambda: self._call(**arguments))
        if self._deadlines is None:
            return await job.future
        deadline = self._deadlines.begin()
        try:
            with deadline:
                return await job.future
        except asyncio.CancelledError:
            if not deadline.passed:
                raise
        if job.future.done() and not job.future.cancelled():
            return job.future.result()  # in time: the loop was late
        raise self._gave_up(job, invocation)

    def _gave_up(self, job: Job, invocation: Invocation) -> FunctionTimeout:
        """A synchronous function can not be stopped: it keeps its thread, and gets no event until it returns."""
        if not self._threads.give_up(job, self._returned):
            late = ". It never began, as all threads were busy; PYTHON_THREADPOOL_THREAD_COUNT says how many there are"
            return self._timed_out(invocation, "", late if job.is_dropped else "")
        self._held.threads += 1
        return self._timed_out(
            invocation,
            running_line(job.thread_id, self._root),
            ". It keeps its thread, and gets no further event until it returns",
        )

    def _returned(self) -> None:
        self._held.threads -= 1
        self._log.warning("Function '%s' has returned after its time-out, and gets events again", self.function.name)

    def _timed_out(self, invocation: Invocation, line: str, more: str = "") -> FunctionTimeout:
        return FunctionTimeout(
            f"Timeout value of {_clock(self._timeout)} exceeded by function 'Functions.{self.function.name}' "
            f"(Id: '{invocation.id}')" + (f" at {line}" if line else "") + more
        )

    # --- the end -------------------------------------------------------------------------------------------------

    def _failed(self, outcome: Outcome, error: BaseException) -> None:
        outcome.status = Status.TIMED_OUT if isinstance(error, FunctionTimeout) else Status.FAILED
        outcome.error = error
        outcome.value = None

    def _returned_to_nobody(self) -> EdgefnError:
        return EdgefnError(
            f"{self.function.place}: function '{self.function.name}' without a $return binding returned a non-None "
            "value; bind an output to $return, or return nothing"
        )

    def _refused(self, event: Event) -> Outcome:
        error = StillRunning(
            f"{self.function.place}: function '{self.function.name}' gets no event while an invocation that timed out "
            "holds its thread; let its calls have time-outs of their own, or make it `async def`"
        )
        return Outcome(Status.FAILED, error=error, is_open=True)

    def _is_cancelled(self) -> bool:
        """Whether the task itself is being cancelled; else the user's code raised CancelledError."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0


async def _sent(encoded: Sequence[tuple[Output, Any]], event: Event) -> None:
    for output, value in encoded:
        await output.send(value, event)


def _clock(seconds: float | None) -> str:
    whole, rest = divmod(seconds or 0.0, 1)
    hours, minutes = divmod(int(whole), 3600)
    return f"{hours:02d}:{minutes // 60:02d}:{minutes % 60:02d}" + (f"{rest:.3f}"[1:] if rest else "")
