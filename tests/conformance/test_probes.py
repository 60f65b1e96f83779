"""Apps of one file each, with what Microsoft's library does with them: ours does the same, or more as documented."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import orjson
import pytest

from edgefn.contracts import EdgeMessage, Event, Outcome, Status
from edgefn.function import Function
from edgefn.hookspecs import hookimpl
from edgefn.host import Host
from edgefn.loader import App, load_app
from tests.conftest import ON_CI

REPOSITORY = Path(__file__).parents[2]
CONFORMANCE = Path(os.environ.get("EDGEFN_CONFORMANCE", REPOSITORY.parent / "shared" / "conformance"))
DOCUMENTED = (REPOSITORY / "docs" / "azure-functions.md").read_text(encoding="utf-8")
PROBES: dict[str, Any] = (
    json.loads((CONFORMANCE / "probes.json").read_text()) if (CONFORMANCE / "probes.json").exists() else {}
)
SUPERSETS = {
    r"More than one FunctionApp": "two names for one app",
    r"do not match the corresponding function parameter's Python type annotation": "parameters of a generic trigger",
    r"has invalid non-type annotation": "parameters of a generic trigger",
    r"unexpected type of data received for the \"generic\"": "a number as the value of a message",
    r"issubclass\(\) arg 1 must be a class": "`Out[...]` and the type that is returned",
    r"Python return annotation .* does not match": "`Out[...]` and the type that is returned",
    r"unable to encode outgoing TypedData: unsupported type \"edgeHubTrigger\"": "a return value that goes nowhere",
}
"""What Microsoft's library says of a probe that edgefn takes -> the row of the documentation that says so."""
REASON = re.compile(r"^[\w./-]+(:\d+)?: \S.+", re.DOTALL)


def load(name: str, folder: Path) -> App:
    shutil.copytree(CONFORMANCE / "probes" / name, folder / "app")
    return load_app(folder / "app", environment={}, state=folder / "state")


def refusals(app: App) -> list[str]:
    return [*app.errors, *(error for function in app.functions for error in function.errors)]


def is_documented(said: str) -> bool:
    rows = [row for pattern, row in SUPERSETS.items() if re.search(pattern, said)]
    return any(row in DOCUMENTED for row in rows)


def refused_by_azures_host(name: str, function: dict[str, Any], others: list[str]) -> bool:
    """What Microsoft's library lets pass, and its .NET host then refuses for that function."""
    names = [binding["name"] for binding in function["bindings"]]
    strategy = (function["retry"] or {}).get("retry_strategy", "fixed_delay")
    return (
        not re.match(r"^(?!host$)[a-z][a-z0-9_\-]{0,127}$", name, re.IGNORECASE)
        or name.lower() in (other.lower() for other in others)
        or len(set(names)) < len(names)
        or strategy not in ("fixed_delay", "exponential_backoff")
    )


def plain(binding: dict[str, Any]) -> dict[str, Any]:
    """A binding without None, its enum values in lower case."""
    enums = ("direction", "dataType", "authLevel", "cardinality", "methods")
    return {k: str(v).lower() if k in enums else v for k, v in binding.items() if v is not None}


# --- indexing ----------------------------------------------------------------------------------------------------


def test_the_probes_are_there() -> None:
    if not PROBES and not ON_CI:
        pytest.skip(f"no probes in {CONFORMANCE}; name their folder in EDGEFN_CONFORMANCE")
    assert len(PROBES) >= 50


@pytest.mark.parametrize("name", [n for n, probe in PROBES.items() if probe.get("init") == "ok"])
def test_what_microsofts_library_accepts_is_accepted_with_the_same_bindings(name: str, tmp_path: Path) -> None:
    app = load(name, tmp_path)
    expected = PROBES[name].get("functions", {})
    ours = {function.name: function for function in app.functions}
    assert app.errors == []
    assert ours.keys() >= expected.keys()
    for index, (function, declared) in enumerate(expected.items()):
        if declared["status"] != "ok":
            assert ours[function].errors or is_documented(json.dumps(declared["status"]))
            continue
        refused = refused_by_azures_host(function, declared, list(expected)[:index])
        assert bool(ours[function].errors) is refused
        shown = [plain(binding.json()) for binding in ours[function].bindings]
        assert shown == [plain(binding) for binding in declared["bindings"]]


@pytest.mark.parametrize("name", [n for n, probe in PROBES.items() if isinstance(probe.get("init"), dict)])
def test_what_microsofts_library_refuses_is_refused_with_a_reason_or_documented(name: str, tmp_path: Path) -> None:
    reasons = refusals(load(name, tmp_path))
    assert reasons or is_documented(PROBES[name]["init"]["message"])
    assert [reason for reason in reasons if not REASON.match(reason)] == []
    assert not any("Traceback" in reason or "edgefn/" in reason for reason in reasons)


