"""The admin endpoints: what runs, run it, drain it, and its keys."""

from __future__ import annotations

import asyncio

import pytest

from tests.ticks import PLUGIN
from tests.web.conftest import HEAD, Serve, Site, until

KINDS = HEAD + (
    "import logging\nSEEN, RAN = [], asyncio.Event()\n"
    "def keep(value):\n    SEEN.append(value)\n    RAN.set()\n"
    "@app.route('Hello/{id?}', methods=['GET', 'POST'])\n"
    "async def Hello(req: func.HttpRequest):\n    keep(req.get_body().decode())\n    return 'x'\n"
    "@app.schedule(arg_name='t', schedule='0 0 0 1 1 *')\n"
    "async def tick(t: func.TimerRequest): keep(t.past_due)\n"
    "@app.generic_trigger(arg_name='m', type='edgeHubTrigger', inputName='in')\n"
    "async def message(m: dict): keep(m)\n"
    "@app.generic_trigger(arg_name='x', type='nothing')\n"
    "async def broken(x): ...\n"
)


async def run(site: Site, name: str, body: str = '{"input": ""}') -> int:
    response = await site.client.post(
        f"/admin/functions/{name}", content=body, headers={"content-type": "application/json"}
    )
    return response.status_code


@pytest.mark.parametrize(
    ("name", "body", "seen"),
    [
        ("tick", '{"input": ""}', False),
        ("TICK", "{}", False),
        ("message", '{"input": "{\\"a\\": 1}"}', {"a": 1}),
        ("message", '{"input": {"a": 2}}', {"a": 2}),
        ("Hello", '{"input": "body"}', "body"),
    ],
)
async def test_a_function_runs_in_the_background_with_the_input_as_its_event(
    serve: Serve, name: str, body: str, seen: object
) -> None:
    site = await serve(KINDS)
    module = site.module()
    assert await run(site, name, body) == 202
    async with asyncio.timeout(5):
        await module["RAN"].wait()
    assert module["SEEN"] == [seen]


async def test_a_body_that_is_not_as_it_should_be_is_the_fault_of_whoever_sent_it(serve: Serve) -> None:
    site = await serve(KINDS, page=True)
    for method, path, body in (
        ("POST", "/admin/functions/Hello", b'{"input": "\xff"}'),
        ("PUT", "/admin/functions/Hello/keys/k", b'{"value": "\xff"}'),
        ("POST", "/admin/edgefn/inputs/in", b'{"body": "\xff"}'),
        ("POST", "/admin/edgefn/inputs/in", b'{"body": "x", "properties": ["a"]}'),
        ("POST", "/admin/edgefn/methods/f", b'"\xff"'),
        ("PATCH", "/admin/edgefn/twin", b'{"a": "\xff"}'),
        ("POST", "/admin/page/desired", b'{"desired": {"a": "\xff"}}'),
        ("POST", "/admin/page/cable", b"\xff"),
        ("POST", "/admin/edgefn/cable", b'{"plugged": "no"}'),
    ):
        answer = await site.client.request(method, path, content=body)
        assert (path, answer.status_code, answer.json().keys()) == (path, 400, {"error"})


async def test_what_can_not_be_run_says_so(serve: Serve) -> None:
    site = await serve(
        {
            "functions/ticks.py": PLUGIN + "app = edgefn.FunctionApp()\n@app.generic_trigger(arg_name='n', "
            "type='ticksTrigger')\nasync def ticks(n): ...",
            "functions/f.py": KINDS,
        }
    )
    expected = {"nobody": 404, "broken": 409, "ticks": 400}
    assert {name: await run(site, name) for name in expected} == expected
    assert [await run(site, "tick", body) for body in ("", "[]", "{")] == [400, 400, 400]


async def test_functions_are_described_as_azure_does(serve: Serve) -> None:
    site = await serve(KINDS)
    listed = (await site.client.get("/admin/functions")).json()
    assert [function["name"] for function in listed] == ["broken", "Hello", "message", "tick"]
    hello = (await site.client.get("/admin/functions/hello")).json()
    assert hello == listed[1]
    assert hello["invoke_url_template"] == f"http://127.0.0.1:{site.web.port}/api/Hello/{{id?}}"
    assert [binding["type"] for binding in hello["config"]["bindings"]] == ["httpTrigger", "http"]
    assert (await site.client.get("/admin/functions/nobody")).status_code == 404


async def test_the_status_of_a_function_is_its_errors(serve: Serve) -> None:
    site = await serve(KINDS)
    assert (await site.client.get("/admin/functions/tick/status")).json() == {}
    broken = (await site.client.get("/admin/functions/broken/status")).json()
    assert "The binding type(s) 'nothing' are not registered" in broken["errors"][0]
    assert (await site.client.get("/admin/functions/nobody/status")).status_code == 404


