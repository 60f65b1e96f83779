"""The direct methods of the host itself."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from edgefn import __version__
from edgefn.host import Host
from edgefn.loader import App
from edgefn.steering import Steering
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, Steered, steered, until
from tests.ticks import PLUGIN

CODE = """
import logging
log = logging.getLogger("mine")

@app.edge_hub_trigger("message", "in")
@app.edge_hub_output("out", "telemetry", interval="00:00:01")
async def send(message: edgefn.EdgeMessage, out):
    log.warning("got %s", message.text)
    out.set(message.text)
    if message.text == "bad":
        raise ValueError("no such thing at rtsp://user:secret@box/1")
    return {"text": message.text}

@app.edge_hub_trigger("message", "slow")
@app.edge_hub_output("out", "events")
@app.function_timeout(1)
async def slow(message, out):
    out.set(message)
    await asyncio.sleep(60)

@app.generic_trigger(arg_name="tick", type="ticksTrigger")
async def ticks(tick): ...
"""


def app_with(app_of: AppIn, code: str = CODE, **files: str) -> App:
    return app_of({"host.json": QUICK, "functions/ticks.py": PLUGIN, "functions/f.py": HEAD + code, **files})


async def test_ping_says_that_the_host_lives(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        status, answer = await site.call("PING")
        assert (status, answer["status"], answer["version"], answer["state"]) == (200, "alive", __version__, "running")
        assert answer["uptime"] >= 0


async def test_status_is_that_of_the_host(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        status, answer = await site.call("status")
        assert (status, answer["state"], answer["hub"]["name"]) == (200, "running", "local")
        assert answer["functions"]["send"]["outputs"]["out"]["output"] == "telemetry"


async def test_the_status_of_a_large_app_is_cut_to_what_an_answer_holds(app_of: AppIn) -> None:
    names = [f"{'long_name_' * 10}{number}" for number in range(500)]
    code = "".join(f"@app.edge_hub_trigger('m', 'in')\ndef {name}(m): ...\n" for name in names)
    async with steered(app_with(app_of, code)) as site:
        status, answer = await site.call("status")
        assert (status, answer["cut"]) == (200, True)
        assert len(json.dumps(answer)) < 131_072
        assert answer["functions"][names[0]]["state"] == "running"


async def test_drain_and_resume(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        assert await site.call("drain") == (202, {"state": "draining"})
        await until(lambda: site.host.state == "drained")
        assert (await site.call("ping"))[1]["state"] == "drained"
        assert await site.call("resume") == (200, {"state": "running"})
        assert await site.call("resume") == (200, {"state": "running"})


async def test_a_host_inside_another_program_is_not_started_again(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        assert (await site.call("restart"))[0] == 501
        asked = asyncio.Event()
        site.host.restart = asked.set
        assert await site.call("restart") == (202, {"Response": "The host drains, and starts again"})
        assert asked.is_set()


def test_every_method_is_described_in_the_documentation(app_of: AppIn) -> None:
    described = (Path(__file__).parents[1] / "docs" / "twin.md").read_text(encoding="utf-8")
    table = Steering(Host(app_with(app_of))).answers()
    assert [name for name in table if f"| `{name}` |" not in described] == []


async def test_a_plugin_adds_methods_of_its_own(app_of: AppIn) -> None:
    plugin = (
        "import edgefn\nfrom edgefn.contracts import MethodReply\n@edgefn.hookimpl\ndef edgefn_methods(host):\n"
        "    async def where(payload): return MethodReply(200, host.app.root.name)\n    return {'where': where}\n"
    )
    app = app_with(app_of, **{"functions/plug.py": plugin})
    async with steered(app) as site:
        assert await site.call("where") == (200, app.root.name)


# --- invoke ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "status", "answer"),
    [
        ({"function": "send", "input": "hello"}, 200, {"status": "ok", "return": {"text": "hello"}}),
        ({"function": "SEND", "input": {"a": 1}}, 200, {"status": "ok", "return": {"text": '{"a":1}'}}),
        (
            {"function": "send", "input": "bad"},
            500,
            {"status": "failed", "return": None, "error": "ValueError: no such thing at rtsp://***@box/1"},
        ),
    ],
)
async def test_invoke_runs_a_function_and_tells_how_it_ended(
    app_of: AppIn, payload: dict[str, Any], status: int, answer: dict[str, Any]
) -> None:
    async with steered(app_with(app_of)) as site:
        found, told = await site.call("invoke", payload)
        assert told.pop("duration_ms") >= 0
        assert (found, told) == (status, answer)


async def test_invoke_tells_of_a_time_out(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        status, told = await site.call("invoke", {"function": "slow", "input": "x"})
        assert (status, told["status"]) == (504, "timed_out")


@pytest.mark.parametrize(
    ("payload", "status", "said"),
    [
        ({"function": "sned"}, 404, "there is no function 'sned'; did you mean 'send'?; functions: send, slow, ticks"),
        (
            {"function": "ticks"},
            400,
            "'tick' of function 'ticks' has events of its own only, and takes no text; let it run in edgefn start",
        ),
        ({"name": "send"}, 400, 'the payload should be {"function": "...", "input": ...}'),
        ("send", 400, "the payload should be"),
    ],
)
async def test_what_can_not_be_invoked_says_so(app_of: AppIn, payload: Any, status: int, said: str) -> None:
    async with steered(app_with(app_of)) as site:
        found, answer = await site.call("invoke", payload)
        assert found == status
        assert said in answer["Response"]


async def test_a_drained_host_invokes_nothing(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await site.host.drain()
        assert await site.call("invoke", {"function": "send"}) == (
            409,
            {"Response": "function 'send' does not run: stopped"},
        )


# --- logs --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def quiet(app: App) -> AsyncIterator[Steered]:
    """A host of which no function writes a line any more."""
    async with steered(app) as site:
        await until(lambda: site.function("ticks")["state"] == "ended")
        yield site


async def lines(site: Steered, payload: Any = None) -> list[str]:
    status, answer = await site.call("getLogs", payload)
    assert status == 200
    return [line["message"] for line in answer["lines"]]


async def test_get_logs_gives_the_last_lines_by_number_level_and_logger(app_of: AppIn) -> None:
    async with quiet(app_with(app_of)) as site:
        logging.getLogger("mine").warning("one")
        logging.getLogger("Function.send").error("two")
        assert (await lines(site))[-2:] == ["one", "two"]
        assert await lines(site, {"lines": 1}) == ["two"]
        assert "one" not in await lines(site, {"level": "ERROR"})
        assert await lines(site, {"function": "SEND"}) == ["two"]
        assert await lines(site, {"invocation": "nobody"}) == []
    logging.getLogger("mine").warning("three")
    assert "three" not in [line.text for line in site.host.operation.ring.newest()]


async def test_get_logs_gives_whole_lines_without_credentials(app_of: AppIn) -> None:
    async with quiet(app_with(app_of)) as site:
        logging.getLogger("mine").warning("lost rtsp://user:secret@box/1, HostName=h;SharedAccessKey=abc=")
        (line,) = (await site.call("getLogs", {"lines": 1}))[1]["lines"]
        assert line["message"] == "lost rtsp://***@box/1, HostName=h;SharedAccessKey=***"
        assert (line["level"], line["logger"]) == ("warning", "mine")


async def test_a_line_that_can_not_be_formatted_is_left_out(app_of: AppIn, capsys: pytest.CaptureFixture[str]) -> None:
    async with steered(app_with(app_of)) as site:
        site.host.operation.ring.handle(logging.makeLogRecord({"msg": "%d", "args": ("SharedAccessKey=planted",)}))
        assert "planted" not in json.dumps((await site.call("getLogs"))[1])
    assert "planted" not in capsys.readouterr().err


async def test_get_logs_gives_no_more_than_an_answer_holds(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        for number in range(200):
            logging.getLogger("mine").warning("%d %s", number, "x" * 20_000)
        status, answer = await site.call("getLogs", {"lines": 1000})
        assert (status, len(json.dumps(answer)) < 131_072) == (200, True)
        assert answer["lines"][-1]["message"].startswith("199 ")
        assert len(answer["lines"]) >= 28


@pytest.mark.parametrize(
    "payload", [{"lines": 0}, {"lines": "ten"}, {"lines": True}, {"level": "loud"}, {"line": 1}, [1]]
)
async def test_get_logs_says_what_is_wrong_with_a_payload(app_of: AppIn, payload: Any) -> None:
    async with steered(app_with(app_of)) as site:
        status, answer = await site.call("getLogs", payload)
        assert status == 400
        assert "should be" in answer["Response"]


# --- SetTelemetryInterval ----------------------------------------------------------------------------------------

DONE = (200, {"Response": "Executed direct method SetTelemetryInterval"})
INVALID = (400, {"Response": "Invalid parameter"})


def intervals(site: Steered) -> dict[str, float]:
    return {
        each.function.name: each.outputs["out"]._gate.interval  # type: ignore[attr-defined]
        for each in site.host.running
        if each.outputs
    }


@pytest.mark.parametrize("payload", [5, "5", " 5 ", 5.0, {"interval": 5}, {"interval": "5"}])
async def test_the_interval_of_outputs_that_have_one_is_set(app_of: AppIn, payload: Any) -> None:
    async with steered(app_with(app_of)) as site:
        assert await site.call("SetTelemetryInterval", payload) == DONE
        assert intervals(site) == {"send": 5.0, "slow": 0.0}


@pytest.mark.parametrize(
    "payload",
    ["abc", 0, -1, 1.5, None, True, "", "1.5", [5], {}, {"interval": 0}, {"interval": 5, "more": 1}, 10**30, {"a": 5}],
)
async def test_a_wrong_interval_is_400_and_changes_nothing(app_of: AppIn, payload: Any) -> None:
    async with steered(app_with(app_of)) as site:
        assert await site.call("SetTelemetryInterval", payload) == INVALID
        assert intervals(site) == {"send": 1.0, "slow": 0.0}


async def test_the_interval_of_one_output_is_set_also_where_it_had_none(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        assert await site.call("SetTelemetryInterval", {"interval": 7, "output": "Events"}) == DONE
        assert intervals(site) == {"send": 1.0, "slow": 7.0}
        assert await site.call("SetTelemetryInterval", {"interval": 7, "output": "gone"}) == (
            404,
            {"Response": "there is no output 'gone'"},
        )


async def test_an_app_without_intervals_says_so(app_of: AppIn) -> None:
    async with steered(app_with(app_of, CODE.replace(', interval="00:00:01"', ""))) as site:
        assert await site.call("SetTelemetryInterval", 5) == (404, {"Response": "no output has an interval"})


async def test_whoever_spoke_last_counts(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await site.call("SetTelemetryInterval", 5)
        await site.desire({"mode": "other", "functions": {"slow": {"maxConcurrency": 2}}})
        assert intervals(site)["send"] == 5.0
        answer = await site.desire({"functions": {"send": {"out": {"interval": 1}}}})
        assert intervals(site)["send"] == 1.0
        assert answer["inForce"]["functions"]["send"] == {"out": {"interval": 1}}
        await site.call("SetTelemetryInterval", 9)
        assert intervals(site)["send"] == 9.0
        await until(lambda: site.reported["desired"]["inForce"]["functions"]["send"] == {"out": {"interval": 9}})
        await site.desire({"functions": {"send": None}})
        assert intervals(site)["send"] == 1.0
