"""The same small apps in Microsoft's own runtime library and in edgefn: what is found, what is refused, what is given.

Where the library is not installed the tests are skipped; the reason says how to install it. Each app has one function
``f``, which gets one event.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import azure.functions as func
import orjson
import pytest

from edgefn.contracts import EdgeMessage, Event, Outcome
from edgefn.host import Host
from edgefn.loader import App, load_app
from edgefn.web.http import Slot
from edgefn.web.replies import Reply
from tests.conformance import microsoft

Datum = Mapping[str, Any]

TEXT: Datum = {"string": '{"n": 1}'}
BYTES: Datum = {"bytes": base64.b64encode(b"\x00\xff").decode()}
TICK: Datum = {
    "json": json.dumps({"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": True}),
}
REQUEST: Datum = {
    "http": {
        "method": "POST",
        "url": "http://localhost/api/things/7?q=a",
        "headers": {"content-type": "application/json", "x-one": "1"},
        "params": {"id": "7"},
        "query": {"q": "a"},
        "body": {"bytes": base64.b64encode(b'{"n": 1}').decode()},
    }
}

HEAD = "import json\nimport azure.functions as func\napp = func.FunctionApp(func.AuthLevel.ANONYMOUS)\n"
MESSAGE = '@app.generic_trigger(arg_name="m", type="edgeHubTrigger", inputName="in")\n'
BINARY = '@app.generic_trigger(arg_name="m", type="edgeHubTrigger", inputName="in", data_type="binary")\n'
OUT = '@app.generic_output_binding(arg_name="out", type="edgeHub", outputName="out")\n'
RETURN = '@app.generic_output_binding(arg_name="$return", type="edgeHub", outputName="out")\n'
OTHER = OUT.replace('outputName="out"', 'outputName="other"')
CONTEXT = MESSAGE.replace('"m"', '"context"')
TIMER = '@app.timer_trigger(arg_name="m", schedule="0 */5 * * * *")\n'
ROUTE = '@app.route("things/{id}", methods=["POST"], trigger_arg_name="m")\n'


@dataclass(frozen=True)
class Sample:
    """An app of one file, or of several, and what happens to it."""

    code: str = ""
    event: Datum = field(default_factory=lambda: TEXT)
    files: Mapping[str, str] = field(default_factory=dict)
    parameter: str = "m"

    def write(self, root: Path) -> Path:
        files = {"host.json": '{"version": "2.0"}', **self.files}
        if self.code:
            files["function_app.py"] = HEAD + dedent(self.code)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(dedent(text))
        return root


def v1(code: str, *bindings: str, **files: str) -> Sample:
    """An app of model v1: a trigger of messages, with more bindings, and files by their names without ``.py``."""
    trigger = '{"name": "m", "type": "edgeHubTrigger", "direction": "in", "inputName": "in"}'
    document = f'{{"scriptFile": "__init__.py", "bindings": [{", ".join([trigger, *bindings])}]}}'
    sources = {f"{name.replace('__', '/')}.py": text for name, text in files.items()}
    return Sample(files={"f/function.json": document, "f/__init__.py": code, **sources})


V1_OUT = '{"name": "out", "type": "edgeHub", "direction": "out", "outputName": "out"}'
V1_RETURN = '{"name": "$return", "type": "edgeHub", "direction": "out", "outputName": "out"}'

TAKEN = {
    "text": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]): out.set(m + '!')"),
    "not annotated": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(type(m).__name__)"),
    "bytes": Sample(f"{BINARY}{OUT}def f(m: bytes, out: func.Out[bytes]): out.set(m)", BYTES),
    "bytes, not annotated": Sample(f"{BINARY}{OUT}def f(m, out): out.set(type(m).__name__)", BYTES),
    "async": Sample(f"{MESSAGE}{OUT}async def f(m: str, out: func.Out[str]): out.set(m)"),
    "returned": Sample(f"{MESSAGE}{RETURN}def f(m: str) -> str: return m"),
    "returned bytes": Sample(f"{MESSAGE}{RETURN}def f(m: str) -> bytes: return m.encode()"),
    "returned None": Sample(f"{MESSAGE}{RETURN}def f(m: str) -> str: return None"),
    "returned and set": Sample(
        f"{MESSAGE}{RETURN}{OTHER}def f(m: str, out: func.Out[str]) -> str:\n    out.set('set')\n    return 'returned'"
    ),
    "never set": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]): ..."),
    "set to None": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]): out.set(None)"),
    "taken back": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]):\n    out.set('1')\n    out.set(None)"),
    "set twice": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]):\n    out.set('1')\n    out.set('2')"),
    "read back": Sample(f"{MESSAGE}{OUT}def f(m, out):\n    out.set('1')\n    out.set(out.get() + '2')"),
    "a text that is a list": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]): out.set('[1, {{}}, \"x\"]')"),
    "a dict": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(json.loads(m))"),
    "a list": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set([1, 'x', None])"),
    "a whole number": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(7)"),
    "a number": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(0.5)"),
    "what can not be sent": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(object())"),
    "returned to nobody": Sample(f"{MESSAGE}def f(m: str): return m"),
    "context": Sample(
        f"{MESSAGE}{OUT}def f(m, out, context: func.Context):\n"
        "    retry, trace = context.retry_context, context.trace_context\n"
        "    out.set([context.function_name, len(context.invocation_id), context.function_directory.endswith('app'),\n"
        "        retry.retry_count, retry.max_retry_count, trace.trace_state, dict(trace.attributes)])"
    ),
    "context, not annotated": Sample(f"{MESSAGE}{OUT}def f(m, out, context): out.set(context.function_name)"),
    "a binding named context": Sample(f"{CONTEXT}{OUT}def f(context: str, out): out.set(context)", parameter="context"),
    "annotations as texts": Sample(f"{MESSAGE}{OUT}def f(m: 'str', out: 'func.Out[str]'): out.set(m)"),
    "wrapped": Sample(
        "import functools\ndef loud(call):\n    @functools.wraps(call)\n    def louder(*a, **k): return call(*a, **k)\n"
        f"    return louder\n{MESSAGE}{OUT}@loud\ndef f(m: str, out: func.Out[str]): out.set(m)"
    ),
    "fixed delay": Sample(
        '@app.retry(strategy="fixed_delay", max_retry_count="0", delay_interval="00:01:05")\n'
        f"{MESSAGE}def f(m: str): ..."
    ),
    "exponential backoff": Sample(
        '@app.retry(strategy="exponential_backoff", max_retry_count="0", minimum_interval="00:00:10",\n'
        f'    maximum_interval="01:00:00")\n{MESSAGE}def f(m: str): ...'
    ),
    "another name": Sample(f'@app.function_name("f")\n{MESSAGE}{OUT}def g(m: str, out): out.set(m)'),
    "raises": Sample(f"{MESSAGE}{OUT}def f(m, out):\n    out.set('1')\n    raise ValueError('no, ' + m)"),
    "raises in a coroutine": Sample(f"{MESSAGE}async def f(m): return {{}}['key']"),
    "raises an error of its own": Sample(f"class Sour(Exception): ...\n{MESSAGE}def f(m): raise Sour('milk')"),
    "a blueprint": Sample(
        "from more import more\napp.register_functions(more)",
        files={
            "more.py": "import azure.functions as func\nmore = func.Blueprint()\n"
            + f"{MESSAGE}{OUT}def f(m: str, out: func.Out[str]): out.set(m)".replace("@app", "@more")
        },
    ),
    "timer": Sample(
        f"{TIMER}{OUT}def f(m: func.TimerRequest, out): out.set([m.past_due, m.schedule, m.schedule_status])", TICK
    ),
    "timer, not annotated": Sample(f"{TIMER}{OUT}def f(m, out): out.set(str(m.past_due))", TICK),
    "timer as text": Sample(f"{TIMER}{OUT}def f(m: str, out): out.set([json.loads(m)['IsPastDue']])", TICK),
    "timer that returns": Sample(f"{TIMER}def f(m: func.TimerRequest): return 'x'", TICK),
    "request": Sample(
        f"{ROUTE}def f(m: func.HttpRequest) -> func.HttpResponse:\n"
        "    seen = [m.method, m.url, m.route_params['id'], m.params['q'], m.headers['X-One'], m.get_json()]\n"
        "    return func.HttpResponse(json.dumps(seen), status_code=201, headers={'X-Two': '2'},\n"
        "        mimetype='application/json')",
        REQUEST,
    ),
    "request to a coroutine": Sample(
        f"{ROUTE}async def f(m: func.HttpRequest) -> str: return m.get_body().decode()", REQUEST
    ),
    "response without a body": Sample(f"{ROUTE}def f(m): return func.HttpResponse(status_code=204)", REQUEST),
    "no response": Sample(f"{ROUTE}def f(m): ...", REQUEST),
    "a response that is a dict": Sample(f"{ROUTE}def f(m): return {{'n': 1}}", REQUEST),
    "a request that fails": Sample(f"{ROUTE}def f(m): raise ValueError('no')", REQUEST),
    "v1": v1("def main(m: str, out): out.set(m)", V1_OUT),
    "v1, returned": v1("def main(m: str) -> str: return m", V1_RETURN),
    "v1, relative import": v1("from . import near\ndef main(m, out): out.set(near.X)", V1_OUT, f__near="X = 'near'"),
    "v1, import from the app": v1(
        "from __app__.shared.far import X\nimport shared.far\ndef main(m, out): out.set(X + shared.far.X)",
        V1_OUT,
        shared__far="X = 'far'",
    ),
    "v1, raises": v1("def main(m): raise LookupError('gone')"),
}
"""What both take, and run to the same end."""

REFUSED = {
    "a parameter too many": Sample(f"{MESSAGE}def f(m: str, more): ..."),
    "a parameter too few": Sample(f"{MESSAGE}{OUT}def f(m: str): ..."),
    "a context of another class": Sample(f"{MESSAGE}def f(m: str, context: int): ..."),
    "a context of another name": Sample(f"{MESSAGE}def f(m: str, ctx: func.Context): ..."),
    "Out of nothing": Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out): ..."),
    "Out of an input": Sample(f"{MESSAGE}def f(m: func.Out[str]): ..."),
    "an output that is no Out": Sample(f"{MESSAGE}{OUT}def f(m: str, out: str): ..."),
    "Out returned": Sample(f"{MESSAGE}{RETURN}def f(m: str) -> func.Out[str]: ..."),
    "any arguments": Sample(f"{MESSAGE}def f(m: str, *args): ..."),
    "two triggers": Sample(f"{MESSAGE}{TIMER}def f(m: str): ..."),
    "no trigger": Sample(f"{OUT}def f(out): ..."),
    "two apps": Sample(f"other = func.FunctionApp()\n{MESSAGE}def f(m): ..."),
    "no app": Sample("del app"),
    "a name twice": Sample(f"{MESSAGE}def f(m): ...\n{MESSAGE}def f(m): ..."),
    "an annotation of an unknown name": Sample(f"{MESSAGE}def f(m: 'Unknown'): ..."),
    "a module that is not there": Sample("import not_there"),
    "an error while it is imported": Sample("raise ValueError('not today')"),
    "a timer that is a number": Sample(f"{TIMER}def f(m: int): ...", TICK),
    "a request that is a number": Sample(f"{ROUTE}def f(m: int) -> str: ...", REQUEST),
    "a response that is a number": Sample(f"{ROUTE}def f(m) -> int: ...", REQUEST),
    "v1, a parameter too many": v1("def main(m, more): ..."),
    "v1, a parameter too few": v1("def main(m): ...", V1_OUT),
    "v1, in and out": v1("def main(m, x): ...", '{"name": "x", "type": "edgeHub", "direction": "inout"}'),
    "v1, an input returned": v1("def main(m): ...", '{"name": "$return", "type": "edgeHub", "direction": "in"}'),
    "v1, no function main": v1("def other(m): ..."),
    "v1, a module that is not there": v1("import not_there\ndef main(m): ..."),
}
"""What both refuse."""


OWN_WORDS = {
    "an output that is no Out": "but its annotation is not azure.functions.Out in Python",
    "a name twice": "does not have a unique function name",
    "a module that is not there": "No module named 'not_there'",
    "v1, a module that is not there": "No module named 'not_there'",
    "a timer that is a number": "a timer can not become int",
    "a request that is a number": 'binding "httpTrigger" does not match its Python annotation "int"',
    "two triggers": "A trigger was already registered to this function.",
    "v1, no function main": "cannot load the f function: function main() is not present in f/__init__.py",
    "what can not be sent": "a object can not be sent as JSON",
    "timer that returns": "function 'f' without a $return binding returned a non-None value",
}
"""What edgefn says where it does not repeat Microsoft's words: shorter, or without what only their worker has."""


