"""Direct methods of functions: what they get, what they answer, and what is answered in their place."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from edgefn.contracts import MethodReply, MethodRequest
from edgefn.methods import Methods
from edgefn.metrics import Metrics
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, steered, until


def app_with(app_of: AppIn, code: str, **files: str) -> Any:
    return app_of({"host.json": QUICK, "functions/f.py": HEAD + code, **files})


def method(parameter: str = "p", body: str = "return p", name: str = "m") -> str:
    return f"@app.direct_method_trigger('p', '{name}')\nasync def {name}({parameter}):\n    {body}\n"


@pytest.mark.parametrize(
    ("body", "reply"),
    [
        ("return p", (200, {"a": 1})),
        ("return 202, p", (202, {"a": 1})),
        ("return (404, None)", (404, {})),
        ("return None", (200, {})),
        ("return [1, 'two']", (200, [1, "two"])),
        ("return (1, 2, 3)", (200, [1, 2, 3])),
        ("return (True, 'yes')", (200, [True, "yes"])),
        ("return 0", (200, 0)),
    ],
)
async def test_what_a_function_returns_is_the_answer(app_of: AppIn, body: str, reply: tuple[int, Any]) -> None:
    async with steered(app_with(app_of, method(body=body))) as site:
        assert await site.call("m", {"a": 1}) == reply


@pytest.mark.parametrize(
    ("parameter", "payload", "seen"),
    [
        ("p", {"a": [1]}, "{'a': [1]}"),
        ("p", None, "None"),
        ("p: dict", {}, "{}"),
        ("p: int", 5, "5"),
        ("p: int", "5", "5"),
        ("p: float", 5, "5.0"),
        ("p: str", "text", "'text'"),
        ("p: bool", "yes", "True"),
        ("p: list[int]", ["1", 2], "[1, 2]"),
        ("p: int | None", None, "None"),
        ("p: Literal['on', 'off']", "on", "'on'"),
    ],
)
async def test_the_payload_becomes_the_annotated_type(app_of: AppIn, parameter: str, payload: Any, seen: str) -> None:
    async with steered(app_with(app_of, method(parameter, "return repr(p)"))) as site:
        assert await site.call("m", payload) == (200, seen)


async def test_a_payload_that_does_not_fit_is_answered_400(app_of: AppIn) -> None:
    async with steered(app_with(app_of, method("p: dict[str, int]", "return p"))) as site:
        status, answer = await site.call("m", {"a": "x"})
        assert status == 400
        assert answer["Response"].startswith(
            "functions/f.py:6: the event does not fit parameter 'p' of function 'm': a: Input should be a valid integer"
        )
        assert site.function("m")["failed"] == 1


async def test_a_function_that_raises_is_answered_500_without_a_traceback(app_of: AppIn) -> None:
    body = "raise ValueError('no camera at rtsp://user:secret@box/1\\nsecond line')"
    async with steered(app_with(app_of, method(body=body))) as site:
        assert await site.call("m") == (500, {"Response": "ValueError: no camera at rtsp://***@box/1"})


async def test_an_answer_that_is_no_json_or_too_large_is_500(app_of: AppIn) -> None:
    code = method(body="return object()") + method(name="large", body="return 'x' * 200_000")
    async with steered(app_with(app_of, code)) as site:
        status, answer = await site.call("m")
        assert (status, "a object can not be sent as JSON" in answer["Response"]) == (500, True)
        assert await site.call("large") == (
            500,
            {"Response": "the answer has 200002 bytes, and that of a direct method 131072 at most"},
        )


async def test_a_function_that_takes_too_long_is_answered_504(app_of: AppIn) -> None:
    code = "@app.function_timeout(1)\n" + method(body="await asyncio.sleep(60)")
    async with steered(app_with(app_of, code)) as site:
        assert await site.call("m") == (504, {"Response": "function 'm' ran into its time-out"})


async def test_a_method_is_answered_while_others_run_and_on_threads_too(app_of: AppIn) -> None:
    code = "GATE = asyncio.Event()\n" + method(name="slow", body="await GATE.wait()\n    return 'slow'")
    code += "@app.direct_method_trigger('p', 'plain')\ndef plain(p):\n    return 'plain'\n"
    async with steered(app_with(app_of, code)) as site:
        slow = [asyncio.create_task(site.call("slow")) for _ in range(3)]
        await until(lambda: site.function("slow")["trigger"]["answering"] == 3)
        assert await site.call("plain") == (200, "plain")
        site.module().GATE.set()
        assert await asyncio.gather(*slow) == [(200, "slow")] * 3


async def test_names_match_in_any_case_and_an_unknown_one_is_404(app_of: AppIn) -> None:
    async with steered(app_with(app_of, method(body="return 1", name="SetZoom"))) as site:
        assert await site.call("setzoom") == (200, 1)
        assert await site.call("SetFocus") == (404, {"Response": "Direct method not defined: SetFocus"})


def test_two_functions_with_one_method_are_an_error_of_the_second(app_of: AppIn) -> None:
    code = "@app.direct_method_trigger('p', 'zoom')\ndef one(p): ...\n"
    code += "@app.direct_method_trigger('p', 'Zoom')\ndef two(p): ...\n"
    one, two = app_with(app_of, code).functions
    assert one.errors == []
    assert two.errors == [
        "functions/f.py:7: directMethodTrigger 'p' of function 'two': function 'one' answers the direct method 'Zoom' "
        "already; give one of them another methodName"
    ]


async def test_a_function_has_its_method_before_the_host(app_of: AppIn) -> None:
    async with steered(app_with(app_of, method(body="return 'mine'", name="ping"))) as site:
        assert await site.call("ping") == (200, "mine")


async def test_a_method_whose_function_does_not_run_is_answered_503(app_of: AppIn) -> None:
    async with steered(app_with(app_of, method(body="return 1"))) as site:
        await site.host.drain()
        assert await site.call("m") == (
            503,
            {"Response": "Direct method m has no answer now: function 'm' does not run"},
        )
        await site.host.resume()
        assert await site.call("m") == (200, 1)


async def test_a_call_that_outlives_the_host_is_answered_503(app_of: AppIn) -> None:
    app = app_with(app_of, method(body="await asyncio.sleep(60)"))
    async with steered(app, grace=0.1) as site:
        call = asyncio.create_task(site.call("m"))
        await until(lambda: site.function("m")["in_flight"] == 1)
    assert await call == (503, {"Response": "function 'm' was stopped before it could answer"})


@pytest.mark.parametrize(
    ("annotation", "said"),
    [
        ("object()", "a payload can not become <object"),
        ("type(asyncio)", "a payload can not become module; dict, list"),
    ],
)
def test_a_type_that_no_payload_can_become_is_refused_at_load(app_of: AppIn, annotation: str, said: str) -> None:
    (function,) = app_with(app_of, method(f"p: {annotation}")).functions
    assert said in function.errors[0]


# --- the table of methods ----------------------------------------------------------------------------------------


class Counting:
    """Answers with the number of the call, once it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.gate = asyncio.Event()

    async def __call__(self, payload: Any) -> MethodReply:
        self.calls += 1
        await self.gate.wait()
        return MethodReply(200, self.calls)


