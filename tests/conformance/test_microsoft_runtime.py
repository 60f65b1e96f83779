"""The same small apps in Microsoft's own runtime library and in edgefn: what is found, what is refused, what is given.

Where the library is not installed the tests are skipped; the reason says how to install it. Each app has one function
``f``, which gets one event.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import azure.functions as func
import orjson
import pytest

from edgefn.contracts import EdgeMessage, Event, Outcome
from edgefn.function import Binding, RetryPolicy
from edgefn.host import Host, Running
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
        f"{MESSAGE}{RETURN}{OTHER}"
        "def f(m: str, out: func.Out[str]) -> str:\n    out.set('set')\n    return 'returned'"
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
    "a bool": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(True)"),
    "what can not be sent": Sample(f"{MESSAGE}{OUT}def f(m, out): out.set(object())"),
    "returned to nobody": Sample(f"{MESSAGE}def f(m: str): return m"),
    "context": Sample(
        f"{MESSAGE}{OUT}def f(m, out, context: func.Context):\n"
        "    retry, trace = context.retry_context, context.trace_context\n"
        "    out.set([context.function_name, len(context.invocation_id), context.function_directory.endswith('app'),\n"
        "        retry.retry_count, retry.max_retry_count, trace.trace_state, dict(trace.attributes),\n"
        "        hasattr(context.thread_local_storage, 'invocation_id')])"
    ),
    "context, not annotated": Sample(f"{MESSAGE}{OUT}def f(m, out, context): out.set(context.function_name)"),
    "a binding named context": Sample(
        f"{CONTEXT}{OUT}def f(context: str, out): out.set(context)", parameter="context"
    ),
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
    "timer, not annotated": Sample(f"{TIMER}{OUT}def f(m, out): out.set(m.past_due)", TICK),
    "timer as text": Sample(f"{TIMER}{OUT}def f(m: str, out): out.set(json.loads(m)['IsPastDue'])", TICK),
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


@dataclass(frozen=True)
class Beyond:
    """Where edgefn does more, as the column "ours" of the contract asks."""

    sample: Sample
    theirs: str
    """What Microsoft's library does: a pattern of what it says, or ``exit 3``."""
    ours: Any
    """The bodies that edgefn sends, or the pattern of what the invocation fails with."""
    reason: str


MORE = {
    "a dict": Beyond(
        Sample(f"{MESSAGE}{OUT}def f(m: dict, out): out.set(m['n'])"),
        "do not match the corresponding function parameter's Python type annotation dict",
        [1],
        "JSON is read into the annotated type",
    ),
}


# --- theirs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What Microsoft's library makes of all samples."""
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


SAMPLES = {**TAKEN, **REFUSED, **{f"more: {name}": beyond.sample for name, beyond in MORE.items()}}
