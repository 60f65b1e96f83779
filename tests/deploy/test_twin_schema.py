"""The JSON schema of desired properties says what the host says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edgefn.deploy.module import Module
from edgefn.deploy.twin import desired_schema
from edgefn.errors import SettingError
from edgefn.loader.overlaid import overlaid
from tests.deploy.apps import HTTP, app_in, module

CODE = """
from typing import Literal

@app.video_frame_trigger("frame", "synthetic:", max_fps=20, real_time=True)
@app.inference_session("net", "net.xml", device="%DEVICE%")
@app.setting("threshold", "Threshold", default=0.9)
@app.setting("mode", "Mode", default="day")
@app.setting("count", "Count", default=3)
@app.edge_hub_output("found", "found", interval="00:00:01")
async def detect(
    frame, net, threshold: float, mode: Literal["day", "night"], count: int, found: edgefn.Out[dict]
) -> None: ...

@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("$return", "out", on_change=True)
def relay(m: dict):
    return m

@app.direct_method_trigger("payload", "ask")
def ask(payload): ...

@app.timer_trigger("timer", "0 * * * * *")
@app.speech_output("$return", player="none")
def tick(timer: func.TimerRequest) -> str: ...
"""


@pytest.fixture
def told(tmp_path: Path) -> Module:
    return module(app_in(tmp_path / "app", CODE + HTTP, {"DEVICE": "CPU", "PASSWORD": "x"}), "site")


def of(function: str, **options: Any) -> dict[str, Any]:
    return {"functions": {function: options}}


RIGHT = [
    {},
    {"own": {"anything": 5}},
    {"settings": {"Threshold": 0.5, "Mode": "night", "Count": 4, "DEVICE": "GPU", "another": "x"}},
    {"settings": {"Threshold": "0.5", "Count": "4"}},
    {"functionTimeout": "00:00:30"},
    {"functionTimeout": -1},
    {"functionTimeout": 2.5},
    {"retry": {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:05"}},
    {
        "retry": {
            "strategy": "exponentialBackoff",
            "maxRetryCount": -1,
            "minimumInterval": 1,
            "maximumInterval": "00:01:00",
        }
    },
    {"extensions": {}},
    {"logging": {"logLevel": {"default": "Error", "Function": {"detect": {"User": "Trace"}}}}},
    of("detect", disabled=True),
    of("detect", maxFps=5, everyNth=2, policy="latest", onEnd="loop", restartAfter="00:00:02", motion=0.5),
    of("detect", maxAge=0.5, motionHold="1.00:00:00"),
    of("detect", frame={"maxFps": 5, "source": "synthetic:?fps=5"}),
    of("detect", net={"device": "GPU", "threshold": 0.7, "topN": 5, "labels": "l.txt", "mean": [1, 2, 3]}),
    of("detect", found={"interval": "00:00:10", "onChange": "a,b", "rate": "6/minute"}),
    of("detect", found={"onChange": ["a"], "properties": {"a": "b"}, "ttl": 60, "whenFull": "dead_letter"}),
    of("detect", functionTimeout="00:00:10", retry={"strategy": "fixedDelay", "maxRetryCount": 0, "delayInterval": 0}),
    of("relay", **{"return": {"interval": 60, "onChange": False}}),
    of("relay", maxConcurrency=4, cardinality="one"),
    of("ask", disabled=False),
    of("tick", schedule="0 0 8 * * 1-5", runOnStartup=True),
    of("tick", schedule="00:05:00"),
    of("tick", **{"return": {"voice": "de", "rate": 1.2}}),
    of("hello", disabled=True),
]
WRONG = [
    {"settings": 5},
    {"settings": {"Threshold": "high"}},
    {"settings": {"Threshold": True}},
    {"settings": {"Mode": "dusk"}},
    {"settings": {"Count": 1.5}},
    {"functions": []},
    {"functions": {"detekt": {}}},
    {"functions": {"detect": 5}},
    {"functionTimeout": "soon"},
    {"functionTimeout": 0},
    {"retry": {"strategy": "fixedDelay", "maxRetryCount": 3}},
    {"retry": {"strategy": "sometimes", "maxRetryCount": 3, "delayInterval": 1}},
    {"retry": {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": 1, "more": 1}},
    {"extensions": {"page": {}}},
    of("detect", disabled="yes"),
    of("detect", maxFsp=5),
    of("detect", maxFps=0),
    of("detect", maxFps="fast"),
    of("detect", everyNth=0),
    of("detect", everyNth=1.5),
    of("detect", policy="newest"),
    of("detect", motion=2),
    of("detect", restartAfter=-1),
    of("detect", silentAfter=0),
    of("detect", maxAge=0),
    of("detect", source=""),
    of("detect", name="other"),
    of("detect", frame={"maxFps": -1}),
    of("detect", frame={"maxFsp": 1}),
    of("detect", net={"threshold": 1.5}),
    of("detect", net={"thresholds": 0.5}),
    of("detect", net={"hint": "speed"}),
    {"logging": {"logLevel": {"default": "Loud"}}},
    {"logging": {"console": {}}},
    of("detect", found={"interval": "soon"}),
    of("detect", found={"interval": -1}),
    of("detect", found={"rate": "often"}),
    of("detect", found={"whenFull": "explode"}),
    of("detect", found=5),
    of("relay", maxConcurrency=0),
    of("relay", **{"$return": {}, "back": {}}),
    of("ask", methodName="other"),
    of("detect", source="none"),
    of("tick", schedule="often"),
    of("tick", schedule=5),
    of("tick", **{"return": {"speechKey": "0123456789abcdef"}}),
    of("tick", **{"return": {"rate": 9}}),
    of("hello", route="other"),
]


def accepts(module: Module, document: dict[str, Any]) -> bool:
    """Whether the host would take these desired properties."""
    try:
        overlaid(module.app, document)
    except SettingError:
        return False
    return True


def fits(module: Module, document: dict[str, Any]) -> bool:
    """Whether the schema does."""
    return Draft202012Validator(desired_schema(module.app, "site", module.needs)).is_valid(document)


def test_the_schema_is_one(told: Module) -> None:
    Draft202012Validator.check_schema(desired_schema(told.app, "site", told.needs))


@pytest.mark.parametrize("document", RIGHT, ids=str)
def test_what_the_schema_takes_the_host_takes(told: Module, document: dict[str, Any]) -> None:
    assert (fits(told, document), accepts(told, document)) == (True, True)


@pytest.mark.parametrize("document", WRONG, ids=str)
def test_what_the_schema_refuses_the_host_refuses(told: Module, document: dict[str, Any]) -> None:
    assert (fits(told, document), accepts(told, document)) == (False, False)


def test_the_properties_to_begin_with_are_taken_and_change_nothing(told: Module) -> None:
    assert told.desired == {
        "settings": {"Threshold": 0.9, "Mode": "day", "Count": 3},
        "functions": {name: {"disabled": False} for name in ("ask", "detect", "hello", "relay", "tick")},
    }
    assert fits(told, dict(told.desired))
    laid = overlaid(told.app, told.desired)
    assert laid.warnings == []
    assert [f.bindings for f in laid.functions] == [f.bindings for f in told.app.functions]


def test_a_secret_is_no_property_to_begin_with(tmp_path: Path) -> None:
    code = """
        @app.timer_trigger("timer", "0 * * * * *")
        @app.setting("key", "API_KEY", default="")
        def check(timer: func.TimerRequest, key: str) -> None: ...
    """
    found = module(app_in(tmp_path / "app", code, {"API_KEY": "0123456789abcdef"}))
    assert found.desired == {"functions": {"check": {"disabled": False}}}
