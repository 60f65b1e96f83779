"""Apps of one module, and what becomes of messages to them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from edgefn.contracts import EdgeMessage, Event, Outcome
from edgefn.function import Function
from edgefn.hookspecs import hookimpl
from edgefn.host import Host
from edgefn.loader import App

HEAD = "import edgefn, azure.functions as func\nfrom typing import *\napp = edgefn.FunctionApp()\n"
TRIGGER = "@app.edge_hub_trigger('m', 'i')\n"
OUT = "@app.edge_hub_output('out', 'o')\n"
LINE = HEAD.count("\n") + 1
"""The line after HEAD."""


def module(code: str) -> dict[str, str]:
    return {"functions/f.py": HEAD + code}


def errors_of(app: App, name: str = "f") -> list[str]:
    return next(function.errors for function in app.functions if function.name == name)


def v1(bindings: list[Any] | str = "", **more: Any) -> str:
    trigger = {"name": "m", "type": "edgeHubTrigger", "direction": "in", "inputName": "i"}
    return json.dumps({"bindings": [trigger] if bindings == "" else bindings, **more}, indent=1)


DECO = """
import functools
def deco(g):
    @functools.wraps(g)
    def w(*a, **k): return g(*a, **k)
    return w
"""
KEYS = st.sampled_from(
    ["name", "type", "direction", "dataType", "inputName", "bindings", "scriptFile", "entryPoint", "disabled", "retry"]
)


class Watch:
    """A plugin that keeps how invocations ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    @hookimpl
    def edgefn_invocation_ended(self, function: Function, event: Event, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


async def invoked(app: App, *bodies: bytes, **properties: Any) -> tuple[list[Outcome], list[Any]]:
    """How the app's functions ended for messages to input ``i``, and the bodies that were sent."""
    watch, host = Watch(), Host(app)
    app.manager.register(watch)
    await host.start()
    for body in bodies:
        await app.services.spool.inbox.on_input(EdgeMessage(body, input_name="i", **properties))
        await app.services.spool.inbox.idle()
    await host.stop()
    lines = (app.services.state / "upstream.jsonl").read_text().splitlines()
    return watch.outcomes, [json.loads(line)["body"] for line in lines]
