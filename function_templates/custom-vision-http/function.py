"""Answers pictures as a container of Azure Custom Vision does; a picture is the body, or the part imageData of a form.

For a model that Custom Vision has exported add ``resize="custom-vision"`` to the session.
"""

import contextlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any

import azure.functions as func
import cv2
import edgefn
import numpy as np

app = edgefn.FunctionApp(http_auth_level=func.AuthLevel.__AUTH_LEVEL__)
LIMIT = 4 * 1024 * 1024
NAMESPACE = uuid.UUID("8a5ac5b3-37a5-4b2c-a6a4-5a3b3a0b6d1f")  # any: ids of names stay the same with it


@app.route("image/{nostore:regex(^nostore$)?}")
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%")
def __NAME__(req: func.HttpRequest, classifier: edgefn.ClassificationSession) -> func.HttpResponse:
    return _answer(req, classifier)


@app.route("{project}/image/{nostore:regex(^nostore$)?}")
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%")
def __NAME___of_project(req: func.HttpRequest, classifier: edgefn.ClassificationSession) -> func.HttpResponse:
    return _answer(req, classifier)


@app.route("{project}/{task:regex(^(classify|detect)$)}/iterations/{iteration}/image/{nostore:regex(^nostore$)?}")
@app.inference_session(arg_name="classifier", model="%CLASSIFIER_XML_PATH%", device="%DEVICE%")
def __NAME___of_iteration(req: func.HttpRequest, classifier: edgefn.ClassificationSession) -> func.HttpResponse:
    return _answer(req, classifier)


def _answer(req: func.HttpRequest, classifier: edgefn.ClassificationSession) -> func.HttpResponse:
    """Custom Vision's answer to a request, or its words for what is wrong with it."""
    if req.method != "POST":
        return _reply(405, {"code": "MethodNotAllowed", "message": "POST would be right"}, {"Allow": "POST"})
    if len(req.get_body()) > LIMIT:
        return _reply(413, {"code": "BadRequestImageSizeBytes", "message": f"A picture has {LIMIT} bytes at most"})
    data = np.frombuffer(_picture(req), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if picture is None:
        return _reply(400, {"code": "BadRequestImageFormat", "message": "No picture; JPEG or PNG would be right"})
    return _reply(200, _document(req, classifier.infer(picture)))


def _picture(req: func.HttpRequest) -> bytes:
    """The bytes of the picture in a request; none where a form has no part imageData."""
    if not req.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return req.get_body()
    part = req.files.get("imageData")
    if part is None:
        return b""
    with contextlib.closing(part):
        return bytes(part.read())


def _document(req: func.HttpRequest, candidates: list[edgefn.Candidate]) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "project": req.route_params.get("project", ""),
        "iteration": req.route_params.get("iteration", ""),
        "created": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "predictions": [
            {
                "probability": candidate.score,
                "tagId": str(uuid.uuid5(NAMESPACE, candidate.name)),
                "tagName": candidate.name,
                "boundingBox": None,
            }
            for candidate in candidates
        ],
    }


def _reply(status: int, document: dict[str, Any], headers: dict[str, str] | None = None) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(document), status_code=status, mimetype="application/json", headers=headers)
