"""What one invocation does, seen through the whole spine: listener, binding, call, outputs, outcome."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from edgefn.contracts import Event, Status
from edgefn.host import Host
from edgefn.logs import invocations_in_log_lines
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN

RunIn = Callable[..., Any]


async def ran(app_of: AppIn, code: str, *, ticks: str = "", keep: str = "") -> dict[str, Any]:
    """The status of function ``f`` of the module after its ticks, with kept values and outcomes in order of ticks."""
    module = f"{HEAD}{code}"
    app = app_of({"functions/ticks.py": PLUGIN, "functions/f.py": module})
    host = Host(app)
    await host.start()
    async with asyncio.timeout(20):
        await host.wait_for_end()
    status = host.status()["functions"]["f"]
    await host.stop()
    status["kept"] = status["outputs"].get("out", status["outputs"].get("$return", {})).get("kept")
    status["outcomes"] = [outcome for _, outcome in sorted(status["trigger"].get("outcomes", []), key=lambda o: o[0])]
    return status


TRIGGER = '@app.generic_trigger(arg_name="tick", type="ticksTrigger"{})\n'
KEEP = '@app.generic_output_binding(arg_name="{}", type="keep"{})\n'


async def test_an_async_function_runs_for_each_event_and_its_outputs_are_sent(app_of: AppIn) -> None:
    code = f"{TRIGGER.format('')}{KEEP.format('out', '')}async def f(tick, out):\n    out.set(tick * 10)"
    assert (await ran(app_of, code))["kept"] == [0, 10, 20]


async def test_a_synchronous_function_runs_in_a_thread_of_its_own(app_of: AppIn) -> None:
    code = TRIGGER.format("") + KEEP.format("out", "") + "def f(tick, out): out.set(threading.current_thread().name)"
    assert set((await ran(app_of, code))["kept"]) == {"edgefn-function"}


async def test_the_return_value_goes_to_the_binding_named_return(app_of: AppIn) -> None:
    code = TRIGGER.format("") + KEEP.format("$return", "") + "def f(tick): return tick + 1"
    assert (await ran(app_of, code))["kept"] == [1, 2, 3]


async def test_nothing_is_sent_for_an_output_that_is_not_set_or_set_to_none(app_of: AppIn) -> None:
    code = TRIGGER.format("") + KEEP.format("out", "") + "def f(tick, out):\n    if tick: out.set(None)"
    assert (await ran(app_of, code))["kept"] == []


async def test_the_last_value_that_is_set_counts_and_can_be_read_back(app_of: AppIn) -> None:
    body = "def f(tick, out):\n    out.set(1)\n    out.set(out.get() + 1)"
    assert (await ran(app_of, TRIGGER.format("") + KEEP.format("out", "") + body))["kept"] == [2, 2, 2]


async def test_outputs_leave_in_the_order_of_events_however_many_are_in_flight(app_of: AppIn) -> None:
    body = "async def f(tick, out):\n    await asyncio.sleep((5 - tick % 6) * 0.002)\n    out.set(tick)"
    code = TRIGGER.format(", count=60, in_flight=6") + KEEP.format("out", "") + body
    assert (await ran(app_of, code))["kept"] == list(range(60))


async def test_outputs_of_threads_leave_in_the_order_of_events_too(app_of: AppIn) -> None:
    body = "def f(tick, out):\n    time.sleep((3 - tick % 4) * 0.002)\n    out.set(tick)"
    code = TRIGGER.format(", count=40, in_flight=4") + KEEP.format("out", "") + body
    assert (await ran(app_of, code))["kept"] == list(range(40))


@pytest.mark.parametrize("how", ["async def", "def"])
@pytest.mark.parametrize(
    "error", ["ValueError('boom')", "SystemExit(3)", "asyncio.CancelledError()", "StopAsyncIteration()"]
)
async def test_a_function_that_raises_fails_that_invocation_alone(app_of: AppIn, how: str, error: str) -> None:
    body = f"{how} f(tick, out):\n    out.set(tick)\n    if tick == 1: raise {error}"
    status = await ran(app_of, TRIGGER.format("") + KEEP.format("out", "") + body)
    assert [outcome.status for outcome in status["outcomes"]] == [Status.OK, Status.FAILED, Status.OK]
    assert status["kept"] == [0, 2]


async def test_the_log_has_the_users_traceback_and_no_frame_of_the_host(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    await ran(app_of, TRIGGER.format(", count=1") + "async def f(tick):\n    raise ValueError('boom')")
    text = next(r.getMessage() for r in caplog.records if "Failed" in r.getMessage())
    assert "Exception: ValueError: boom" in text
    assert "functions/f.py" in text
    assert "invocation.py" not in text


async def test_an_output_that_can_not_be_sent_fails_the_invocation(app_of: AppIn) -> None:
    body = "async def f(tick, out): out.set(tick)"
    status = await ran(app_of, TRIGGER.format("") + KEEP.format("out", ", fail_on=1") + body)
    assert [str(outcome.error) for outcome in status["outcomes"]] == ["None", "the shelf is full", "None"]
    assert status["kept"] == [0, 2]


async def test_a_value_that_can_not_be_encoded_is_an_error_on_the_users_line(app_of: AppIn) -> None:
    status = await ran(app_of, TRIGGER.format("") + KEEP.format("out", "") + "async def f(tick, out): out.set({1, 2})")
    assert status["failed"] == 3
    assert "a set can not be kept" in status["last_error"]


async def test_a_value_that_is_returned_and_can_not_be_encoded_is_an_error_of_the_function(app_of: AppIn) -> None:
    code = '@app.edge_hub_output("$return", "out")\nasync def f(tick): return {1, 2}'
    status = await ran(app_of, TRIGGER.format("") + code)
    assert status["failed"] == 3
    assert re.match(r"functions/f.py:\d+: function 'f' returned: a set can not be sent as JSON", status["last_error"])


async def test_an_async_function_past_its_timeout_is_stopped_and_says_on_which_line(app_of: AppIn) -> None:
    body = "async def f(tick, out):\n    out.set(tick)\n    if tick == 1:\n        await asyncio.sleep(60)"
    limit = "@app.function_timeout(1)\n"
    status = await ran(app_of, TRIGGER.format("") + limit + KEEP.format("out", "") + body)
    assert [outcome.status for outcome in status["outcomes"]] == [Status.OK, Status.TIMED_OUT, Status.OK]
    assert "Timeout value of 00:00:01 exceeded by function 'Functions.f'" in status["last_error"]
    assert "functions/f.py:11 `await asyncio.sleep(60)`" in status["last_error"]
    assert status["kept"] == [0, 2]


async def test_a_thread_that_hangs_gets_no_event_until_it_returns_and_says_on_which_line(app_of: AppIn) -> None:
    body = "GATE = threading.Event()\n"
    body += TRIGGER.format(", count=4, in_flight=1") + "@app.function_timeout(1)\n" + KEEP.format("out", "")
    body += "def f(tick, out):\n    out.set(tick)\n    if tick == 1: GATE.wait(60)\n"
    status = await ran(app_of, body)
    assert [outcome.status.value for outcome in status["outcomes"]] == ["ok", "timed_out", "failed", "failed"]
    assert "functions/f.py:11 `if tick == 1: GATE.wait(60)`" in str(status["outcomes"][1].error)
    assert "gets no event while" in str(status["outcomes"][2].error)


async def test_every_log_line_has_the_invocation_also_from_threads_and_pools_of_the_user(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    body = """
from concurrent.futures import ThreadPoolExecutor
POOL = ThreadPoolExecutor(1)
async def f(tick, context):
    say = lambda where: logging.getLogger("mine").warning("%s %s", where, context.invocation_id)
    say("loop")
    thread = threading.Thread(target=say, args=("thread",))
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.wrap_future(POOL.submit(say, "pool"))
    await asyncio.create_task(asyncio.to_thread(say, "task"))
