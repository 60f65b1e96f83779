"""Azure Custom Vision's HTTP contract: a request for a prediction, and its answer.

A function that has the route ``ROUTE`` and gives its requests to ``answer`` is called as Custom Vision's containers
and its prediction API are: ``/image``, ``/url``, ``/<project>/image/nostore``,
``/<project>/classify/iterations/<name>/image`` and the like.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import azure.functions as func

from edgefn.contracts import Candidate, Detection
from edgefn.fetching import Fetching, NotFetched
from edgefn.images import decoded

ROUTE = "{*path:regex(^([^/]+/((classify|detect)/iterations/[^/]+/)?)?(image|url)(/nostore)?$)}"
LIMIT = 4 * 1024 * 1024
"""Bytes of a picture."""
FORM = 64 * 1024
"""Bytes that a form may have around it."""
NAMESPACE = uuid.UUID("8a5ac5b3-37a5-4b2c-a6a4-5a3b3a0b6d1f")
Infer = Callable[[Any], Sequence[Candidate | Detection]]


class Refused(Exception):
    """A request that gets no prediction: status, Custom Vision's code for the reason, and the reason."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def answer(request: func.HttpRequest, infer: Infer, hosts: str = "") -> func.HttpResponse:
    """The prediction for the picture that a request holds, or Custom Vision's words for what is wrong with it.

    ``infer`` is that of a session; ``hosts``, with commas between them, are those that pictures for ``/url`` are
    fetched from: without any it answers 404.
    """
    try:
        picture = _decoded(_content(request, [host for host in hosts.replace(" ", "").split(",") if host]))
        return _reply(200, prediction(infer(picture), *_names(request)))
    except Refused as why:
        headers = {"Allow": "POST"} if why.status == 405 else None
        return _reply(why.status, {"code": why.code, "message": str(why)}, headers)


def prediction(found: Sequence[Candidate | Detection], project: str = "", iteration: str = "") -> dict[str, Any]:
    """Results in Custom Vision's words."""
    return {
        "id": str(uuid.uuid4()),
        "project": project,
        "iteration": iteration,
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "predictions": [
            {
                "probability": each.score,
                "tagId": str(uuid.uuid5(NAMESPACE, each.name)),
                "tagName": each.name,
                "boundingBox": _box(each),
            }
            for each in found
        ],
    }


def _box(found: Candidate | Detection) -> dict[str, float] | None:
    box = getattr(found, "box", None)
    if box is None:
        return None
    width, height = round(box.x_max - box.x_min, 6), round(box.y_max - box.y_min, 6)
    return {"left": box.x_min, "top": box.y_min, "width": width, "height": height}


def _names(request: func.HttpRequest) -> tuple[str, str]:
    """The project and the iteration in the path."""
    parts = _path(request)
    project = parts[0] if parts[0] not in ("image", "url") else ""
    return project, parts[3] if len(parts) > 3 and parts[2] == "iterations" else ""


def _path(request: func.HttpRequest) -> list[str]:
    return str(request.route_params.get("path", "image")).strip("/").split("/")


def _content(request: func.HttpRequest, hosts: Sequence[str]) -> bytes:
    """The bytes of the picture, wherever the request has them."""
    if request.method != "POST":
        raise Refused(405, "MethodNotAllowed", f"{request.method} is not for this address; POST would be right")
    is_url = "url" in _path(request)[-2:]
    body = request.get_body()
    if len(body) > LIMIT + FORM:
        raise _too_large()
    content = _fetched(body, hosts) if is_url else _uploaded(request, body)
    if len(content) > LIMIT:
        raise _too_large()
    return content


def _uploaded(request: func.HttpRequest, body: bytes) -> bytes:
    """The body, or the part ``imageData`` of a form; nothing where a form has none."""
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return body
    with contextlib.ExitStack() as parts:
        files = {name: parts.enter_context(contextlib.closing(part)) for name, part in request.files.items()}
        return bytes(files["imageData"].read()) if "imageData" in files else b""


def _fetched(body: bytes, hosts: Sequence[str]) -> bytes:
    if not hosts:
        raise Refused(404, "NotFound", "Pictures are not fetched here; POST the picture itself to image")
    try:
        document = json.loads(body)
        url = document["url"] if "url" in document else document["Url"]
        return Fetching(hosts, LIMIT).fetch(str(url))
    except NotFetched as error:
        raise Refused(400, "BadRequestImageUrl", str(error)) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Refused(400, "BadRequest", 'The body should be JSON: {"url": "https://host/picture.jpg"}') from None


def _decoded(content: bytes) -> Any:
    try:
        return decoded(content)
    except ValueError as error:
        raise Refused(400, "BadRequestImageFormat", f"The picture {error}") from None


def _too_large() -> Refused:
    return Refused(413, "BadRequestImageSizeBytes", f"A picture has {LIMIT} bytes at most")


def _reply(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json", headers=headers)
