"""Requests on real sockets: what a function sees, and what its caller gets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.conftest import AppIn
from tests.web.conftest import ECHO, HEAD, Serve, Site


async def raw(site: Site, request: bytes) -> bytes:
    """All that comes back for bytes on a socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.web.port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_function_sees_the_request_as_azure_gives_it(serve: Serve) -> None:
    site = await serve(ECHO)
    seen = (
        await site.client.put(
            "/API/Echo/a%20b/c%2Fd?x=1&X=2&empty=&y=%C3%A9+z",
            headers=[("X-Twice", "1"), ("x-twice", "2"), ("Content-Type", "text/plain")],
            content=b"\x00\xff",
        )
    ).json()
    assert seen["method"] == "PUT"
    assert seen["url"] == f"http://127.0.0.1:{site.web.port}/API/Echo/a%20b/c%2Fd?x=1&X=2&empty=&y=%C3%A9+z"
    assert seen["params"] == {"x": "1,2", "y": "é z"}
    assert seen["route"] == {"rest": "a b/c%2Fd"}
    assert (seen["headers"]["x-twice"], seen["headers"]["content-type"]) == ("1,2", "text/plain")
    assert seen["body"] == "\x00ÿ"


async def test_a_chunked_body_arrives_whole(serve: Serve) -> None:
    site = await serve(ECHO)

    async def parts() -> Any:
        for part in (b"one, ", b"two, ", b"x" * 300_000):
            yield part

    seen = (await site.client.post("/api/echo", content=parts())).json()
    assert seen["headers"]["transfer-encoding"] == "chunked"
    assert seen["body"] == "one, two, " + "x" * 300_000


async def test_forms_and_files_and_json_are_read_by_azures_own_request(serve: Serve) -> None:
    site = await serve(
        HEAD + "@app.route('f')\ndef f(req: func.HttpRequest):\n"
        "    if not req.form: return str(req.get_json()['b'])\n"
        "    with req.files['p'].stream as part: return req.form['a'] + part.read().decode()"
    )
    assert (await site.client.post("/api/f", data={"a": "x"}, files={"p": b"123"})).text == "x123"
    assert (await site.client.post("/api/f", json={"b": "y"})).text == "y"
    assert (await site.client.post("/api/f", content=b"{")).status_code == 500


@pytest.mark.parametrize(
    ("annotation", "seen"),
    [("", "HttpRequest"), (": func.HttpRequest", "HttpRequest"), (": str", "str"), (": bytes", "bytes")],
)
async def test_the_parameter_is_the_request_or_its_body(serve: Serve, annotation: str, seen: str) -> None:
    site = await serve(HEAD + f"@app.route('f')\ndef f(req{annotation}):\n    return type(req).__name__")
    assert (await site.client.post("/api/f", content=b"x")).text == seen
    assert (await site.client.post("/api/f", content=b"\xff")).status_code == (400 if seen == "str" else 200)


@pytest.mark.parametrize(
    ("returned", "status", "body"),
    [
        ("'x'", 200, "x"),
        ("json.dumps({'a': 1})", 200, '{"a":1}'),
        ("func.HttpResponse('x', status_code=418, mimetype='application/json')", 418, "x"),
        ("func.HttpResponse('x', status_code=204)", 204, ""),
        ("func.HttpResponse('x', status_code=304)", 304, ""),
        ("None", 500, ""),
        ("b'x'", 500, ""),
        ("{'a': 1}", 500, ""),
        ("1", 500, ""),
        ("func.HttpResponse(status_code=7)", 500, ""),
        ("1 / 0", 500, ""),
        ("exit(3)", 500, ""),
    ],
)
async def test_what_a_function_returns_is_the_response(serve: Serve, returned: str, status: int, body: str) -> None:
    site = await serve(HEAD + f"@app.route('r')\ndef f(req: func.HttpRequest):\n    return {returned}")
    response = await site.client.get("/api/r")
    assert (response.status_code, response.text) == (status, body)
    assert site.function("f")["failed"] == (status == 500)


