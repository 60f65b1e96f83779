"""Azure ML's scoring script as two HTTP functions: ``POST /score`` calls its ``run``, ``GET /`` is for probes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as func

from edgefn.app import FunctionApp
from edgefn.values import json_bytes

OWN_APP = "_edgefn_app"
"""The name that the functions have in the module of the script."""


def with_functions(module: ModuleType) -> ModuleType:
    """The module of a scoring script with the functions that call it."""
    stamp = hashlib.sha256(Path(str(module.__file__)).read_bytes()).hexdigest()
    app = FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    with_run = app.scoring_script("run", module.__name__, stamp=stamp)
    app.route("score", methods=["POST"])(with_run(score))
    app.route("/", methods=["GET"])(healthy)
    vars(module)[OWN_APP] = app
    return module


def score(req: str, run: Callable[[str], Any]) -> func.HttpResponse:
    """What the script answers to the text of a body, as JSON."""
    return func.HttpResponse(json_bytes(run(req)), mimetype="application/json")


def healthy(req: func.HttpRequest) -> str:
    """What Azure ML's server says of itself."""
    return "Healthy"
