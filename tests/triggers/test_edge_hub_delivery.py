"""What becomes of a message whose function fails, waits, is stopped, or holds its thread."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from tests.conftest import AppIn
from tests.spool.ports import until
from tests.ticks import HEAD

RETRY = '@app.retry(strategy="fixed_delay", max_retry_count="{count}", delay_interval="{delay}")'


async def host_of(app_of: AppIn, code: str, plugin: str = "", **settings: str) -> Host:
    host = Host(app_of({"functions/f.py": HEAD + code, "functions/plugin.py": plugin}, **settings))
    assert [running.function.errors for running in host.running] == [[] for _ in host.running]
    await host.start()
    return host


async def give(host: Host, *bodies: str, input_name: str = "in") -> None:
    for body in bodies:
        await host.app.services.spool.inbox.on_input(EdgeMessage(body.encode(), message_id=body, input_name=input_name))


async def letters(host: Host) -> list[Any]:
    return [
        (letter.message.text, letter.reason, letter.attempts) for letter in await host.app.services.spool.dead_letters()
    ]


def upstream(host: Host) -> list[Any]:
    lines = (host.app.services.state / "upstream.jsonl").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]


async def test_a_message_that_fails_is_a_dead_letter_and_the_next_one_runs(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    code = """
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
def f(m: dict):
    return 1 / m["x"]
"""
    host = await host_of(app_of, code)
    await give(host, '{"x": 2}', '{"x": 0}', "no json", '{"x": 4}')
    await host.app.services.spool.idle()
    found = await letters(host)
    await host.stop()
    assert [letter[0] for letter in found] == ["no json", '{"x": 0}']
    assert found[1][1:] == ("ZeroDivisionError: division by zero", 1)
    assert "does not fit parameter 'm'" in found[0][1]
    assert upstream(host) == [0.5, 0.25]
    told = [line for line in caplog.messages if line.startswith("A message for function 'f' is a dead letter")]
    assert [line.partition("failed on it")[2] for line in told] == [
        "; see edgefn dead-letter list",
        " (2 by now); see edgefn dead-letter list",
    ]


async def test_the_last_attempt_of_a_policy_decides(app_of: AppIn) -> None:
    code = f"""
tries = []
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
{RETRY.format(count=2, delay="00:00:00")}
def f(m, context):
    tries.append((m, context.retry_context.retry_count))
    if m == "bad" or len(tries) < 3:
        raise ValueError(m)
    return {{"after": len(tries)}}
"""
    host = await host_of(app_of, code)
    await give(host, "good", "bad")
    await host.app.services.spool.idle()
    found = await letters(host)
    await host.stop()
    assert found == [("bad", "ValueError: bad", 3)]
    assert upstream(host) == [{"after": 3}]


async def test_attempts_go_on_counting_after_a_restart(app_of: AppIn) -> None:
    code = f"""
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
{RETRY.format(count=5, delay="00:00:01")}
def f(m, context):
    if context.retry_context.retry_count < 2:
        raise ValueError("not yet")
    return context.retry_context.retry_count
"""
    host = await host_of(app_of, code)
    await give(host, "x")
    await until(lambda: host.running[0].invoker.running == 1)  # type: ignore[union-attr]
    await host.stop()
    assert host.app.services.spool.inbox.totals()[0] == 1
    again = await host_of(app_of, code)
    await until(lambda: upstream(again) == [2])
    await again.stop()


async def test_a_message_waits_for_a_function_whose_thread_is_held(app_of: AppIn) -> None:
    code = """
held = threading.Event()
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
@app.function_timeout(1)
def f(m):
    if m == "hold":
        held.wait()
        return None
    return m
"""
    host = await host_of(app_of, "import threading\n" + code)
    await give(host, "hold", "wait")
    await until(lambda: host.running[0].invoker.stuck == 1)  # type: ignore[union-attr]
    await until(lambda: host.app.services.spool.inbox.totals()[0] == 1)
    assert [letter[0] for letter in await letters(host)] == ["hold"]
    host.running[0].function.call.__globals__["held"].set()  # type: ignore[union-attr]
    await host.app.services.spool.idle()
    await host.stop()
    assert upstream(host) == ["wait"]


async def test_a_batch_is_one_transaction(app_of: AppIn) -> None:
    code = """
@app.edge_hub_trigger("m", "in", cardinality="many", max_batch_size=3)
@app.edge_hub_output("$return", "out")
def f(m: list[int]):
    if 5 in m:
        raise ValueError("five")
    return m
"""
    app = app_of({"functions/f.py": HEAD + code})
    host = Host(app)
    await host.app.services.spool.open()
    host.app.services.spool.inbox.subscribe("f", "in")
    await give(host, *map(str, range(8)))
    await host.app.services.spool.close()
    again = await host_of(app_of, code)
    await again.app.services.spool.idle()
    found = await letters(again)
    await again.stop()
    assert sorted(upstream(again) + [int(letter[0]) for letter in found]) == list(range(8))
    assert {letter[1] for letter in found} == {"ValueError: five"}


async def test_messages_run_side_by_side_where_that_is_asked_for_and_outputs_keep_their_order(app_of: AppIn) -> None:
    code = """
@app.edge_hub_trigger("m", "in", max_concurrency=8)
@app.edge_hub_output("$return", "out")
async def f(m: int):
    await asyncio.sleep(0.02 if m % 2 else 0)
    return m
