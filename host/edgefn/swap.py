"""Puts functions into the place of those that run: made ready beside them, then swapped, all of them or none.

    plan (what stays, what changes in place) -> open what is new -> stop listeners of changed triggers -> swap -> close

What an event runs is exchanged behind a listener whose trigger is the same: it goes on listening, nothing that waits is
lost, and invocations in flight end on what they began with. Sessions and sources with the same options stay open.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from edgefn.contracts import Input, Listener, Output
from edgefn.errors import EdgefnError
from edgefn.function import Binding, Function

if TYPE_CHECKING:
    from edgefn.host import Host
    from edgefn.invocation import Invoker
    from edgefn.running import Running

log = logging.getLogger("edgefn.host")

Opened = Input | Output
T = TypeVar("T", bound=Opened)
OUT_OF_USE = ("error", "disabled")
"""States of a function for which nothing is open."""


@dataclass(slots=True)
class Plan:
    """What is to become of one function that runs, or may run from now on."""

    running: Running
    function: Function
    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: dict[str, Output] = field(default_factory=dict)
    fresh: list[Opened] = field(default_factory=list)
    """What was opened for it."""
    changes: list[Callable[[], None]] = field(default_factory=list)
    """What is changed in place."""
    renews: bool = False
    """Whether another invoker is needed."""
    listens: bool = False
    """Whether another listener is needed."""
    listener: Listener | None = None

    @property
    def stops(self) -> bool:
        """Whether the function is to be taken out of use, or its listener to be replaced."""
        return self.running.state not in OUT_OF_USE and (self.function.disabled or self.listens)


class Swaps:
    """Swaps functions of one host, one swap after the other."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._turn = asyncio.Lock()
        self._anew: Callable[[Binding], bool] = lambda binding: False
        self._retiring: dict[asyncio.Task[None], list[Opened]] = {}

    async def swap(self, functions: Sequence[Function], anew: Callable[[Binding], bool] | None = None) -> None:
        """See ``Host.swap``."""
        async with self._turn:
            wanted = {function.name: function for function in functions}
            self._anew = anew or (lambda binding: False)
            plans: list[Plan] = []
            try:
                for running in self._host.running:
                    if (function := wanted.get(running.function.name)) is not None and _concerns(running, function):
                        plans.append(Plan(running, function))
                        await self._prepare(plans[-1])
                await self._exchange_listeners(plans)
            except BaseException:
                await self._close(opened for plan in plans for opened in plan.fresh)
                raise
            for plan in plans:
                self._commit(plan)

    async def close(self) -> None:
        """Closes what was replaced and is still in use."""
        retiring, self._retiring = self._retiring, {}
        for task in retiring:
            task.cancel()
        await self._close(opened for several in retiring.values() for opened in several)

    # --- making ready --------------------------------------------------------------------------------------------

    async def _prepare(self, plan: Plan) -> None:
        """Keeps, changes or opens what the function needs; raises EdgefnError."""
        function, running, kinds = plan.function, plan.running, self._host.app.kinds
        if function.disabled:
            return
        is_new = running.state in OUT_OF_USE
        plan.renews = is_new or _runs_differently(running.function, function)
        for binding in function.inputs:
            kind = kinds.inputs[binding.type.lower()]
            plan.inputs[binding.name] = await self._ready(plan, binding, running.inputs, kind)
        for binding in function.outputs:
            taking = kinds.outputs[binding.type.lower()]
            plan.outputs[binding.name] = await self._ready(plan, binding, running.outputs, taking)
        plan.renews |= _exchanged(running.inputs, plan.inputs) or _exchanged(running.outputs, plan.outputs)
        plan.listens = is_new or not self._listener_stays(plan)

    async def _ready(self, plan: Plan, binding: Binding, known: dict[str, T], kind: Any) -> T:
        """What is open for a binding already, with the change that it needs; else another one."""
        opened = known.get(binding.name)
        before = next((b for b in plan.running.function.bindings if b.name == binding.name), None)
        if opened is not None and before is not None and before.type == binding.type:
            adopt = getattr(opened, "adopt", None)
            change = self._asked(lambda: adopt(binding), binding) if adopt is not None else None
            if change is not None and not self._anew(binding):
                plan.changes.append(change)
                return opened
            if _alike(before, binding) and not self._anew(binding):
                return opened
        try:
            fresh: T = await kind.open(binding)
        except EdgefnError:
            raise
        except Exception as error:
            raise _plugin_failed(binding, error) from error
        plan.fresh.append(fresh)
        return fresh

    def _listener_stays(self, plan: Plan) -> bool:
        before, after = plan.running.function.trigger, plan.function.trigger
        assert before is not None
        assert after is not None
        stays = _alike(before, after)
        if stays and before.annotation == after.annotation:
            return True
        plan.renews = True
        self._asked(lambda: self._host.app.kinds.triggers[after.type.lower()].convert(after), after)
        adopt = getattr(plan.running.listener, "adopt", None)
        change = self._asked(lambda: adopt(after), after) if adopt is not None and before.type == after.type else None
        if change is not None:
            plan.changes.append(change)
        return stays or change is not None

    def _asked(self, ask: Callable[[], Any], binding: Binding) -> Any:
        try:
            return ask()
        except EdgefnError:
            raise
        except Exception as error:
            raise _plugin_failed(binding, error) from error

    async def _exchange_listeners(self, plans: Sequence[Plan]) -> None:
        """Stops what is to be stopped, and makes new listeners; where one can not be made, the old ones go on."""
        stopping = [plan.running for plan in plans if plan.stops]
        listening = [running for running in stopping if running.task is not None and not running.task.done()]
        try:
            await self._host.end(stopping)
            for running in listening:
                running.listener = None  # one whose task never began has not given back what it is to listen to
            for plan in plans:
                self._unsubscribe_former(plan)
            for plan in plans:
                if plan.listens:
                    assert plan.function.trigger is not None
                    plan.listener = self._made(plan.function, plan.function.trigger)
        except BaseException:
            self._go_on_as_before(plans, listening)
            raise

    def _go_on_as_before(self, plans: Sequence[Plan], listening: Sequence[Running]) -> None:
        """Listens as before to what was listened to, and has messages kept for the same functions."""
        for plan in plans:
            if plan.listener is not None and (plan.running.state == "disabled" or _is_of_another_type(plan)):
                self._unsubscribe(plan.function)
            self._host.subscribe(plan.running)
        for running in listening:
            try:
                running.listener = self._host.listener(running.function)
            except Exception as error:  # a plugin's own fault: it could listen before
                running.fail(str(error) if isinstance(error, EdgefnError) else f"{type(error).__name__}: {error}")
            else:
                self._host.begin(running)

    def _unsubscribe_former(self, plan: Plan) -> None:
        """Messages of a trigger that is of another type now are not for the function any more."""
        if _is_of_another_type(plan):
            self._unsubscribe(plan.running.function)

    def _made(self, function: Function, trigger: Binding) -> Listener:
        listener: Listener = self._asked(lambda: self._host.listener(function), trigger)
        return listener

    # --- the swap itself, which can not fail -----------------------------------------------------------------------

    def _commit(self, plan: Plan) -> None:
        running, before = plan.running, plan.running.invoker
        for change in plan.changes:
            try:
                change()
            except Exception as error:  # a plugin's own fault: what was decided is carried out for all others
                what = f"{type(error).__name__}: {error}"
                log.error("%s: a change in place failed, and is not made: %s", plan.function.place, what)
        old: list[Opened] = [*running.inputs.values(), *running.outputs.values()]
        kept = {id(opened) for opened in (*plan.inputs.values(), *plan.outputs.values())}
        functions = self._host.app.functions
        functions[functions.index(running.function)] = plan.function
        running.function, running.inputs, running.outputs = plan.function, plan.inputs, plan.outputs
        if plan.function.disabled:
            self._unsubscribe(plan.function)
            running.state, running.invoker, running.listener, running.task = "disabled", None, None, None
        elif plan.renews:
            running.invoker = self._host.invoker(running, before)
        if plan.listener is not None:
            running.listener = plan.listener
            self._host.begin(running)
        self._retire(before, [opened for opened in old if id(opened) not in kept])

    def _unsubscribe(self, function: Function) -> None:
        if function.trigger is not None:
            kind = self._host.app.kinds.triggers[function.trigger.type.lower()]
            if (unsubscribe := getattr(kind, "unsubscribe", None)) is not None:
                unsubscribe(function.trigger)

    def _retire(self, invoker: Invoker | None, opened: list[Opened]) -> None:
        """Closes what is not needed any more, when the invocations that began with it have ended."""
        if not opened:
            return

        async def retire() -> None:
            if invoker is not None:
                await invoker.idle()
            await self._close(opened)

        task = asyncio.create_task(retire(), name="retire")
        self._retiring[task] = opened
        task.add_done_callback(lambda task: self._retiring.pop(task, None))

    async def _close(self, several: Iterable[Opened]) -> None:
        for opened in list(several):
            try:
                await opened.close()
            except Exception as error:
                log.warning("Closing failed: %s: %s", type(error).__name__, error)