@dataclass(frozen=True)
class Beyond:
    """Where edgefn does more, as the column "ours" of the contract asks."""

    sample: Sample
    theirs: str
    """What Microsoft's library does: a pattern of what it says, of what it sends, or ``exit 3``."""
    sent: Sequence[Any] | None
    """The bodies that edgefn sends; None where its invocation fails, and its host lives."""
    reason: str


ANNOTATED = "do not match the corresponding function parameter's Python type annotation"
MORE = {
    "a dict in": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: dict, out): out.set(m['n'])"), f"{ANNOTATED} dict", [1], "JSON is read"
    ),
    "a number in": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: int, out): out.set(m + 1)", {"string": "5"}),
        f"{ANNOTATED} int",
        [6],
        "JSON is read",
    ),
    "a list in": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: list[int], out): out.set(sum(m))", {"string": "[1, 2]"}),
        "has invalid non-type annotation",
        [3],
        "JSON is read",
    ),
    "a bytearray in": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: bytearray, out): out.set(type(m).__name__)"),
        f"{ANNOTATED} bytearray",
        ["bytearray"],
        "bytes that may be changed are as good",
    ),
    "bytes in, sent as text": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: bytes, out): out.set(type(m).__name__)"),
        "'str'",
        ["bytes"],
        "the annotation says bytes; Microsoft's needs dataType binary for that",
    ),
    "an optional in": Beyond(
        Sample(f"from typing import Optional\n{MESSAGE}{OUT}def f(m: Optional[str], out): out.set(m)"),
        "has invalid non-type annotation",
        [{"n": 1}],
        "the first type that is no None",
    ),
    "Out of a dict": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[dict]): out.set({{'a': m}})"),
        f"{ANNOTATED} dict",
        [{"a": '{"n": 1}'}],
        "Out takes what can be sent",
    ),
    "Out of a list": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: str, out: func.Out[list[str]]): out.set(['a', 'b'])"),
        "has invalid non-type annotation",
        ["a", "b"],
        "Out takes what can be sent, one message for each element",
    ),
    "a dict returned": Beyond(
        Sample(f"{MESSAGE}{RETURN}def f(m: str) -> dict: return {{'a': m}}"),
        'return annotation "dict" does not match binding type "edgeHub"',
        [{"a": '{"n": 1}'}],
        "$return takes what can be sent",
    ),
    "None returned": Beyond(
        Sample(f"{MESSAGE}{RETURN}def f(m: str) -> None: ..."),
        'return annotation "NoneType" does not match binding type "edgeHub"',
        [],
        "nothing is sent for None",
    ),
    "a bool": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(True)"), "'int': 1", [True], "JSON has a true of its own"
    ),
    "what can not be sent goes nowhere": Beyond(
        Sample(f"{MESSAGE}def f(m): return object()"), "unable to encode outgoing", [], "what is let go is not encoded"
    ),
    "a default": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m, out, more=3): out.set(more)"),
        "declared in Python but not in the function definition",
        [3],
        "a parameter with a default needs no binding",
    ),
    "a wrapped coroutine": Beyond(
        Sample(
            "import functools\ndef loud(call):\n    @functools.wraps(call)\n    def louder(**k): return call(**k)\n"
            f"    return louder\n{MESSAGE}{OUT}@loud\nasync def f(m: str, out: func.Out[str]): out.set(m)"
        ),
        'for Python type "coroutine"',
        [{"n": 1}],
        "what it gives is awaited",
    ),
    "two names for one app": Beyond(
        Sample(f"main = app\n{MESSAGE}{OUT}def f(m, out): out.set(m)"),
        "More than one FunctionApp",
        [{"n": 1}],
        "it is one app",
    ),
    "another function that is wrong": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(m)\n{MESSAGE}def g(m, more): ..."),
        "cannot load the g function",
        [{"n": 1}],
        "only the function that is wrong does not run",
    ),
    "the spelling of function.json": Beyond(
        Sample(
            f'@app.retry(strategy="fixedDelay", max_retry_count="0", delay_interval="00:00:05")\n{MESSAGE}{OUT}'
            "def f(m, out): out.set(m)"
        ),
        "'retry_strategy': 'fixedDelay', 'minimum_interval': 0.0",
        [{"n": 1}],
        "Microsoft's takes it for the other strategy, without its interval",
    ),
    "an exit": Beyond(
        Sample(f"{MESSAGE}async def f(m): raise SystemExit(3)"), "exit 3", None, "one event does not end the process"
    ),
}
SAMPLES = {**TAKEN, **REFUSED, **{name: beyond.sample for name, beyond in MORE.items()}}