async def test_the_host_tells_its_state(serve: Serve) -> None:
    site = await serve(KINDS)
    status = (await site.client.get("/admin/host/status")).json()
    assert status["state"] == "Running"
    assert {"id", "version", "versionDetails", "platformVersion", "instanceId", "computerName", "processUptime"} <= set(
        status
    )
    assert (await site.client.post("/admin/host/ping")).status_code == 200
    assert (await site.client.post("/admin/host/synctriggers")).json() == {"status": "success"}
    assert (await site.client.post("/admin/host/restart")).status_code == 501
    assert (await site.client.get("/admin/nothing")).status_code == 404


async def test_a_restart_is_asked_of_whoever_owns_the_process(serve: Serve) -> None:
    site = await serve(KINDS)
    asked = asyncio.Event()
    site.host.restart = asked.set
    assert (await site.client.post("/admin/host/restart")).status_code == 200
    assert asked.is_set()


async def drain_state(site: Site) -> tuple[str, int]:
    status = (await site.client.get("/admin/host/drain/status")).json()
    return status["state"], status["outstandingInvocations"]


async def test_drain_lets_invocations_end_and_resume_listens_again(serve: Serve) -> None:
    site = await serve(
        HEAD + "GATE, BEGUN = asyncio.Event(), asyncio.Event()\n@app.route('f')\nasync def f(req):\n"
        "    BEGUN.set()\n    await GATE.wait()\n    return 'done'"
    )
    module = site.module()

    async def is_drained() -> bool:
        return await drain_state(site) == ("Completed", 0)

    running = asyncio.create_task(site.client.get("/api/f"))
    await module["BEGUN"].wait()
    assert await drain_state(site) == ("Disabled", 1)
    assert (await site.client.post("/admin/host/drain")).status_code == 202
    assert await drain_state(site) == ("InProgress", 1)
    refused = await site.client.get("/api/f")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert (await site.client.get("/health/ready")).json() == {"status": "draining"}
    assert (await site.client.post("/admin/host/resume")).status_code == 409
    module["GATE"].set()
    assert (await running).text == "done"
    await until(is_drained)
    assert (await site.client.post("/admin/host/resume")).json() == {"state": "Running"}
    assert (await site.client.get("/health/ready")).status_code == 200
    assert (await site.client.get("/api/f")).text == "done"


async def test_keys_are_listed_set_renewed_and_deleted(serve: Serve) -> None:
    site = await serve(KINDS, enable_auth=True)
    client = site.client
    client.headers["x-functions-key"] = (site.web.keys.listed("keys") or [])[0]["value"]
    assert [key["name"] for key in (await client.get("/admin/host/keys")).json()["keys"]] == ["_master", "default"]
    put = await client.put("/admin/functions/hello/keys/mine", json={"name": "mine", "value": "v"})
    assert (put.status_code, put.json()) == (201, {"name": "mine", "value": "v"})
    renewed = await client.post("/admin/functions/hello/keys/mine")
    assert renewed.status_code == 200
    assert renewed.json()["value"] != "v"
    assert (await client.get("/admin/functions/Hello/keys/mine")).json() == renewed.json()
    assert (await client.get("/api/hello", headers={"x-functions-key": renewed.json()["value"]})).status_code == 200
    assert (await client.delete("/admin/functions/hello/keys/mine")).status_code == 204
    assert (await client.get("/admin/functions/hello/keys/mine")).status_code == 404


async def test_what_is_wrong_about_keys_is_said(serve: Serve) -> None:
    client = (await serve(KINDS)).client
    assert (await client.get("/admin/functions/nobody/keys")).status_code == 404
    assert (await client.get("/admin/host/nokeys")).status_code == 404
    assert (await client.head("/admin/host/keys/none")).status_code == 404
    assert (await client.put("/admin/host/systemkeys/x", json={"name": "x"})).status_code == 400
    assert (await client.put("/admin/host/systemkeys/x", json={"value": "v"})).status_code == 201
    assert (await client.delete("/admin/host/keys/_master")).status_code == 400


async def test_warm_up_functions_run_again_when_asked(serve: Serve) -> None:
    site = await serve(HEAD + "RUNS = []\n@app.warm_up_trigger('w')\nasync def warm(w): RUNS.append(w)")
    assert (await site.client.get("/admin/warmup")).status_code == 200
    assert len(site.module()["RUNS"]) == 2


async def test_the_whole_status_tells_hub_spool_and_functions(serve: Serve) -> None:
    site = await serve(KINDS)
    status = (await site.client.get("/admin/edgefn/status")).json()
    assert status["hub"]["state"] == "online"
    assert status["spool"]["state"] == "open"
    assert status["functions"]["message"]["trigger"]["input"] == "in"
