"""Lifetimes: what one bad function costs the others, how a host drains, what it says of itself."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.errors import SettingError
from edgefn.host import Host
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN

TICKS = "@app.generic_trigger(arg_name='tick', type='ticksTrigger'{})\n"
KEEP = "@app.generic_output_binding(arg_name='out', type='keep')\n"

BAD = {
    "functions/raises.py": f"{HEAD}{TICKS.format('')}async def raises(tick):\n    raise ValueError('boom')",
    "functions/hangs.py": f"{HEAD}{TICKS.format('')}@app.function_timeout(1)\ndef hangs(tick):\n    time.sleep(3)",
    "functions/blocks.py": f"{HEAD}TOLD = threading.Event()\n{TICKS.format(', count=1')}"
    "async def blocks(tick):\n    TOLD.wait(20)",
    "functions/syntax.py": "def f(:\n    pass",
    "functions/option.py": f"{HEAD}{TICKS.format(', cuont=3')}async def option(tick): ...",
    "functions/model.py": f"{HEAD}{TICKS.format('')}"
    "@app.inference_session(arg_name='s', model='missing.xml')\nasync def model(tick, s): ...",
}
HEALTHY = f"{HEAD}{TICKS.format(', count=300')}{KEEP}async def healthy(tick, out):\n    out.set(tick)"


class Freeing(logging.Handler):
    """Lets the function go on that blocks the event loop, as soon as that is told."""

    def emit(self, record: logging.LogRecord) -> None:
        if "has blocked the event loop" in record.getMessage():
            sys.modules["functions.blocks"].TOLD.set()


async def run_until_end(host: Host) -> dict[str, Any]:
    await host.start()
    async with asyncio.timeout(30):
        await host.wait_for_end()
    status = host.status()
    await host.stop()
    return status


async def test_a_healthy_function_loses_nothing_beside_bad_ones_and_each_of_these_is_reported(
    app_of: AppIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of({"functions/ticks.py": PLUGIN, "functions/healthy.py": HEALTHY, **BAD})
    monkeypatch.setattr(logging.getLogger("edgefn.host"), "handlers", [Freeing()])
    status = await run_until_end(Host(app))
    functions = status["functions"]
    assert functions["healthy"]["outputs"]["out"]["kept"] == list(range(300))
    assert app.errors == ["functions/syntax.py:1: SyntaxError: invalid syntax: def f(:"]
    assert functions["option"]["errors"] == [
        "functions/option.py:5: unknown option 'cuont' of ticksTrigger; did you mean 'count'?; "
        "known options: count, in_flight, endless"
    ]
    assert "functions/model.py:6: " in functions["model"]["errors"][0]
    assert "missing.xml" in functions["model"]["errors"][0]
    assert (functions["raises"]["failed"], functions["hangs"]["timed_out"]) == (3, 1)
    assert "functions/hangs.py:8 `time.sleep(3)`" in caplog.text
    assert "functions/blocks.py:8 `TOLD.wait(20)` has blocked the event loop" in caplog.text
    assert "functions/raises.py" in caplog.text


async def test_a_listener_that_breaks_is_started_again(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    broken = PLUGIN.replace(
        "    async def listen(self, emit):\n",
        "    async def listen(self, emit):\n"
        "        self.attempts = getattr(self, 'attempts', 0) + 1\n"
        "        if self.attempts == 1: raise OSError('the wire is cut')\n",
    )
    status = await run_until_end(Host(app_of({"functions/ticks.py": broken, "functions/healthy.py": HEALTHY})))
    assert status["functions"]["healthy"]["invocations"] == 300
    assert "The listener for function 'healthy' was unable to start" in caplog.text
    assert "the wire is cut" in caplog.text


async def test_a_listener_whose_clean_up_raises_is_not_started_again(app_of: AppIn) -> None:
    broken = PLUGIN.replace(
        "        await work(self.options.in_flight, take, handle)",
        "        try:\n            await work(self.options.in_flight, take, handle)\n"
        "        finally:\n            raise OSError('no clean end')",
    )
    code = f"{HEAD}{TICKS.format(', endless=True')}async def f(tick): ..."
    host = Host(app_of({"functions/ticks.py": broken, "functions/f.py": code}))
    await host.start()
    async with asyncio.timeout(5):
        await host.stop()
    assert [running.task.cancelled() for running in host.running if running.task] == [True]


async def test_stopping_lets_running_invocations_end_within_the_grace_time(app_of: AppIn) -> None:
    body = "BEGUN = asyncio.Event()\nENDED = []\n" + TICKS.format(", endless=True")
    body += "async def f(tick):\n    BEGUN.set()\n    await asyncio.sleep(0.2)\n    ENDED.append(tick)"
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": HEAD + body}))
    await host.start()
    module = host.app.manager.get_plugin("functions.f")
    await module.BEGUN.wait()
    await host.stop()
    assert module.ENDED == [0]
    assert host.status()["functions"]["f"]["state"] == "stopped"


async def test_an_invocation_that_outlives_the_grace_time_is_cancelled(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    body = (
        "BEGUN = asyncio.Event()\n"
        + TICKS.format("")
        + "async def f(tick):\n    BEGUN.set()\n    await asyncio.sleep(60)"
    )
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": HEAD + body}), grace=0.1)
    await host.start()
    await host.app.manager.get_plugin("functions.f").BEGUN.wait()
    async with asyncio.timeout(5):
        await host.stop()
    assert "Function 'f' did not end within 0.1 s" in caplog.text


async def test_messages_that_functions_caused_are_worked_off_before_the_host_stops(app_of: AppIn) -> None:
    routes = """{"version": "2.0", "extensions": {"edgeHub": {"routes": {
        "on": "FROM /messages/modules/edgefn/outputs/* INTO BrokeredEndpoint(\\"/modules/edgefn/inputs/in\\")"}}}}"""
    first = (
        TICKS.format(", count=50") + "@app.edge_hub_output('out', 'ticks')\nasync def first(tick, out): out.set(tick)"
    )
    second = "@app.edge_hub_trigger('m', 'in')\n" + KEEP + "def second(m: int, out): out.set(m)"
    host = Host(
        app_of({"host.json": routes, "functions/ticks.py": PLUGIN, "functions/f.py": f"{HEAD}{first}\n{second}"})
    )
    await host.start()
    await host.running[0].task  # type: ignore[misc]  # the ticks have ended; their messages may still wait
    await host.stop()
    assert host.status()["functions"]["second"]["outputs"]["out"]["kept"] == list(range(50))


async def test_messages_for_an_input_without_a_function_are_dropped_and_said_once(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    app = app_of({"functions/f.py": f"{HEAD}@app.edge_hub_trigger('m', 'heard')\ndef f(m): ..."})
    host = Host(app)
    await host.start()
    for _ in range(3):
        await app.services.spool.inbox.on_input(EdgeMessage(b"1", input_name="other"))
    await host.stop()
    assert [r.levelno for r in caplog.records if "input 'other'" in r.getMessage()] == [logging.WARNING]
    assert "inputs heard: heard" in caplog.text


async def test_a_wrong_thread_count_is_said_before_anything_starts(app_of: AppIn) -> None:
    host = Host(app_of({"functions/f.py": HEAD}, PYTHON_THREADPOOL_THREAD_COUNT="many"))
    with pytest.raises(SettingError, match="PYTHON_THREADPOOL_THREAD_COUNT should be a whole number, found 'many'"):
        await host.start()