"""
    with invocations_in_log_lines():
        status = await ran(
            app_of, "\n".join([body.split("async")[0], TRIGGER.format(""), "async" + body.split("async", 1)[1]])
        )
    lines = [record for record in caplog.records if record.name == "mine"]
    assert status["failed"] == 0
    assert len(lines) == 12
    assert all(record.invocation_id and record.getMessage().endswith(record.invocation_id) for record in lines)
    assert len({record.invocation_id for record in lines}) == 3


async def test_a_call_that_returns_in_time_counts_though_the_loop_hears_of_it_too_late(app_of: AppIn) -> None:
    """What holds the loop up is another function, or the machine; the function gets its next event all the same."""
    code = TRIGGER.format(", endless=True, count=0") + KEEP.format("out", "")
    code = f"GO, DONE = threading.Event(), threading.Event()\n{code}@app.function_timeout(1)\n"
    code += "def f(tick, out):\n    GO.wait(10)\n    out.set(tick)\n    DONE.set()\n"
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": HEAD + code}))
    await host.start()
    module, invoker = host.app.manager.get_plugin("functions.f"), host.running[0].invoker
    assert invoker is not None
    first = asyncio.ensure_future(invoker.emit(Event("first")))
    await asyncio.sleep(0.01)
    module.GO.set()
    module.DONE.wait(10)
    time.sleep(1.1)  # noqa: ASYNC251  the loop stands still past the time-out
    outcome, stuck = await first, invoker.stuck
    second = await invoker.emit(Event("second"))
    await host.stop()
    assert (outcome.status, stuck, second.status) == (Status.OK, 0, Status.OK)


async def test_a_call_that_waits_for_a_thread_past_its_time_out_never_runs_and_holds_nothing(app_of: AppIn) -> None:
    ticks = TRIGGER.format(", endless=True, count=0")
    code = f"GO, RAN = threading.Event(), []\n{ticks}def f(tick): GO.wait(10)\n"
    code += f"{ticks}@app.function_timeout(1)\ndef g(tick): RAN.append(tick)\n"
    files = {"functions/ticks.py": PLUGIN, "functions/f.py": HEAD + code}
    host = Host(app_of(files, PYTHON_THREADPOOL_THREAD_COUNT="1"))
    await host.start()
    module = host.app.manager.get_plugin("functions.f")
    busy, waits = (running.invoker for running in host.running)
    assert busy is not None
    assert waits is not None
    holding = asyncio.ensure_future(busy.emit(Event("holds the thread")))
    await asyncio.sleep(0)
    late = await waits.emit(Event("late"))
    module.GO.set()
    await holding
    outcome = await waits.emit(Event("next"))
    await host.stop()
    assert (late.status, outcome.status, module.RAN) == (Status.TIMED_OUT, Status.OK, ["next"])
    assert "It never began, as all threads were busy" in str(late.error)


async def test_context_tells_the_function_and_its_folder(app_of: AppIn) -> None:
    body = "def f(tick, out, context): out.set([context.function_name, context.function_directory])"
    name, directory = (await ran(app_of, TRIGGER.format("") + KEEP.format("out", "") + body))["kept"][0]
    assert name == "f"
    assert directory.endswith("functions")


async def test_context_has_the_trace_in_both_spellings(app_of: AppIn) -> None:
    body = "def f(tick, out, context):\n    of = context.trace_context\n    out.set([of.trace_parent, of.Traceparent])"
    new, old = (await ran(app_of, TRIGGER.format("") + KEEP.format("out", "") + body))["kept"][0]
    assert new == old
    assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", new)


OWN_THREAD = """
ASKED = queue.SimpleQueue()
def own():
    while True:
        storage, name, done = ASKED.get()
        storage.invocation_id = name
        logging.getLogger("mine").warning("of %s", name)
        done.set()
