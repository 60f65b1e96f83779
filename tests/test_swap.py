"""Functions that take the place of those that run: what stays, what ends on the old one, what is undone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage, Event
from edgefn.host import Host
from edgefn.loader import App, load_app
from edgefn.running import Running
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, Steered, steered, until
from tests.ticks import PLUGIN

SHELF = """
CLOSED, FAIL = [], []

class Shelf(Options):
    number: int = 0

class ShelfOutput:
    def __init__(self, number): self.number, self.kept = number, []
    def encode(self, value): return value
    async def send(self, encoded, event): KEPT.append((self.number, encoded))
    def status(self): return {"number": self.number}
    async def close(self): CLOSED.append(self.number)

class ShelfKind:
    type, options = "shelf", Shelf
    def check(self, binding): ...
    async def open(self, binding):
        OPENED.append(binding.options.number)
        if binding.options.number == 13: raise OSError("the shelf is broken")
        if binding.options.number == 14: await asyncio.Event().wait()
        return ShelfOutput(binding.options.number)
    async def close(self): ...

class Fussy(Ticks):
    number: int = 0

class FussyKind(TicksKind):
    type, options = "fussyTrigger", Fussy
    def listener(self, binding):
        if binding.options.number == 13: raise OSError("no such number")
        return TicksListener(binding.options)

KEPT, OPENED = [], []

@edgefn.hookimpl
def edgefn_outputs(services): return [ShelfKind()]
@edgefn.hookimpl
def edgefn_triggers(services): return [FussyKind(), TicksKind()]
"""
TICKS = PLUGIN.partition("@edgefn.hookimpl")[0] + SHELF
GATED = """
GATES = {}
@app.direct_method_trigger("p", "put")
@app.generic_output_binding(arg_name="out", type="shelf")
async def put(p, out):
    GATES[p] = asyncio.Event()
    await GATES[p].wait()
    out.set(p)
"""


def app_with(app_of: AppIn, code: str = GATED, **files: str) -> App:
    return app_of({"host.json": QUICK, "functions/shelf.py": TICKS, "functions/f.py": HEAD + code, **files})


def running(host: Host, name: str) -> Running:
    return next(each for each in host.running if each.function.name == name)


async def begun(site: Steered, value: Any) -> asyncio.Task[Any]:
    """A call that waits at its gate."""
    call = asyncio.create_task(site.call("put", value))
    await until(lambda: value in site.module().GATES)
    return call


async def test_invocations_in_flight_end_on_what_they_began_with_and_that_is_closed_then(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        shelf, gates = site.module("shelf"), site.module().GATES
        old = await begun(site, "old")
        assert (await site.desire({"functions": {"put": {"out": {"number": 1}}}}))["status"] == "applied"
        new = await begun(site, "new")
        gates["new"].set()
        await new
        assert (shelf.KEPT, shelf.CLOSED) == ([(1, "new")], [])
        gates["old"].set()
        await old
        assert shelf.KEPT == [(1, "new"), (0, "old")]
        await until(lambda: shelf.CLOSED == [0])


async def test_what_was_replaced_and_is_still_in_use_is_closed_with_the_host(app_of: AppIn) -> None:
    async with steered(app_with(app_of), grace=0.1) as site:
        shelf = site.module("shelf")
        call = await begun(site, "old")
        await site.desire({"functions": {"put": {"out": {"number": 1}}}})
    assert sorted(shelf.CLOSED) == [0, 1]
    assert (await call)[0] == 503


ORDERED = """
GATE, STARTED = asyncio.Event(), []
@app.generic_trigger(arg_name="tick", type="ticksTrigger", count=2, in_flight=2, endless=True)
@app.generic_output_binding(arg_name="out", type="shelf")
async def f(tick, out):
    STARTED.append(tick)
    if tick == 0:
        await GATE.wait()
    out.set(tick)
