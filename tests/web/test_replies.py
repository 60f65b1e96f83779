"""What a function gives, and the response that comes of it."""

from __future__ import annotations

import json
import re
from typing import Any

import azure.functions as func
import numpy as np
import pytest

from edgefn.web.replies import JSON, TEXT, reply_of


def shown(value: Any) -> tuple[int, str, bytes]:
    reply = reply_of(value)
    return reply.status, dict(reply.headers)[b"content-type"].decode(), reply.body


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Hello", (200, TEXT, b"Hello")),
        ("", (200, TEXT, b"")),
        ("{no json", (200, TEXT, b"{no json")),
        ('{"a": 1}', (200, JSON, b'{"a":1}')),
        ("[1, 2]", (200, JSON, b"[1,2]")),
        ('{"big": 123456789012345678901234567890}', (200, JSON, b'{"big":123456789012345678901234567890}')),
        ('{"body": "text", "status": 418}', (418, TEXT, b"text")),
        ('{"Body": {"a": 1}, "statusCode": "201"}', (201, JSON, b'{"a":1}')),
        ('{"body": null}', (200, TEXT, b"")),
        ('{"body": "<p>", "headers": {"Content-Type": "text/html"}}', (200, "text/html", b"<p>")),
        ("[" * 10_000, (200, TEXT, b"[" * 10_000)),
    ],
)
def test_a_text_is_json_where_it_is_json_and_a_response_where_it_describes_one(value: str, expected: object) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (func.HttpResponse("x"), (200, TEXT, b"x")),
        (func.HttpResponse("é", charset="latin-1"), (200, "text/plain; charset=latin-1", b"\xe9")),
        (func.HttpResponse(b"{}", mimetype="application/json"), (200, "application/json", b"{}")),
        (func.HttpResponse(status_code=404), (404, TEXT, b"")),
        (func.HttpResponse("x", headers={"Content-Type": "a/b"}), (200, "a/b", b"x")),
    ],
)
def test_a_response_keeps_its_status_body_and_content_type(response: func.HttpResponse, expected: object) -> None:
    assert shown(response) == expected


def test_cookies_are_sent_one_by_one_and_headers_of_the_connection_are_the_servers() -> None:
    response = func.HttpResponse("x", headers={"Content-Length": "99", "Connection": "close", "X-Own": " a "})
    response.headers.add("Set-Cookie", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly")
    response.headers.add("Set-Cookie", "b=2")
    headers = reply_of(response).headers
    assert [value for name, value in headers if name == b"set-cookie"] == [
        b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly",
        b"b=2",
    ]
    assert {name for name, _ in headers} == {b"set-cookie", b"x-own", b"content-type"}
    assert reply_of(response).headers == headers


def test_a_described_response_may_set_cookies() -> None:
    cookie = {"name": "a", "value": "b c", "maxAge": 60, "path": "/", "secure": True, "expires": "2026-10-21T07:28:00Z"}
    reply = reply_of(json.dumps({"body": "", "cookies": [cookie]}))
    assert (
        dict(reply.headers)[b"set-cookie"]
        == b"a=b%20c; expires=Wed, 21 Oct 2026 07:28:00 GMT; max-age=60; path=/; secure"
    )


@pytest.mark.parametrize("value", [None, b"x", 5, {"a": 1}, ["x"]])
def test_other_values_are_refused_in_the_words_of_the_library(value: Any) -> None:
    name = type(value).__name__
    with pytest.raises(TypeError, match=f'unable to encode outgoing TypedData: unsupported type "http" .* "{name}"'):
        reply_of(value)


def test_a_picture_is_refused_with_what_to_return() -> None:
    with pytest.raises(TypeError, match=r"HttpResponse\(cv2.imencode\('.jpg', image\)\[1\].tobytes\(\), mimetype="):
        reply_of(np.zeros((48, 64, 3), np.uint8))


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (func.HttpResponse(status_code=99), "status_code should be a number from 200 to 599, found 99"),
        (func.HttpResponse(status_code=1000), "found 1000"),
        (func.HttpResponse(headers={"a b": "x"}), "'a b' is no name of a header"),
        (func.HttpResponse(headers={"x": "\x00"}), "control character"),
        (func.HttpResponse(headers={"x": "€"}), "can not hold"),
        (func.HttpResponse(headers={"Set-Cookie": "a=1; expires=never"}), "Can not parse value never of expires"),
        ('{"body": "", "status": 7}', "found 7"),
        ('{"body": "", "headers": {"x": "a\\nb"}}', "line break"),
        ('{"body": "", "cookies": {"a": 1}}', "cookies should be a list"),
    ],
)
def test_a_response_that_http_can_not_carry_is_an_error_of_the_function(response: Any, fault: str) -> None:
    with pytest.raises((TypeError, ValueError), match=re.escape(fault)):
        reply_of(response)
