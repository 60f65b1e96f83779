"""Apps as people have them for Azure, served unchanged."""

from __future__ import annotations

import json
import logging

import pytest

from tests.conftest import AppIn
from tests.web.conftest import Serve, served

EMPTY_PREFIX = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
FASTAPI = """
from contextlib import asynccontextmanager
import azure.functions as func
from fastapi import FastAPI, Request
from pydantic import BaseModel

LIFE = []

@asynccontextmanager
async def lifespan(app):
    LIFE.append("started")
    yield {"from": "lifespan"}
    LIFE.append("ended")

class Item(BaseModel):
    name: str

web = FastAPI(lifespan=lifespan)

@web.get("/items/{number}")
async def read(number: int, q: str = ""):
    return {"number": number, "q": q}

@web.post("/items", status_code=201)
async def write(item: Item, request: Request):
    return {"name": item.name, "state": request.state._state["from"]}

@web.get("/fails")
async def fails():
    raise ValueError("no")

app = func.AsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
FLASK = """
import azure.functions as func
from flask import Flask, make_response, request

web = Flask(__name__)

@web.route("/hello/<name>", methods=["GET", "POST"])
def hello(name):
    seen = {"name": name, "x": request.args.get("x"), "form": request.form.get("a"), "host": request.host}
    answer = make_response(seen)
    answer.set_cookie("one", "1")
    answer.set_cookie("two", "2")
    return answer

app = func.WsgiFunctionApp(app=web.wsgi_app, http_auth_level=func.AuthLevel.ANONYMOUS)
"""


async def test_fastapi_in_an_asgi_function_app(app_of: AppIn) -> None:
    async with served(app_of({"host.json": EMPTY_PREFIX, "function_app.py": FASTAPI})) as site:
        assert (await site.client.get("/items/5", params={"q": "é"})).json() == {"number": 5, "q": "é"}
        assert (await site.client.get("/items/five")).status_code == 422
        written = await site.client.post("/items", json={"name": "a"})
        assert (written.status_code, written.json()) == (201, {"name": "a", "state": "lifespan"})
        assert "/items/{number}" in (await site.client.get("/openapi.json")).json()["paths"]
        assert (await site.client.get("/fails")).status_code == 500
        assert (await site.client.get("/health/ready")).json()["status"] == "running"
        life = site.module()["LIFE"]
        assert life == ["started"]
    assert life == ["started", "ended"]


async def test_an_asgi_app_that_nobody_called_is_neither_started_nor_ended(app_of: AppIn) -> None:
    async with served(app_of({"host.json": EMPTY_PREFIX, "function_app.py": FASTAPI})) as site:
        life = site.module()["LIFE"]
    assert life == []


async def test_flask_in_a_wsgi_function_app(serve: Serve) -> None:
    site = await serve({"host.json": EMPTY_PREFIX, "function_app.py": FLASK})
    answer = await site.client.post("/hello/a%20b?x=%C3%AB", data={"a": "b"})
    assert answer.json() == {"name": "a b", "x": "ë", "form": "b", "host": f"127.0.0.1:{site.web.port}"}
    assert answer.cookies == {"one": "1", "two": "2"}
    assert (await site.client.get("/nothing")).status_code == 404


async def test_functions_of_function_json_with_a_shared_module(serve: Serve) -> None:
    trigger = {"type": "httpTrigger", "direction": "in", "name": "req", "methods": ["get", "post"]}
    out = {"type": "http", "direction": "out", "name": "$return"}
    quiet = [{**trigger, "route": "quiet/{id:int}"}, {**out, "name": "response"}]
    site = await serve(
        {
            "shared/greeting.py": "def greet(name): return f'Hello, {name}'",
            "HttpOne/function.json": json.dumps({"scriptFile": "__init__.py", "bindings": [trigger, out]}),
            "HttpOne/__init__.py": "import azure.functions as func\nfrom shared.greeting import greet\n"
            "def main(req: func.HttpRequest) -> func.HttpResponse:\n"
            "    return func.HttpResponse(greet(req.params.get('name') or req.get_json()['name']))",
            "Quiet/function.json": json.dumps({"bindings": quiet}),
            "Quiet/__init__.py": "def main(req, response): return None",
            "Loud/function.json": json.dumps({"bindings": [{**trigger, "name": "req"}]}),
            "Loud/__init__.py": "def main(req): return 'to nobody'",
        }
    )
    assert (await site.client.get("/api/HttpOne?name=A")).text == "Hello, A"
    assert (await site.client.post("/api/httpone", json={"name": "B"})).text == "Hello, B"
    assert (await site.client.get("/api/quiet/5")).status_code == 204
    assert (await site.client.get("/api/quiet/five")).status_code == 404
    assert (await site.client.get("/api/Loud")).status_code == 500


async def test_blueprints_in_a_package(serve: Serve) -> None:
    blueprint = "import azure.functions as func\nbp = func.Blueprint()\n"
    blueprint += "@bp.route('{name}')\ndef {name}(req): return '{name}'\n"
    site = await serve(
        {
            "features/__init__.py": "from features.one import bp as one\nfrom features.two import bp as two\n",
            "features/one.py": blueprint.replace("{name}", "one"),
            "features/two.py": blueprint.replace("{name}", "two"),
            "function_app.py": "import azure.functions as func\nimport features\n"
            "app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)\n"
            "app.register_functions(features.one)\napp.register_blueprint(features.two)\n",
        }
    )
    assert [(await site.client.get(f"/api/{name}")).text for name in ("one", "two")] == ["one", "two"]


async def test_log_lines_of_a_request_carry_its_invocation(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    site = await serve(
        "import logging\nimport azure.functions as func\napp = func.FunctionApp()\n@app.route('f')\n"
        "def f(req: func.HttpRequest, context: func.Context):\n    return context.invocation_id"
    )
    invocation = (await site.client.get("/api/f")).text
    reason = "Reason='This function was programmatically called via the host APIs.'"
    assert f"Executing 'Functions.f' ({reason}, Id={invocation})" in caplog.text
    assert f"Executed 'Functions.f' (Succeeded, Id={invocation}, Duration=" in caplog.text