"""


async def test_outputs_keep_the_order_of_the_events_over_a_swap(app_of: AppIn) -> None:
    async with steered(app_with(app_of, ORDERED)) as site:
        module, shelf = site.module(), site.module("shelf")
        await until(lambda: module.STARTED == [0, 1])
        await site.desire({"functions": {"f": {"out": {"number": 1}}}})
        later = asyncio.ensure_future(running(site.host, "f").emit(Event(2)))
        await until(lambda: len(module.STARTED) == 3)
        assert shelf.KEPT == []
        module.GATE.set()
        await later
        assert shelf.KEPT == [(0, 0), (0, 1), (1, 2)]


async def test_a_listener_whose_trigger_is_the_same_goes_on(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        before = running(site.host, "put").listener
        await site.desire({"functions": {"put": {"out": {"number": 1}}}})
        assert running(site.host, "put").listener is before
        assert site.function("put")["outputs"] == {"out": {"number": 1}}


async def test_nothing_is_opened_again_for_functions_that_stay_as_they_are(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        invoker = running(site.host, "put").invoker
        await site.desire({"settings": {"A": 1}, "mode": 2})
        assert running(site.host, "put").invoker is invoker
        assert site.module("shelf").OPENED == [0]


VIDEO = """
IDS = []
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&fps=30", real_time=True)
@app.inference_session("net", "stub:answers.json", task="classification")
@app.generic_output_binding(arg_name="out", type="shelf")
async def f(frame, net, out):
    IDS.append(frame.id)
"""


async def test_sessions_and_sources_stay_open_while_options_beside_them_change(app_of: AppIn) -> None:
    answers = json.dumps([[[0, "car", 0.9]]])
    async with steered(app_with(app_of, VIDEO, **{"answers.json": answers})) as site:
        ids = site.module().IDS
        await until(lambda: len(ids) > 2)
        session = running(site.host, "f").inputs["net"]
        await site.desire({"functions": {"f": {"maxFps": 15, "out": {"number": 1}}}})
        seen = len(ids)
        await until(lambda: len(ids) > seen + 2)
        assert running(site.host, "f").inputs["net"] is session
        assert ids == sorted(set(ids)), "the source went on, and did not begin anew"
        assert site.function("f")["trigger"]["reopened"] == 0


CLIP = """
IDS, GATE = [], asyncio.Event()
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&frames=60", max_in_flight=2)
async def f(frame):
    IDS.append(frame.id)
    if frame.id == 9:
        await GATE.wait()
"""


async def test_rates_of_a_source_change_in_place_and_no_frame_is_lost(app_of: AppIn) -> None:
    async with steered(app_with(app_of, CLIP)) as site:
        module = site.module()
        await until(lambda: 9 in module.IDS)
        await site.desire({"functions": {"f": {"everyNth": 5}}})
        module.GATE.set()
        await until(lambda: site.function("f")["state"] == "ended")
        figures = site.function("f")["trigger"]
        assert module.IDS[:10] == list(range(10))
        assert [number for number in module.IDS if number > 30] == [35, 40, 45, 50, 55]
        assert figures["frames"] == figures["emitted"] + figures["dropped"]["rate"] == 60
        assert figures["dropped"].keys() == {"rate"}


FUSSY = """
@app.generic_trigger(arg_name="tick", type="fussyTrigger", endless=True, count=1)
@app.generic_output_binding(arg_name="out", type="shelf")
async def fussy(tick, out): out.set(tick)
"""


async def test_where_a_listener_can_not_be_made_everything_goes_on_as_before(app_of: AppIn) -> None:
    async with steered(app_with(app_of, GATED + FUSSY)) as site:
        shelf = site.module("shelf")
        await until(lambda: shelf.KEPT == [(0, 0)])
        wanted = {"put": {"out": {"number": 1}}, "fussy": {"number": 13, "out": {"number": 2}}}
        answer = await site.desire({"functions": wanted})
        assert answer["status"] == "refused"
        assert "fussyTrigger 'tick' of function 'fussy': its plugin failed: OSError: no such number" in answer["reason"]
        assert sorted(shelf.CLOSED) == [1, 2]
        assert site.function("put")["outputs"] == {"out": {"number": 0}}
        await until(lambda: shelf.KEPT == [(0, 0), (0, 0)])  # a listener anew, on what was there
        assert site.function("fussy")["state"] == "running"


ASLEEP = """
@app.edge_hub_trigger("m", "first")
def asleep(m): ...
"""


async def test_a_refused_patch_has_no_messages_kept_for_a_function_that_stays_disabled(app_of: AppIn) -> None:
    root = app_with(app_of, ASLEEP + FUSSY).root
    app = load_app(root, environment={"AzureWebJobs.asleep.Disabled": "true"})
    async with steered(app) as site:
        assert site.function("asleep")["state"] == "disabled"
        answer = await site.desire({"functions": {"asleep": {"disabled": False}, "fussy": {"number": 13}}})
        assert answer["status"] == "refused"
        assert (site.function("asleep")["state"], app.services.spool.inbox.heard()) == ("disabled", [])
        assert (await site.desire({"functions": {"fussy": None}}))["status"] == "applied"
        assert app.services.spool.inbox.heard() == ["first"]


HELD = """
BEGUN, GO = [], asyncio.Event()
@app.generic_trigger(arg_name="tick", type="fussyTrigger", endless=True, count=2)
async def held(tick):
    BEGUN.append(tick)
    await GO.wait()