"""
    host = await host_of(app_of, "import asyncio\n" + code)
    await give(host, *map(str, range(40)))
    await host.app.services.spool.idle()
    await host.stop()
    assert upstream(host) == list(range(40))


async def test_messages_that_come_while_the_host_drains_are_kept(app_of: AppIn) -> None:
    code = """
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
async def f(m: int):
    return m
"""
    host = await host_of(app_of, code)
    await host.drain()
    await give(host, "1", "2")
    assert host.app.services.spool.inbox.totals()[0] == 2
    await host.resume()
    await host.app.services.spool.idle()
    await host.stop()
    assert upstream(host) == [1, 2]


async def test_messages_are_kept_for_a_function_that_can_not_run_today(app_of: AppIn) -> None:
    broken = """
@app.edge_hub_trigger("m", "in")
@app.inference_session("session", model="no-such-model.xml")
def f(m, session): ...
"""
    host = Host(app_of({"functions/f.py": HEAD + broken}))
    await host.start()
    assert host.running[0].state == "error"
    await give(host, "kept")
    await host.stop()
    mended = """
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
def f(m): return m
"""
    again = await host_of(app_of, mended)
    await again.app.services.spool.idle()
    await again.stop()
    assert upstream(again) == ["kept"]


async def test_a_disabled_function_gets_no_messages(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    code = '@app.edge_hub_trigger("m", "in")\ndef f(m): ...'
    host = Host(app_of({"functions/f.py": HEAD + code}, **{"AzureWebJobs.f.Disabled": "true"}))
    await host.start()
    await give(host, "x")
    assert host.app.services.spool.inbox.totals()[0] == 0
    assert host.status()["spool"]["inbox"]["unheard"] == {"in": 1}
    await host.stop()
    assert "Messages for input 'in' are dropped: no function listens to it" in caplog.text


async def test_the_status_tells_what_waits(app_of: AppIn, tmp_path: Path) -> None:
    host = await host_of(app_of, '@app.edge_hub_trigger("m", "in")\ndef f(m): ...')
    status = host.status()["spool"]
    await host.stop()
    assert status["state"] == "open"
    assert status["inbox"]["messages"] == status["outbox"]["messages"] == 0


SHELF = """
import edgefn
from edgefn.function import Options

class Shelf:
    times = 0
    type, options = "shelf", Options
    def check(self, binding): ...
    async def open(self, binding): return self
    def encode(self, value): return value
    async def send(self, encoded, event):
        self.times += 1
        if self.times < 4:
            raise OSError("the shelf is full")
    def status(self): return {}
    async def close(self): ...

@edgefn.hookimpl
def edgefn_outputs(services):
    return [Shelf()]
"""


@pytest.mark.parametrize("held_back", ["on_change='name'", "interval=60", "rate='1/minute'", "gate='label'"])
async def test_what_an_output_holds_back_counts_no_message_of_an_attempt_that_failed(
    app_of: AppIn, held_back: str
) -> None:
    code = f"""
@app.edge_hub_trigger("m", "in")
@app.generic_output_binding("shelf", "shelf")
@app.edge_hub_output("label", "out", {held_back})
{RETRY.format(count=1, delay="00:00:00")}
def f(m: dict, label: edgefn.Out[dict], shelf: edgefn.Out[dict]):
    label.set({{"n": m["n"], "name": "apple", "score": 1.0}})
    shelf.set(m)
"""
    host = await host_of(app_of, code, SHELF)
    await give(host, *(json.dumps({"n": n}) for n in range(4)))
    await host.app.services.spool.idle()
    found, status = await letters(host), host.running[0].outputs["label"].status()
    await host.stop()
    assert [letter[0] for letter in found] == ['{"n": 0}']  # after two attempts
    assert [body["n"] for body in upstream(host)] == [1]  # by the second one
    assert status["published"] == 1


@pytest.mark.parametrize(
    "message",
    [
        'b"x", {"n": 1}',
        'b"x", {1: "n"}',
        'b"x", {"n": "\\ud800"}',
        'b"x", message_id=7',
        '{"a": 1}',
        "None",
    ],
)
async def test_a_message_that_no_hub_could_take_is_an_error_of_its_function_and_holds_up_no_other(
    app_of: AppIn, message: str
) -> None:
    code = f"""
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
def f(m):
    return edgefn.EdgeMessage({message}) if m == "bad" else m
"""
    host = await host_of(app_of, code)
    await give(host, "bad", "good")
    await until(lambda: upstream(host) == ["good"])
    (found,) = await letters(host)
    await host.stop()
    assert found[0] == "bad"
    assert found[1].startswith("functions/f.py:")
    assert ": function 'f' returned: " in found[1]


@pytest.mark.parametrize("retries", ["", RETRY.format(count=1, delay="00:00:00")], ids=["at once", "after an attempt"])
async def test_an_error_whose_text_no_file_takes_makes_a_dead_letter_as_any_other(
    app_of: AppIn, retries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest keeps log lines as they are, and its workers can not send these
    monkeypatch.setattr(logging.getLogger("Function.f"), "disabled", True)
    code = f"""
@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out")
{retries}
def f(m):
    if m == "bad":
        raise ValueError("no file \\udcff")
    return m
"""
    host = await host_of(app_of, code)
    await give(host, "bad", "good")
    await until(lambda: upstream(host) == ["good"])
    (found,) = await letters(host)
    status = host.status()
    await host.stop()
    assert found[:2] == ("bad", "ValueError: no file \\udcff")
    assert json.loads(orjson.dumps(status))["functions"]["f"]["failed"] == 1
