"""What a function gives as its answer, and the HTTP response that Azure's host makes of it."""

from __future__ import annotations

import email.utils
import functools
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import quote

import orjson
from azure.functions._abc import HttpResponse

from edgefn.contracts import VideoFrame

Header = tuple[bytes, bytes]

TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
UNFIT = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
OWN = frozenset({b"content-length", b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
"""Headers that belong to the connection: the server writes them."""
WITHOUT_BODY = frozenset({204, 205, 304})
TEXT = "text/plain; charset=utf-8"
JSON = "application/json; charset=utf-8"
TEXT_HEADER = (b"content-type", TEXT.encode())
JSON_HEADER = (b"content-type", JSON.encode())
JSON_STARTS = frozenset('{["-0123456789tfn \t\r\n')


@dataclass(slots=True)
class Reply:
    """A response, ready to be written."""

    status: int
    headers: list[Header] = field(default_factory=list)
    body: bytes = b""


def reply_of(value: Any) -> Reply:
    """The response for what a function returns or sets; raises TypeError or ValueError for what can not be one."""
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, HttpResponse):
        return _of_response(value)
    is_picture = isinstance(value, VideoFrame) or hasattr(value, "dtype")
    how = "(cv2.imencode('.jpg', image)[1].tobytes(), mimetype='image/jpeg')" if is_picture else ""
    raise TypeError(
        f'unable to encode outgoing TypedData: unsupported type "http" for Python type "{type(value).__name__}"; '
        f"return a str or a func.HttpResponse{how}"
    )


def plain(status: int, text: str = "", *headers: Header) -> Reply:
    """A response of the host's own."""
    return Reply(status, [*headers, TEXT_HEADER] if text else list(headers), text.encode())


@functools.lru_cache(maxsize=512)
def header(name: str, text: str) -> Header:
    """A header as it is written; raises TypeError for what HTTP can not carry."""
    try:
        key, value = name.lower().encode("ascii"), text.strip().encode("latin-1")
    except UnicodeEncodeError:
        raise TypeError(f"header '{name}' can not be sent: it has letters that HTTP headers can not hold") from None
    if not TOKEN.fullmatch(key):
        raise TypeError(f"'{name}' is no name of a header")
    if UNFIT.search(value):
        raise TypeError(f"header '{name}' can not be sent: it has a line break or another control character")
    return key, value


def _of_response(response: Any) -> Reply:
    headers: list[Header] = []
    typed = False
    for name, text in response.headers.items():
        pair = header(str(name), str(text))
        if pair[0] == b"content-type":
            typed = True
        elif pair[0] == b"set-cookie":
            _check_cookie(str(text))
        if pair[0] not in OWN:
            headers.append(pair)
    if not typed:
        kind = response.mimetype
        headers.append(header("content-type", f"{kind}; charset={response.charset}" if kind[:5] == "text/" else kind))
    return Reply(_status(response.status_code), headers, response.get_body() or b"")


def _status(declared: Any) -> int:
    try:
        status = int(declared)
    except (TypeError, ValueError):
        status = 0
    if not 200 <= status <= 599:
        raise TypeError(f"status_code should be a number from 200 to 599, found {declared!r}")
    return status


def _check_cookie(text: str) -> None:
    """Raises ValueError, as Azure's worker does, when a cookie expires at a time that can not be read."""
    try:
        cookies = SimpleCookie(text)
    except CookieError:
        return
    for cookie in cookies.values():
        if (moment := cookie["expires"]) and not _is_moment(moment):
            raise ValueError(f"Can not parse value {moment} of expires in the cookie due to invalid format.")


def _is_moment(text: str) -> bool:
    try:
        email.utils.parsedate_to_datetime(text)
        return True
    except (ValueError, TypeError, IndexError, OverflowError):
        pass
    try:
        datetime.fromisoformat(text)
        return True
    except ValueError:
        return False


# --- text --------------------------------------------------------------------------------------------------------


def _of_text(text: str) -> Reply:
    """JSON where the text is JSON, and the response that it describes where that is an object with a ``body``."""
    if text[:1] in JSON_STARTS:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return Reply(200, [TEXT_HEADER], _utf8(text))
        if isinstance(value, dict) and any(key.lower() == "body" for key in value):
            return _described({key.lower(): item for key, item in value.items()})
        return Reply(200, [JSON_HEADER], _json(value))
    return Reply(200, [TEXT_HEADER], _utf8(text))


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a whole number of more than 64 bits, half of a surrogate pair
        return _utf8(json.dumps(value, separators=(",", ":")))


def _described(document: Mapping[str, Any]) -> Reply:
    """``{"body", "status" or "statusCode", "headers", "cookies"}``, as a function in JavaScript would return it."""
    status = document.get("status") or document.get("statuscode") or 200
    given = document.get("headers") or {}
    if not isinstance(given, Mapping):
        raise TypeError(f"headers should be an object, found {given!r}")
    headers = [header(str(name), str(text)) for name, text in given.items()]
    headers = [pair for pair in headers if pair[0] not in OWN]
    headers += [header("set-cookie", _cookie(cookie)) for cookie in _cookies(document.get("cookies"))]
    body = document["body"]
    if not any(name == b"content-type" for name, _ in headers):
        headers.append(TEXT_HEADER if isinstance(body, str) or body is None else JSON_HEADER)
    content = b"" if body is None else _utf8(body) if isinstance(body, str) else _json(body)
    return Reply(_status(status), headers, content)


def _cookies(declared: Any) -> Iterable[Mapping[str, Any]]:
    cookies = declared or []
    if not isinstance(cookies, list) or not all(isinstance(one, Mapping) and one.get("name") for one in cookies):
        raise TypeError(f"cookies should be a list of objects with name and value, found {declared!r}")
    return cookies


def _cookie(cookie: Mapping[str, Any]) -> str:
    """One cookie of a described response as the header ``Set-Cookie``."""
    parts = [f"{quote(str(cookie['name']))}={quote(str(cookie.get('value', '')))}"]
    if (expires := cookie.get("expires")) is not None:
        if not _is_moment(str(expires)):
            raise ValueError(f"Can not parse value {expires} of expires in the cookie due to invalid format.")
        parts.append(f"expires={_http_date(str(expires))}")
    written = {"maxAge": "max-age", "domain": "domain", "path": "path", "sameSite": "samesite"}
    parts += [f"{word}={cookie[name]}" for name, word in written.items() if cookie.get(name) is not None]
    parts += [word for name, word in {"secure": "secure", "httpOnly": "httponly"}.items() if cookie.get(name) is True]
    return "; ".join(parts)


def _http_date(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return email.utils.format_datetime(moment, usegmt=True)