"""


async def test_a_swap_that_is_given_up_while_listeners_end_leaves_them_listening(app_of: AppIn) -> None:
    async with steered(app_with(app_of, HELD)) as site:
        await until(lambda: site.module().BEGUN == [0])
        swap = asyncio.create_task(site.host.operation.overlay.accept({"functions": {"held": {"number": 5}}}))
        ending = running(site.host, "held").task
        await until(lambda: ending is not None and ending.cancelling() > 0)
        swap.cancel()
        await asyncio.wait({swap})
        site.module().GO.set()
        await until(lambda: site.module().BEGUN[1:] == [0, 1])  # by a listener anew
        assert site.function("held")["state"] == "running"


async def test_a_plugin_that_fails_to_open_refuses_the_patch(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        answer = await site.desire({"functions": {"put": {"out": {"number": 13}}}})
        assert answer["reason"] == (
            "functions/f.py:8: shelf 'out' of function 'put': its plugin failed: OSError: the shelf is broken"
        )
        assert site.function("put")["outputs"] == {"out": {"number": 0}}


ADOPTING = """
    def adopt(self, binding):
        number = binding.options.number
        def change():
            if number == 13: raise OSError("the shelf wobbles")
            self.number = number
        return change
"""
SECOND = GATED.replace('"put"', '"second"').replace("def put", "def second").replace("GATES = {}", "")


async def test_a_plugin_that_fails_on_a_change_in_place_costs_no_other_function_its_change(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    plugin = TICKS.replace("class ShelfKind", f"{ADOPTING}\nclass ShelfKind")
    async with steered(app_with(app_of, GATED + SECOND, **{"functions/shelf.py": plugin})) as site:
        wanted = {"put": {"out": {"number": 13}}, "second": {"out": {"number": 2}}}
        await site.desire({"functions": wanted})
        assert site.function("second")["outputs"] == {"out": {"number": 2}}
        assert (site.function("put")["state"], site.function("put")["outputs"]) == ("running", {"out": {"number": 0}})
        assert "the shelf wobbles" in caplog.text
        call = await begun(site, "x")
        site.module().GATES["x"].set()
        assert (await call)[0] == 200


async def test_a_host_stops_while_something_is_being_opened(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        shelf = site.module("shelf")
        await site.hub.set_desired({"functions": {"put": {"out": {"number": 14}}}})
        await until(lambda: shelf.OPENED == [0, 14])
    assert shelf.CLOSED == [0]


async def test_a_drained_host_takes_changes_and_listens_when_it_resumes(app_of: AppIn) -> None:
    code = GATED.replace("await GATES[p].wait()", "").replace("GATES[p] = asyncio.Event()", "")
    async with steered(app_with(app_of, code + FUSSY)) as site:
        await site.host.drain()
        await site.desire({"functions": {"put": {"out": {"number": 1}}, "fussy": {"number": 5}}})
        assert [each.state for each in site.host.running] == ["stopped", "stopped"]
        await site.host.resume()
        assert (await site.call("put", "x"))[0] == 200
        assert (1, "x") in site.module("shelf").KEPT


async def test_an_ended_clip_is_not_played_again_by_a_change_of_an_output(app_of: AppIn) -> None:
    code = VIDEO.replace("fps=30", "fps=30&frames=3").replace(", real_time=True", "")
    async with steered(app_with(app_of, code, **{"answers.json": json.dumps([[[0, "car", 0.9]]])})) as site:
        await until(lambda: site.function("f")["state"] == "ended")
        await site.desire({"functions": {"f": {"out": {"number": 1}}}})
        assert (site.function("f")["state"], site.module().IDS) == ("ended", [0, 1, 2])


async def test_a_thread_that_a_timed_out_call_holds_is_held_over_a_swap(app_of: AppIn) -> None:
    code = (
        "import threading\nGATE = threading.Event()\n@app.function_timeout(1)\n@app.direct_method_trigger('p', 'put')\n"
        "@app.generic_output_binding(arg_name='out', type='shelf')\ndef put(p, out): GATE.wait(20)\n"
    )
    async with steered(app_with(app_of, code)) as site:
        assert (await site.call("put"))[0] == 504
        await site.desire({"functions": {"put": {"out": {"number": 1}}}})
        assert (await site.call("put"))[0] == 503
        site.module().GATE.set()
        await until(lambda: running(site.host, "put").invoker.stuck == 0)  # type: ignore[union-attr]
        assert (await site.call("put"))[0] == 200


async def test_swaps_one_after_the_other_leave_nothing_open(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        for number in range(1, 20):
            await site.desire({"functions": {"put": {"out": {"number": number * 100}}}})
        shelf = site.module("shelf")
        await until(lambda: len(shelf.CLOSED) == 19)
    assert sorted(shelf.CLOSED) == sorted(shelf.OPENED)


def is_stopping(site: Steered, function: str) -> bool:
    """Whether the listener was told to take no more."""
    task = running(site.host, function).task
    return task is not None and task.cancelling() > 0


MESSAGES = """
SEEN, GATE = [], asyncio.Event()
@app.edge_hub_trigger("message", "in", max_concurrency=1)
@app.generic_output_binding(arg_name="out", type="shelf")
async def f(message: int, out):
    await GATE.wait()
    SEEN.append(message)