async def test_what_is_no_response_is_told_with_the_place_of_the_function(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    site = await serve(HEAD + "@app.route('r')\ndef f(req: func.HttpRequest):\n    return {}")
    await site.client.get("/api/r")
    assert 'for Python type "dict"; return a str or a func.HttpResponse, in function_app.py:' in caplog.text


async def test_the_response_may_be_set_on_a_named_binding_and_is_204_when_it_is_not(serve: Serve) -> None:
    site = await serve(
        HEAD + "@app.route('r', binding_arg_name='resp')\ndef f(req, resp: func.Out[str]):\n"
        "    if 'x' in req.params: resp.set('x')"
    )
    assert (await site.client.get("/api/r?x=1")).text == "x"
    assert (await site.client.get("/api/r")).status_code == 204


async def test_no_route_and_no_such_method_are_both_404(serve: Serve) -> None:
    site = await serve(HEAD + "@app.route('f', methods=['POST'])\ndef f(req): return 'x'")
    assert [(await site.client.request(*asked)).status_code for asked in [("GET", "/api/f"), ("GET", "/api/g")]] == [
        404
    ] * 2
    assert (await site.client.post("/api/f/")).status_code == 200


async def test_head_has_the_headers_of_get_and_no_body(serve: Serve) -> None:
    site = await serve(HEAD + "@app.route('f')\ndef f(req): return 'four'")
    response = await site.client.head("/api/f")
    assert (response.headers["content-length"], response.content) == ("4", b"")
    assert (await site.client.get("/api/f")).text == "four"


async def test_a_slow_request_holds_up_no_other(serve: Serve) -> None:
    site = await serve(
        HEAD + "GATE, BEGUN = asyncio.Event(), asyncio.Event()\n@app.route('f')\nasync def f(req):\n"
        "    if 'slow' in req.params:\n        BEGUN.set()\n        await GATE.wait()\n    return 'x'"
    )
    module = site.module()
    slow = asyncio.create_task(site.client.get("/api/f?slow=1"))
    await module["BEGUN"].wait()
    assert (await site.client.get("/api/f")).text == "x"
    module["GATE"].set()
    assert (await slow).text == "x"


async def test_requests_of_one_connection_are_answered_in_their_order(serve: Serve) -> None:
    site = await serve(ECHO)
    one = b"GET /api/echo/%d HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /api/echo/2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await raw(site, one % 0 + one % 1 + last)
    assert [answer.index(f'"rest": "{n}"'.encode()) for n in range(3)] == sorted(
        answer.index(f'"rest": "{n}"'.encode()) for n in range(3)
    )


@pytest.mark.parametrize(
    ("request_line", "host", "status"),
    [
        (b"GET /api/echo HTTP/1.1", b"bad host", b"400"),
        (b"GET /api/echo HTTP/1.1", b"a:99999", b"400"),
        (b"GET /api/echo/%ff HTTP/1.1", b"a", b"400"),
        (b"GET /api/echo HTTP/1.0", b"a", b"200"),
        (b"OPTIONS * HTTP/1.1", b"a", b"404"),
        (b"GET http://a/api/echo HTTP/1.1", b"a", b"200"),
        (b"NONSENSE", b"a", b"400"),
    ],
)
async def test_odd_requests_get_an_answer(serve: Serve, request_line: bytes, host: bytes, status: bytes) -> None:
    site = await serve(ECHO)
    answer = await raw(site, request_line + b"\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
    assert answer.split()[1] == status


async def test_the_prefix_and_headers_of_host_json_apply(serve: Serve) -> None:
    http = {"routePrefix": "v1/things", "customHeaders": {"X-Content-Type-Options": "nosniff"}}
    files = {"host.json": json.dumps({"version": "2.0", "extensions": {"http": http}}), "function_app.py": ECHO}
    site = await serve(files)
    response = await site.client.get("/v1/things/echo")
    assert (response.status_code, response.headers["x-content-type-options"]) == (200, "nosniff")
    assert (await site.client.get("/api/echo")).status_code == 404


def test_what_is_taken_and_does_nothing_is_said(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    http = {"dynamicThrottlesEnabled": True, "hsts": {"isEnabled": True, "maxAge": "10"}}
    document = json.dumps({"version": "2.0", "extensions": {"http": http}}, indent=1)
    trigger = {"type": "httpTrigger", "direction": "in", "name": "req", "webHookType": "github"}
    bindings = [trigger, {"type": "http", "direction": "out", "name": "$return"}]
    files = {"h/function.json": json.dumps({"bindings": bindings}), "h/__init__.py": "def main(req): ..."}
    assert app_of({"host.json": document, **files}).functions[0].errors == []
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "host.json:5: extensions.http.dynamicThrottlesEnabled does nothing here; maxOutstandingRequests" in said
    assert "host.json:6: extensions.http.hsts does nothing without HTTPS" in said
    assert "webHookType does nothing since version 2 of Azure Functions" in said


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"routePrefx": "x"}, "host.json:1: extensions.http.routePrefx: unknown option; did you mean 'routePrefix'?"),
        ({"maxOutstandingRequests": "many"}, "maxOutstandingRequests: Input should be a valid integer"),
        ({"routePrefix": "{"}, "routePrefix: it has a { without a }, found '{'"),
        ({"customHeaders": {"a b": "x"}}, "'a b' is no name of a header"),
    ],
)
def test_a_wrong_option_of_host_json_is_named(app_of: AppIn, options: dict[str, Any], fault: str) -> None:
    from edgefn.errors import SettingError

    document = json.dumps({"version": "2.0", "extensions": {"http": options}})
    with pytest.raises(SettingError) as caught:
        app_of({"host.json": document, "function_app.py": ECHO})
    assert fault in str(caught.value)


