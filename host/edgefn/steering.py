"""The direct methods of the host itself: how it is, what it logged, run this now, drain, resume, start again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from edgefn import __version__
from edgefn.by_hand import event_by_hand
from edgefn.contracts import MethodReply, Outcome, Status
from edgefn.errors import EdgefnError, SettingError, listing, nearest
from edgefn.hookspecs import hookimpl
from edgefn.log_levels import LEVELS, level_named
from edgefn.methods import Answer, refusal
from edgefn.outward import fitting
from edgefn.redaction import redact, redacted
from edgefn.values import json_bytes

if TYPE_CHECKING:
    from edgefn.host import Host
    from edgefn.running import Running

MOST = 120_000
"""Bytes of an answer; IoT Hub takes 128 KB."""
REASON = "This function was programmatically called by a direct method."
LINES = 100
"""Log lines that are given where nobody asks for more or fewer."""
OF_LOGS = ("lines", "level", "function", "invocation")
OF_INVOKE = ("function", "input")
LONGEST_INTERVAL = 366 * 86_400


class WrongPayloadError(Exception):
    """A payload that a method can not use; its text says what would be right."""


class Steering:
    """The methods of one host."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._began = time.monotonic()

    def answers(self) -> dict[str, Answer]:
        table: dict[str, Answer] = {
            "ping": self._ping,
            "status": self._status,
            "restart": self._restart,
            "drain": self._drain,
            "resume": self._resume,
            "invoke": self._invoke,
            "getLogs": self._logs,
            "SetTelemetryInterval": self._interval,
        }
        return {name: _checking(answer) for name, answer in table.items()}

    # --- the host ------------------------------------------------------------------------------------------------

    async def _ping(self, payload: Any) -> MethodReply:
        uptime = round(time.monotonic() - self._began, 1)
        state = self._host.state
        return MethodReply(200, {"status": "alive", "version": __version__, "uptime": uptime, "state": state})

    async def _status(self, payload: Any) -> MethodReply:
        """The host's status; of a large one what matters most."""
        plain = orjson.loads(orjson.dumps(self._host.status(), default=str, option=orjson.OPT_NON_STR_KEYS))
        whole = {"version": __version__, **redacted(plain)}
        functions: Mapping[str, Mapping[str, Any]] = whole["functions"]

        def only(*names: str) -> Callable[[], dict[str, Any]]:
            cut = {name: {key: value[key] for key in names} for name, value in functions.items()}
            rest = {key: whole[key] for key in ("version", "state", "uptime", "hub")}
            return lambda: {**rest, "cut": True, "functions": cut}

        figures = ("state", "errors", "invocations", "failed", "timed_out", "last_error")
        return MethodReply(
            200, fitting(MOST, lambda: whole, only(*figures), only("state"), lambda: {**only()(), "functions": {}})
        )

    async def _restart(self, payload: Any) -> MethodReply:
        if self._host.restart is None:
            return refusal(501, "nobody would start this host again; it runs inside another program")
        self._host.restart()
        return refusal(202, "The host drains, and starts again")

    async def _drain(self, payload: Any) -> MethodReply:
        if self._host.state == "running":
            self._host.operation.soon(self._host.drain(), "drain")
            await asyncio.sleep(0)
        return MethodReply(202, {"state": self._host.state})

    async def _resume(self, payload: Any) -> MethodReply:
        if self._host.state == "drained":
            await self._host.resume()
        status = 200 if self._host.state == "running" else 409
        return MethodReply(status, {"state": self._host.state})

    async def _logs(self, payload: Any) -> MethodReply:
        """The newest lines, oldest first, as many as are asked for and fit."""
        wanted = _object(payload, OF_LOGS, '{"lines": 100, "level": "warning", "function": "...", "invocation": "..."}')
        count = wanted.get("lines", LINES)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise WrongPayloadError(f"lines should be a whole number from 1, found {count!r}")
        chosen = self._host.operation.ring.newest(
            _level(wanted.get("level", "debug")), str(wanted.get("function", "")), str(wanted.get("invocation", ""))
        )
        lines: list[Any] = []
        size = 0
        for line in chosen:
            size += len(line.text.encode()) + 1
            if len(lines) == count or size > MOST:
                break
            lines.append(orjson.loads(line.text))
        return MethodReply(200, {"lines": lines[::-1]})

    # --- functions -----------------------------------------------------------------------------------------------

    async def _invoke(self, payload: Any) -> MethodReply:
        """Runs a function and waits for its end; its trigger makes an event of the input, a text or JSON."""
        wanted = _object(payload, OF_INVOKE, '{"function": "...", "input": ...}')
        running = self._named(str(wanted.get("function", "")))
        if running is None:
            names = [each.function.name for each in self._host.running]
            name = str(wanted.get("function", ""))
            return refusal(404, f"there is no function '{name}'{nearest(name, names)}; functions: {listing(names)}")
        if running.invoker is None or self._host.state != "running":
            return refusal(409, f"function '{running.function.name}' does not run: {running.state}")
        given = wanted.get("input", "")
        text = given if isinstance(given, str) else orjson.dumps(given).decode()
        kinds, function = self._host.app.kinds, running.function
        try:
            event = await asyncio.to_thread(event_by_hand, kinds, function, text, REASON)
        except (EdgefnError, ValueError) as error:
            raise WrongPayloadError(str(error)) from None
        return _told(await running.emit(event))

    def _named(self, name: str) -> Running | None:
        return next((each for each in self._host.running if each.function.name.lower() == name.lower()), None)

    async def _interval(self, payload: Any) -> MethodReply:
        """Sets the interval of all outputs that have one, or of those to one output of the module."""
        wanted = payload if isinstance(payload, Mapping) else {"interval": payload}
        seconds = _seconds(wanted.get("interval"))
        output = str(wanted.get("output", ""))
        if seconds is None or wanted.keys() - {"interval", "output"}:
            return refusal(400, "Invalid parameter")
        patch = dict(self._intervals(seconds, output))
        if not patch:
            return refusal(404, f"there is no output '{output}'" if output else "no output has an interval")
        try:
            await self._host.operation.overlay.set({"functions": patch})
        except EdgefnError as error:
            return refusal(409, str(error))
        return refusal(200, "Executed direct method SetTelemetryInterval")

    def _intervals(self, seconds: int, output: str) -> Iterator[tuple[str, Any]]:
        """The patch of each function with outputs that are meant."""
        for running in self._host.running:
            patch = {
                binding.name.replace("$", ""): {"interval": seconds}
                for binding in running.function.outputs
                if (found := getattr(binding.options, "interval", None)) is not None
                and (output.lower() == str(binding.declared.get("outputName", "")).lower() if output else found > 0)
            }
            if patch:
                yield running.function.name, patch


