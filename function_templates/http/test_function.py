"""Requests with a name, and without one."""

import json

import azure.functions as func

from functions.__NAME__ import __NAME__

ADDRESS = "http://localhost:7071/api/__NAME__"


def test_the_name_is_taken_from_the_address() -> None:
    answer = __NAME__(func.HttpRequest("GET", ADDRESS, params={"name": "Ada"}, body=b""))
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert json.loads(answer.get_body()) == {"message": "Hello, Ada."}


def test_the_name_is_taken_from_a_json_body() -> None:
    answer = __NAME__(func.HttpRequest("POST", ADDRESS, body=b'{"name": "Ada"}'))
    assert json.loads(answer.get_body()) == {"message": "Hello, Ada."}


def test_a_request_without_a_name_is_refused() -> None:
    assert __NAME__(func.HttpRequest("GET", ADDRESS, body=b"")).status_code == 400
    assert __NAME__(func.HttpRequest("POST", ADDRESS, body=b"[1]")).status_code == 400