@pytest.mark.parametrize(
    ("decorator", "signature", "fault"),
    [
        ("route='admin/x'", "req", "The specified route conflicts with one or more built in routes."),
        ("route='a/{b'", "req", "route 'a/{b' can not be read: it has a { without a }"),
        ("route='A', methods=['GET']", "req", "The route specified conflicts with the route defined by function 'a'."),
        (
            "route='x'",
            "req: dict",
            '"httpTrigger" does not match its Python annotation "dict"; func.HttpRequest would do',
        ),
        ("route='x'", "req) -> (int", 'Python return annotation "int" does not match binding type "http"'),
        ("route='x', trigger_extra_fields={'rout': 'y'}", "req", "unknown option 'rout' of httpTrigger"),
    ],
)
async def test_a_wrong_function_is_in_error_and_the_others_answer(
    serve: Serve, decorator: str, signature: str, fault: str
) -> None:
    good = "@app.route('a')\ndef a(req): return 'good'\n"
    site = await serve(HEAD + good + f"@app.route({decorator})\ndef bad({signature}): return 'bad'")
    assert fault in site.function("bad")["errors"][0]
    assert (await site.client.get("/api/a")).text == "good"
    assert (await site.client.get("/api/x")).status_code == 404


async def test_the_method_query_of_newer_libraries_is_taken(serve: Serve) -> None:
    binding = "@app.generic_trigger('req', type='httpTrigger', route='f', methods=['QUERY'], auth_level='ANONYMOUS')\n"
    answers = "@app.generic_output_binding('$return', type='http')\ndef f(req): return req.method\n"
    site = await serve(HEAD + binding + answers)
    assert (await site.client.request("QUERY", "/api/f")).text == "QUERY"


async def test_same_routes_with_other_methods_are_no_conflict(serve: Serve) -> None:
    site = await serve(
        HEAD + "@app.route('x', methods=['GET'])\ndef a(req): return 'a'\n"
        "@app.route('/X/', methods=['POST'])\ndef b(req): return 'b'"
    )
    assert [(await site.client.get("/api/x")).text, (await site.client.post("/api/x")).text] == ["a", "b"]


async def test_a_policy_of_retries_is_not_for_requests(serve: Serve) -> None:
    retry = {"strategy": "fixedDelay", "maxRetryCount": -1, "delayInterval": "00:00:10"}
    files = {
        "host.json": json.dumps({"version": "2.0", "retry": retry}),
        "function_app.py": HEAD + "@app.route('f')\ndef f(req): raise ValueError('no')",
    }
    site = await serve(files)
    assert (await site.client.get("/api/f", timeout=5)).status_code == 500


async def test_a_caller_that_hangs_up_leaves_nothing_behind(serve: Serve) -> None:
    site = await serve(ECHO)
    _, writer = await asyncio.open_connection("127.0.0.1", site.web.port)
    writer.write(b"POST /api/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    await writer.drain()
    await site.answering("echo", 1)
    writer.close()
    await site.answering("echo", 0)
    assert site.function("echo")["invocations"] == 0


async def test_metrics_count_requests_by_function_and_status(serve: Serve) -> None:
    site = await serve(ECHO)
    await asyncio.gather(site.client.get("/api/echo"), site.client.get("/api/echo"), site.client.get("/api/nothing"))
    text = (await site.client.get("/metrics")).text
    assert 'edgefn_http_requests_total{function="echo",status="200"} 2.0' in text
    assert 'edgefn_http_requests_total{function="",status="404"} 1.0' in text
    assert 'edgefn_invocations_total{function="echo",status="ok"} 2.0' in text


async def test_the_landing_page_can_be_switched_off(serve: Serve) -> None:
    site = await serve(ECHO)
    assert "up and running" in (await site.client.get("/")).text


async def test_without_the_landing_page_the_root_is_a_functions_or_empty(serve: Serve) -> None:
    prefix = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
    root = {"host.json": prefix, "function_app.py": HEAD + "@app.route('/')\ndef root(req): return 'mine'"}
    hidden = {"AzureWebJobsDisableHomepage": "true"}
    first = await serve(root, hidden)
    assert (await first.client.get("/")).text == "mine"
    await first.host.stop()
    httpx_response = await (await serve(ECHO, hidden)).client.get("/")
    assert isinstance(httpx_response, httpx.Response)
    assert httpx_response.status_code == 204