async def test_a_request_that_comes_again_while_it_runs_gets_the_one_answer() -> None:
    methods, answer = Methods(Metrics()), Counting()
    methods.serve("m", answer)
    first, again = (asyncio.create_task(methods.answer(MethodRequest("7", "m", 1))) for _ in range(2))
    await until(lambda: answer.calls == 1)
    answer.gate.set()
    assert (await first).payload == (await again).payload == 1


async def test_other_requests_with_the_same_id_are_run() -> None:
    methods, answer = Methods(Metrics()), Counting()
    methods.serve("m", answer)
    requests = [MethodRequest("7", "m", 1), MethodRequest("7", "m", 2), MethodRequest("", "m"), MethodRequest("", "m")]
    calls = [asyncio.create_task(methods.answer(request)) for request in requests]
    await until(lambda: answer.calls == 4)
    answer.gate.set()
    await asyncio.gather(*calls)
    assert (await methods.answer(requests[0])).payload == 5, "a hub may count its requests anew"


async def test_too_many_requests_at_once_are_turned_away() -> None:
    methods, answer = Methods(Metrics()), Counting()
    methods.serve("m", answer)
    calls = [asyncio.create_task(methods.answer(MethodRequest(str(n), "m"))) for n in range(101)]
    await until(lambda: calls[-1].done())
    assert (await calls[-1]).status == 429
    answer.gate.set()
    assert {reply.status for reply in await asyncio.gather(*calls[:-1])} == {200}


async def test_a_method_of_a_plugin_that_raises_is_answered_500(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(payload: Any) -> Any:
        raise KeyError("lost")

    methods = Methods(Metrics())
    methods.offer({"Broken": broken})
    assert (await methods.answer(MethodRequest("1", "broken"))).status == 500
    assert "Direct method 'broken' failed" in caplog.text