"""


def messages(numbers: range) -> list[EdgeMessage]:
    return [EdgeMessage(str(number).encode(), message_id=str(number), input_name="in") for number in numbers]


async def test_no_message_is_lost_or_run_twice_while_its_trigger_changes(app_of: AppIn) -> None:
    async with steered(app_with(app_of, MESSAGES)) as site:
        inbox, module = site.host.app.services.spool.inbox, site.module()
        for message in messages(range(20)):
            await inbox.on_input(message)
        await until(lambda: site.function("f")["in_flight"] == 1)
        changing = asyncio.create_task(site.desire({"functions": {"f": {"maxConcurrency": 3, "out": {"number": 1}}}}))
        for message in messages(range(20, 30)):
            await inbox.on_input(message)
        module.GATE.set()
        assert (await changing)["status"] == "applied"
        await until(lambda: len(module.SEEN) == 30)
        assert sorted(module.SEEN) == list(range(30))


async def test_a_function_that_the_twin_disables_gets_no_further_message_and_works_off_the_old_ones_later(
    app_of: AppIn,
) -> None:
    async with steered(app_with(app_of, MESSAGES)) as site:
        inbox, module = site.host.app.services.spool.inbox, site.module()
        for message in messages(range(3)):
            await inbox.on_input(message)
        await until(lambda: site.function("f")["in_flight"] == 1)
        disabling = asyncio.create_task(site.desire({"functions": {"f": {"disabled": True}}}))
        await until(lambda: is_stopping(site, "f"))
        module.GATE.set()
        await disabling
        worked_off = len(module.SEEN)
        await inbox.on_input(messages(range(7, 8))[0])
        await site.desire({"functions": {"f": {"disabled": False}}})
        await until(lambda: len(module.SEEN) == 3)
        assert (worked_off, module.SEEN) == (1, [0, 1, 2])
