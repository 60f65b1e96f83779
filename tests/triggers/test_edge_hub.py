"""Messages of an input, as the types that a parameter may be annotated with."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from tests.conftest import AppIn
from tests.ticks import HEAD, PLUGIN


async def seen(app_of: AppIn, parameter: str, bodies: list[bytes], options: str = "") -> list[Any]:
    """The values that a function with this parameter sees, as ``repr`` gives them."""
    code = f"""{HEAD}
from typing import Any, Optional
from dataclasses import dataclass
@dataclass
class Point:
    x: int
@app.edge_hub_trigger("m", "Input1"{options})
@app.generic_output_binding(arg_name="out", type="keep")
def f({parameter}, out):
    out.set(repr(m))
"""
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": code}))
    assert host.running[0].function.errors == []
    await host.start()
    for number, body in enumerate(bodies):
        await host.app.services.spool.inbox.on_input(EdgeMessage(body, message_id=str(number), input_name="input1"))
    await host.stop()
    kept: list[Any] = host.status()["functions"]["f"]["outputs"]["out"]["kept"]
    return kept


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("m", """'{"x": 1}'"""),
        ("m: str", """'{"x": 1}'"""),
        ("m: bytes", """b'{"x": 1}'"""),
        ("m: dict", "{'x': 1}"),
        ("m: dict[str, int]", "{'x': 1}"),
        ("m: Optional[dict]", "{'x': 1}"),
        ("m: dict | None", "{'x': 1}"),
        ("m: Point", "Point(x=1)"),
    ],
)
async def test_a_message_becomes_what_the_parameter_is_annotated_with(
    app_of: AppIn, parameter: str, value: str
) -> None:
    assert await seen(app_of, parameter, [b'{"x": 1}']) == [value]


@pytest.mark.parametrize("parameter", ["m: edgefn.EdgeMessage", "m: Any"])
async def test_the_whole_message_has_its_id_and_input(app_of: AppIn, parameter: str) -> None:
    value = (await seen(app_of, parameter, [b"1"]))[0]
    assert "message_id='0'" in value
    assert "input_name='input1'" in value


async def test_messages_run_in_the_order_in_which_they_came(app_of: AppIn) -> None:
    assert await seen(app_of, "m: int", [b"%d" % n for n in range(100)]) == [str(n) for n in range(100)]


async def test_many_messages_come_as_a_list(app_of: AppIn) -> None:
    lists = await seen(app_of, "m: list[int]", [b"%d" % n for n in range(10)], ', cardinality="many", max_batch_size=4')
    assert [n for text in lists for n in eval(text)] == list(range(10))
    assert max(len(eval(text)) for text in lists) <= 4


async def test_several_functions_on_one_input_each_get_the_message(app_of: AppIn) -> None:
    code = HEAD + "".join(
        f"@app.edge_hub_trigger('m', 'in')\n@app.generic_output_binding(arg_name='out', type='keep')\n"
        f"def {name}(m: int, out): out.set(m)\n"
        for name in ("one", "two")
    )
    host = Host(app_of({"functions/ticks.py": PLUGIN, "functions/f.py": code}))
    await host.start()
    await host.app.services.spool.inbox.on_input(EdgeMessage(b"7", input_name="IN"))
    await host.stop()
    functions = host.status()["functions"]
    assert [functions[name]["outputs"]["out"]["kept"] for name in ("one", "two")] == [[7], [7]]


async def test_a_function_that_is_slow_holds_up_no_other_on_its_input(app_of: AppIn) -> None:
    code = f"""{HEAD}
GO, ALL, SEEN = asyncio.Event(), asyncio.Event(), []
@app.edge_hub_trigger("m", "in")
async def slow(m: int): await GO.wait()
@app.edge_hub_trigger("m", "in")
async def quick(m: int):
    SEEN.append(m)
    if m == 4: ALL.set()
"""
    host = Host(app_of({"functions/f.py": code}))
    await host.start()
    module = sys.modules["functions.f"]
    for number in range(5):
        await host.app.services.spool.inbox.on_input(EdgeMessage(b"%d" % number, input_name="in"))
    async with asyncio.timeout(30):
        await module.ALL.wait()
    assert host.status()["functions"]["slow"]["invocations"] == 0
    module.GO.set()
    await host.stop()
    assert module.SEEN == [0, 1, 2, 3, 4]
    assert host.status()["functions"]["slow"]["invocations"] == 5


@pytest.mark.parametrize(
    ("parameter", "options", "said"),
    [
        ("m: 'Missing'", "", "annotations can not be resolved"),
        ("m: edgefn.Session", "", "a message can not become Session; EdgeMessage, str, bytes"),
        ("m: str", ", cardinality='many'", "cardinality 'many' gives a list; str is none"),
        ("m", ", max_concurrency=0", "option 'max_concurrency' of edgeHubTrigger"),
        ("m", ", inputname='x'", "unknown option 'inputname' of edgeHubTrigger; did you mean 'input_name'?"),
    ],
)
def test_what_does_not_fit_is_an_error_of_the_function(app_of: AppIn, parameter: str, options: str, said: str) -> None:
    code = f"{HEAD}@app.edge_hub_trigger('m', 'in'{options})\ndef f({parameter}): ..."
    assert said in "\n".join(app_of({"functions/f.py": code}).functions[0].errors)
