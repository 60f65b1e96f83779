"""Values, return values, and converters of users."""

from __future__ import annotations

# --- what is taken ----------------------------------------------------------------------------------------------------
import re
from typing import Any

import pytest

from edgefn.contracts import Outcome
from tests.conftest import AppIn
from tests.loader.apps import OUT, TRIGGER, errors_of, invoked, module
from tests.ticks import PLUGIN


@pytest.mark.parametrize(
    ("data_type", "annotation", "seen"),
    [("", "", "'5'"), ("", ": bytes", "b'5'"), ("", ": int", "5"), ("binary", "", "b'5'"), ("BINARY", ": str", "'5'")],
)
async def test_the_value_has_the_annotated_type_and_else_that_of_data_type(
    app_of: AppIn, data_type: str, annotation: str, seen: str
) -> None:
    trigger = f"@app.edge_hub_trigger('m', 'i', data_type={data_type or None!r})\n"
    (outcome,), _ = await invoked(app_of(module(f"{trigger}def f(m{annotation}): return repr(m)")), b"5")
    assert outcome.value == seen


CONVERTER = """
from azure.functions import meta
class Reading:
    def __init__(self, text, about): self.text, self.about = text, about
class Converter(meta.InConverter, meta.OutConverter, binding="edgeHub", trigger="edgeHubTrigger"):
    @classmethod
    def check_input_type_annotation(cls, t): return issubclass(t, (Reading, dict))
    @classmethod
    def check_output_type_annotation(cls, t): return issubclass(t, Reading)
    @classmethod
    def decode(cls, data, *, trigger_metadata):
        return Reading(data.value, {k: v.python_value for k, v in trigger_metadata.items()})
    @classmethod
    def encode(cls, obj, *, expected_type):
        if not isinstance(obj, Reading): raise NotImplementedError
        return meta.Datum(obj.text, "string") if obj.text else None
"""


async def invoked_with_converter(app_of: AppIn, code: str, converter: str = CONVERTER) -> tuple[Outcome, list[Any]]:
    (outcome,), sent = await invoked(app_of(module(converter + code)), b"hi", properties={"a": "b"}, message_id="7")
    return outcome, sent


async def test_a_users_converter_makes_the_value_and_the_message(app_of: AppIn) -> None:
    body = "def f(m: Reading, out: func.Out[Reading]):\n    out.set(Reading(m.text * 2, {}))\n    m.about and out.get()"
    outcome, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert (outcome.error, sent) == (None, ["hihi"])


async def test_a_users_converter_gets_what_is_known_of_the_message(app_of: AppIn) -> None:
    body = f"{TRIGGER}{OUT}def f(m, out: func.Out[str]): out.set(str(m.about))"
    _, (about,) = await invoked_with_converter(app_of, body)
    for known in ("'Properties': {'a': 'b'}", "'MessageId': '7'", "'InputName': 'i'", "'message-id': '7'"):
        assert known in about


@pytest.mark.parametrize(
    ("annotation", "seen"), [(": str", "str 'hi'"), (": bytes", "bytes b'hi'"), ("", "Reading"), (": dict", "Reading")]
)
async def test_text_and_bytes_pass_a_users_converter_by(app_of: AppIn, annotation: str, seen: str) -> None:
    body = (
        f"def f(m{annotation}, out: func.Out[str]): out.set(type(m).__name__ + ('' if 'R' in repr(m) else f' {{m!r}}'))"
    )
    _, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert sent == [seen]


async def test_what_a_users_converter_makes_nothing_of_is_not_sent(app_of: AppIn) -> None:
    body = "def f(m, out: func.Out[Reading]): out.set(Reading('', {}))"
    outcome, sent = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}{body}")
    assert (outcome.ok, sent) == (True, [])


async def test_what_a_users_converter_does_not_take_fails_the_invocation(app_of: AppIn) -> None:
    outcome, _ = await invoked_with_converter(app_of, f"{TRIGGER}{OUT}def f(m, out: func.Out[Reading]): out.set(3)")
    assert 'unable to encode outgoing TypedData: unsupported type "edgeHub" for Python type "int"' in str(outcome.error)


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("m: int, out", "binding type \"edgeHubTrigger\" of 'm' does not match its Python type annotation int"),
        ("m, out: func.Out[dict]", "binding type \"edgeHub\" of 'out' does not match its Python type annotation dict"),
        ("m: List[int], out", "the converter of edgeHubTrigger failed on typing.List[int]: TypeError: issubclass()"),
    ],
)
def test_a_type_that_a_users_converter_does_not_take_is_refused(app_of: AppIn, signature: str, reason: str) -> None:
    (error,) = errors_of(app_of(module(f"{CONVERTER}{TRIGGER}{OUT}def f({signature}): ...")))
    assert reason in error
    assert error.startswith("functions/f.py:")


async def test_several_messages_reach_a_users_converter_at_once(app_of: AppIn) -> None:
    decode = "Reading(data.type + str(data.value.string), {k: v.python_value for k, v in trigger_metadata.items()})"
    converter = re.sub(r"return Reading\(data.value.*\)", f"return {decode}", CONVERTER)
    trigger = "@app.edge_hub_trigger('m', 'i', cardinality='many')\n"
    body = "def f(m, out: func.Out[str]): out.set(m.text + str(m.about['MessageIdArray']))"
    _, sent = await invoked_with_converter(app_of, f"{trigger}{OUT}{body}", converter)
    assert sent == ["collection_string['hi']['7']"]


@pytest.mark.parametrize(
    ("converter", "output", "ok"), [("", "", True), (CONVERTER, "", False), (CONVERTER, "generic", True)]
)
async def test_a_value_that_nothing_takes_is_let_go_where_a_binding_is_generic(
    app_of: AppIn, converter: str, output: str, ok: bool
) -> None:
    out = "@app.generic_output_binding('out', type='keep')\n" if output else ""
    code = f"{TRIGGER}{out}def f(m{', out' if out else ''}): return 'x'"
    app = app_of({"functions/ticks.py": PLUGIN, **module(converter + code)})
    (outcome,), _ = await invoked(app, b"hi")
    assert outcome.ok is ok
    if not ok:
        assert "function 'f' without a $return binding returned a non-None value" in str(outcome.error)


def test_an_app_can_be_loaded_again_and_again(app_of: AppIn) -> None:
    code = f"{CONVERTER}{TRIGGER}def f(m: Reading): ..."
    assert [errors_of(app_of(module(code))) for _ in range(3)] == [[], [], []]