# --- what Microsoft's library makes of them ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The facts of all samples, by name, as microsoft.py describes them."""
    python = microsoft.interpreter()
    if python is None:
        pytest.skip(microsoft.INSTALL)
    apps = []
    for name, sample in SAMPLES.items():
        root = sample.write(tmp_path_factory.mktemp("theirs") / "app")
        events = [{"function": "f", "inputs": {sample.parameter: sample.event}}]
        apps.append({"name": name, "root": str(root), "events": events})
    ran = subprocess.run(
        [python, microsoft.__file__], input=json.dumps(apps), capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, f"{python} can not run Microsoft's library: {ran.stderr}"
    facts: dict[str, Any] = json.loads(ran.stdout)
    return facts


def refusal(facts: Mapping[str, Any]) -> str | None:
    """Why the app, or its function, is refused."""
    return facts["refused"] or next((f["error"] for f in facts["functions"].values() if f["error"]), None)


def bodies(facts: Mapping[str, Any]) -> dict[str, list[Any]]:
    """What Azure's host sends for what the library gives, by output: one message for each element of a list."""
    (ended,) = facts["invocations"]
    bindings = facts["functions"]["f"]["bindings"]
    names = {binding["name"]: binding.get("outputName") for binding in bindings if binding["type"] == "edgeHub"}
    given = {**ended["outputs"], "$return": ended["returned"]}
    sent: dict[str, list[Any]] = {}
    for name, datum in given.items():
        if datum is not None and name in names:
            value = value_of(datum)
            sent[names[name]] = value if isinstance(value, list) else [value]
    return sent


def value_of(datum: Datum) -> Any:
    """A datum's value; that of a text or of bytes read as JSON where it is JSON."""
    ((kind, value),) = datum.items()
    value = base64.b64decode(value) if kind == "bytes" else value
    return as_json(value) if isinstance(value, str | bytes) else value


def as_json(value: str | bytes) -> Any:
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return value


def spaced(text: str) -> str:
    """A text with one space between its words."""
    return " ".join(text.split())


def plain(binding: Mapping[str, Any]) -> dict[str, Any]:
    """A binding with its enum values in lower case."""
    return {key: value if key in ("name", "type") else _lower(value) for key, value in binding.items()}


def _lower(value: Any) -> Any:
    return [_lower(item) for item in value] if isinstance(value, list) else str(value).lower()


# --- what edgefn makes of them -----------------------------------------------------------------------------------


@dataclass
class Ended:
    """How an invocation of ours ended."""

    outcome: Outcome
    reply: Reply | None
    sent: dict[str, list[Any]]


def loaded(sample: Sample, folder: Path) -> App:
    return load_app(sample.write(folder / "app"), environment={}, state=folder / "state")


def refusals(app: App) -> str:
    return "\n".join([*app.errors, *(error for function in app.functions for error in function.errors)])


async def invoked(sample: Sample, app: App) -> Ended:
    """Runs ``f`` for the event of the sample, as its listener would."""
    host = Host(app)
    await host.start()
    running = next(running for running in host.running if running.function.name == "f")
    slot = Slot()
    assert running.invoker is not None
    outcome = await running.invoker.emit(Event(event_value(sample), metadata={"reply": slot}))
    await host.stop()
    sent: dict[str, list[Any]] = {}
    for line in (app.services.state / "upstream.jsonl").read_bytes().splitlines():
        message = orjson.loads(line)
        body = base64.b64decode(message["bodyBase64"]) if "bodyBase64" in message else message["body"]
        sent.setdefault(message["output"], []).append(body)
    return Ended(outcome, slot.reply, sent)


def event_value(sample: Sample) -> Any:
    """The event's value as the triggers of edgefn give it."""
    ((kind, value),) = sample.event.items()
    if kind == "json":
        return value
    if kind == "http":
        body = base64.b64decode(value["body"]["bytes"])
        return func.HttpRequest(
            method=value["method"],
            url=value["url"],
            headers=value["headers"],
            params=value["query"],
            route_params=value["params"],
            body=body,
        )
    return EdgeMessage(base64.b64decode(value) if kind == "bytes" else value.encode())


# --- indexing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TAKEN)
def test_an_app_gives_the_same_functions_with_the_same_bindings(
    name: str, theirs: Mapping[str, Any], tmp_path: Path
) -> None:
    app = loaded(TAKEN[name], tmp_path)
    assert refusal(theirs[name]) is None
    assert refusals(app) == ""
    assert {function.name: [plain(binding.json()) for binding in function.bindings] for function in app.functions} == {
        function: [plain(binding) for binding in found["bindings"]]
        for function, found in theirs[name]["functions"].items()
    }


@pytest.mark.parametrize("name", ["fixed delay", "exponential backoff"])
def test_a_retry_policy_has_the_same_numbers(name: str, theirs: Mapping[str, Any], tmp_path: Path) -> None:
    (function,) = loaded(TAKEN[name], tmp_path).functions
    expected = theirs[name]["functions"]["f"]["retry"]
    assert function.retry is not None
    assert function.retry.strategy.lower() == expected.pop("retry_strategy").replace("_", "")
    assert {key: getattr(function.retry, key) for key in expected} == expected


@pytest.mark.parametrize("name", REFUSED)
def test_what_one_refuses_the_other_refuses_in_the_same_words(
    name: str, theirs: Mapping[str, Any], tmp_path: Path
) -> None:
    said = refusal(theirs[name])
    assert said is not None
    words = OWN_WORDS.get(name) or said.partition(": ")[2].replace("\N{EM DASH}", "-").rstrip(".")
    assert spaced(words) in spaced(refusals(loaded(REFUSED[name], tmp_path)))


# --- invocations -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TAKEN)
async def test_an_invocation_ends_the_same_and_sends_the_same(
    name: str, theirs: Mapping[str, Any], tmp_path: Path
) -> None:
    (expected,) = theirs[name]["invocations"]
    ended = await invoked(TAKEN[name], loaded(TAKEN[name], tmp_path))
    error = ended.outcome.error
    assert (error is None) is (expected["error"] is None)
    if error is not None:
        words = OWN_WORDS.get(name) or expected["error"]
        assert words in f"{type(error).__name__}: {error}"
    assert ended.sent == bodies(theirs[name])


@pytest.mark.parametrize("name", [name for name, sample in TAKEN.items() if sample.event is REQUEST])
async def test_a_response_is_the_same(name: str, theirs: Mapping[str, Any], tmp_path: Path) -> None:
    returned = theirs[name]["invocations"][0]["returned"]
    reply = (await invoked(TAKEN[name], loaded(TAKEN[name], tmp_path))).reply
    if returned is None:
        assert reply is None
        return
    assert reply is not None
    response = returned.get("http") or {"status": "200", "headers": {}, "body": returned}
    headers = {name.decode(): value.decode() for name, value in reply.headers}
    assert str(reply.status) == response["status"]
    assert as_json(reply.body) == value_of(response["body"])
    assert headers.items() >= {name.lower(): value for name, value in response["headers"].items()}.items()


# --- beyond ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MORE)
async def test_where_edgefn_does_more_microsofts_library_does_not_and_edgefn_does(
    name: str, theirs: Mapping[str, Any], tmp_path: Path
) -> None:
    beyond, facts = MORE[name], theirs[name]
    shown = f"exit {facts['exit']} {facts.get('refused')} {facts.get('functions')} {facts.get('invocations')}"
    assert re.search(beyond.theirs, shown)
    app = loaded(beyond.sample, tmp_path)
    assert next(function for function in app.functions if function.name == "f").errors == []
    ended = await invoked(beyond.sample, app)
    assert ended.outcome.ok is (beyond.sent is not None)
    assert ended.sent == ({"out": beyond.sent} if beyond.sent else {})