def _is_of_another_type(plan: Plan) -> bool:
    """Whether the trigger is to be one of another type."""
    former, new = plan.running.function.trigger, plan.function.trigger
    return former is not None and new is not None and former.type.lower() != new.type.lower()


def _concerns(running: Running, function: Function) -> bool:
    """Whether the swap has anything to do with a function: not where it stays in error, or disabled."""
    if function.errors:
        return False
    if running.state == "disabled":
        return not function.disabled
    return running.state != "error" or differs(running.function, function)


def differs(one: Function, other: Function) -> bool:
    """Whether a function is declared otherwise."""
    return (
        len(one.bindings) != len(other.bindings)
        or not all(map(_alike, one.bindings, other.bindings))
        or one.disabled != other.disabled
        or _runs_differently(one, other)
    )


def _runs_differently(one: Function, other: Function) -> bool:
    return (
        inspect.unwrap(one.call or differs) is not inspect.unwrap(other.call or differs)
        or (one.timeout, one.retry, one.wants_context) != (other.timeout, other.retry, other.wants_context)
        or [b.annotation for b in one.bindings] != [b.annotation for b in other.bindings]
    )


def _exchanged(known: Mapping[str, Opened], wanted: Mapping[str, Opened]) -> bool:
    return known.keys() != wanted.keys() or any(known[name] is not opened for name, opened in wanted.items())


def _alike(one: Binding, other: Binding) -> bool:
    return (one.name, one.type, one.is_async, one.options) == (other.name, other.type, other.is_async, other.options)


def _plugin_failed(binding: Binding, error: Exception) -> EdgefnError:
    return EdgefnError(f"{binding.where()}: its plugin failed: {type(error).__name__}: {error}")