threading.Thread(target=own, daemon=True).start()
"""


async def test_a_thread_of_the_module_that_names_the_invocation_has_it_on_its_lines(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    body = (
        "def f(tick, out, context):\n    done = threading.Event()\n"
        "    ASKED.put((context.thread_local_storage, context.invocation_id, done))\n    assert done.wait(10)"
    )
    with invocations_in_log_lines():
        await ran(app_of, "import queue\n" + OWN_THREAD + TRIGGER.format("") + KEEP.format("out", "") + body)
    lines = [record for record in caplog.records if record.name == "mine"]
    assert [record.getMessage() for record in lines] == [f"of {record.invocation_id}" for record in lines]  # type: ignore[attr-defined]
    assert len(lines) == 3


async def test_a_message_that_is_no_json_fails_with_the_parameter_named(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    from edgefn.contracts import EdgeMessage

    caplog.set_level(logging.ERROR)
    code = f"{HEAD}@app.edge_hub_trigger('m', 'input1')\ndef f(m: dict): ..."
    app = app_of({"functions/f.py": code})
    host = Host(app)
    await host.start()
    await app.services.spool.inbox.on_input(EdgeMessage(b"no json", input_name="input1"))
    await app.services.spool.inbox.idle()
    await host.stop()
    assert "functions/f.py:6: the event does not fit parameter 'm' of function 'f'" in caplog.text
    assert "invocation.py" not in caplog.text


async def test_a_function_with_many_events_says_an_error_at_one_line_the_1st_2nd_4th_and_8th_time(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = PLUGIN.replace("Ticks, logging.INFO", "Ticks, logging.DEBUG")
    code = f"{HEAD}{TRIGGER.format(', count=9')}async def f(tick):\n    raise ValueError(f'boom {{tick}}')"
    host = Host(app_of({"functions/ticks.py": plugin, "functions/f.py": code}))
    await host.start()
    await host.wait_for_end()
    await host.stop()
    said = [record.getMessage().splitlines()[0] for record in caplog.records if "Failed" in record.getMessage()]
    assert len(said) == 4
    assert "8 times by now" in said[-1]
