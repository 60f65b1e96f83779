"""A function that runs once, when the host has started."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgefn.contracts import Event, Outcome, Status
from edgefn.host import Host
from edgefn.triggers.warm_up import WarmUpListener
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN


async def seen(app_of: AppIn, parameter: str) -> Any:
    """The status of a warm-up function with this parameter, after the host has started."""
    code = f"""{HEAD}
import azure.functions as func
from typing import Any
@app.warm_up_trigger("w")
@app.generic_output_binding(arg_name="out", type="keep")
def f({parameter}, out): out.set(w)
"""
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": code}))
    assert host.running[0].function.errors == []
    await host.start()
    async with asyncio.timeout(10):
        await host.wait_for_end()
    status = host.status()["functions"]["f"]
    await host.stop()
    return status


@pytest.mark.parametrize("parameter", ["w", "w: func.warmup.WarmUpContext", "w: Any"])
async def test_it_runs_once_and_gets_a_warm_up_context(app_of: AppIn, parameter: str) -> None:
    status = await seen(app_of, parameter)
    assert [type(value).__name__ for value in status["outputs"]["out"]["kept"]] == ["WarmUpContext"]
    assert (status["invocations"], status["state"], status["trigger"]) == (1, "ended", {"warm_up": "ok"})


@pytest.mark.parametrize(("annotation", "value"), [("str", "{}"), ("bytes", b"{}"), ("dict", {})])
async def test_text_bytes_or_dict_are_an_empty_object(app_of: AppIn, annotation: str, value: Any) -> None:
    assert (await seen(app_of, f"w: {annotation}"))["outputs"]["out"]["kept"] == [value]


async def test_a_listener_that_is_started_again_does_not_warm_up_again() -> None:
    events: list[Event] = []

    async def emit(event: Event) -> Outcome:
        events.append(event)
        return Outcome(Status.FAILED, error=ValueError("as functions do"))

    listener = WarmUpListener()
    await listener.listen(emit)
    await listener.listen(emit)
    assert [event.reason for event in events] == ["The host has started"]
    assert listener.status() == {"warm_up": "failed"}


@pytest.mark.parametrize(
    ("parameter", "options", "said"),
    [
        ("w: int", "", "a warm-up can not become int; func.warmup.WarmUpContext, str, bytes or dict would do"),
        ("w", ", delay=1", "unknown option 'delay' of warmupTrigger"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_function(app_of: AppIn, parameter: str, options: str, said: str) -> None:
    code = f"{HEAD}@app.warm_up_trigger('w'{options})\ndef f({parameter}): ..."
    assert said in "\n".join(app_of({"functions/f.py": code}).functions[0].errors)