@pytest.mark.parametrize(
    "name", [n for n, probe in PROBES.items() if any(f["retry"] for f in probe.get("functions", {}).values())]
)
def test_a_retry_policy_is_recorded_as_declared(name: str, tmp_path: Path) -> None:
    app = load(name, tmp_path)
    for function in app.functions:
        declared = PROBES[name]["functions"][function.name]["retry"]
        if function.retry is None:
            assert any(declared["retry_strategy"] in error for error in function.errors)
        else:
            assert function.retry.strategy.lower() == declared["retry_strategy"].replace("_", "").lower()
            assert function.retry.max_retry_count == int(declared["max_retry_count"])


# --- invocations -------------------------------------------------------------------------------------------------


class Watch:
    """A plugin that keeps how invocations ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @hookimpl
    def edgefn_invocation_ended(self, function: Function, event: Event, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def message_of(name: str, function: Function) -> EdgeMessage:
    """The probe's input as a message for the function's input; its metadata as properties."""
    assert function.trigger is not None
    value = PROBES[name]["input"][function.trigger.name]
    properties = PROBES[name]["meta"].get("Properties", {}).get("$json", {})
    if isinstance(value, dict):
        value = value.get("$bytes") if "$bytes" in value else json.dumps(value["$json"])
    body = value if isinstance(value, str) else json.dumps(value)
    return EdgeMessage(body.encode(), properties, input_name=function.trigger.options.input_name)  # type: ignore[attr-defined]


async def happen(name: str, host: Host) -> None:
    """Makes the probe's event happen: a message on its way in, or what a timer of ours emits."""
    running = next(running for running in host.running if not running.function.errors)
    trigger = running.function.trigger
    assert trigger is not None
    if trigger.type == "edgeHubTrigger":
        await host.app.services.spool.inbox.on_input(message_of(name, running.function))
        await host.app.services.spool.inbox.idle()
        return
    value = PROBES[name]["input"][trigger.name]
    assert running.invoker is not None
    await running.invoker.emit(Event(json.dumps(value["$json"])))


async def invoked(name: str, app: App, times: int = 1) -> tuple[list[Outcome], list[dict[str, Any]]]:
    """How the invocations of the probe's first function ended, and what was sent upstream."""
    function = next((function for function in app.functions if not function.errors), None)
    if function is None or function.trigger is None:
        pytest.skip(f"it is refused, so it is not invoked: {refusals(app)}")
    if function.trigger.type not in ("edgeHubTrigger", "timerTrigger"):
        pytest.skip(f"events of {function.trigger.type} are made by its own plugin, and tested there")
    if function.trigger.type == "timerTrigger" and "$json" not in PROBES[name]["input"][function.trigger.name]:
        pytest.skip("the event of a timer is always JSON")
    watch = Watch()
    app.manager.register(watch)
    host = Host(app)
    await host.start()
    for _ in range(times):
        await happen(name, host)
    await host.stop()
    sent = (app.services.state / "upstream.jsonl").read_bytes().splitlines()
    return watch.outcomes, [orjson.loads(line) for line in sent]


def as_sent(datum: dict[str, Any]) -> list[Any]:
    """The bodies of the messages that Azure's host makes of what its worker hands over: one for each of a list."""
    try:
        value = json.loads(datum["value"]) if isinstance(datum["value"], str) else datum["value"]
    except ValueError:
        value = datum["value"]
    return value if isinstance(value, list) else [value]


def as_returned(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize("name", [n for n, probe in PROBES.items() if probe.get("invoke", {}).get("ok")])
async def test_an_invocation_that_succeeds_there_gives_the_same_here(name: str, tmp_path: Path) -> None:
    app, expected = load(name, tmp_path), PROBES[name]["invoke"]
    (outcome,), sent = await invoked(name, app)
    returned = expected["return"] or {"value": None}
    outputs = [datum for _, datum in expected["outputs"]]
    if any(binding.name == "$return" for binding in app.functions[0].bindings) and returned["value"] is not None:
        outputs.append(returned)
    assert outcome.status is Status.OK
    assert as_returned(outcome.value) == returned["value"]
    assert [line["body"] for line in sent] == [body for datum in outputs for body in as_sent(datum)]


@pytest.mark.parametrize(
    "name", [n for n, p in PROBES.items() if "crash" in p or p.get("invoke", {}).get("ok") is False]
)
async def test_an_invocation_that_fails_there_fails_here_or_is_documented_and_the_host_lives(
    name: str, tmp_path: Path
) -> None:
    outcomes, _ = await invoked(name, load(name, tmp_path), times=2)
    said = PROBES[name].get("invoke", {}).get("error", "")
    assert [outcome.status for outcome in outcomes] == [outcomes[0].status] * 2
    assert outcomes[0].status is Status.FAILED or is_documented(said)
    if "without a $return binding" in said:
        assert "without a $return binding returned a non-None value" in str(outcomes[0].error)


@pytest.mark.parametrize(
    "name", [n for n, probe in PROBES.items() if isinstance(probe.get("init"), dict) and probe["input"]]
)
async def test_what_is_taken_beyond_microsofts_library_runs_or_says_why_not(name: str, tmp_path: Path) -> None:
    app = load(name, tmp_path)
    if reasons := refusals(app):
        assert [reason for reason in reasons if not REASON.match(reason)] == []
        return
    (outcome,), _ = await invoked(name, app)
    assert outcome.ok or REASON.match(str(outcome.error))