def _checking(answer: Answer) -> Answer:
    """The method, which answers 400 to a payload that it can not use."""

    async def checked(payload: Any) -> MethodReply:
        try:
            return await answer(payload)
        except WrongPayloadError as error:
            return refusal(400, str(error))

    return checked


def _object(payload: Any, known: tuple[str, ...], right: str) -> Mapping[str, Any]:
    """The payload where it is an object of known names, or nothing; raises WrongPayloadError."""
    wanted = {} if payload is None or payload == "" else payload
    if not isinstance(wanted, Mapping) or wanted.keys() - set(known):
        raise WrongPayloadError(f"the payload should be {right}")
    return wanted


def _level(name: Any) -> int:
    try:
        return level_named(str(name), "level")
    except SettingError:
        raise WrongPayloadError(f"level should be one of {listing(LEVELS).lower()}; found {name!r}") from None


def _seconds(value: Any) -> int | None:
    """Whole seconds from 1 on, as a number or as text; None for anything else."""
    try:
        number = None if isinstance(value, bool) else int(value) if isinstance(value, int | str) else None
    except ValueError:
        return None
    if isinstance(value, float) and value.is_integer():
        number = int(value)
    return number if number is not None and 1 <= number <= LONGEST_INTERVAL else None


def _told(outcome: Outcome) -> MethodReply:
    """How an invocation ended, and what the function returned."""
    answer: dict[str, Any] = {"status": outcome.status.value, "duration_ms": round(outcome.duration * 1000, 2)}
    if outcome.error is not None:
        answer["error"] = redact(f"{type(outcome.error).__name__}: {outcome.error}")[:1000]
    try:
        answer["return"] = orjson.loads(json_bytes(outcome.value))
    except TypeError:
        answer["return"] = str(outcome.value)
    return MethodReply({Status.OK: 200, Status.TIMED_OUT: 504}.get(outcome.status, 500), answer)


@hookimpl
def edgefn_methods(host: Host) -> Mapping[str, Answer]:
    return Steering(host).answers()
