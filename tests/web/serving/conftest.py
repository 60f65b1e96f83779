"""A host whose models are served: the sample classifier and detector, as parameters of functions."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import AppIn
from tests.sessions.conftest import kind, opened
from tests.web.conftest import Site, served

__all__ = ["kind", "opened"]

SAMPLE = Path(__file__).parents[3] / "sample"
CODE = f"""
import edgefn
app = edgefn.FunctionApp()

@app.route("light", methods=["POST"], auth_level="anonymous")
@app.inference_session("classifier", "{SAMPLE}/light-classifier.xml", precision="f32", cache=False)
def light(req, classifier: edgefn.ClassificationSession) -> str:
    return "".join(candidate.name for candidate in classifier.infer(req.get_body()))

@app.direct_method_trigger("payload", "street")
@app.inference_session("detector", "{SAMPLE}/street-detector.xml", precision="f32", cache=False)
def street(payload, detector: edgefn.DetectionSession):
    return None
"""
HTTP = {"http": True}

ServeModels = Callable[..., Awaitable[Site]]


def host_json(serving: Any) -> str:
    return json.dumps({"version": "2.0", "extensions": {"serving": serving}})


@pytest.fixture
async def serve_models(app_of: AppIn) -> AsyncIterator[ServeModels]:
    """Serves an app with these options in ``extensions.serving``."""
    async with AsyncExitStack() as stack:

        async def begin(serving: Any = HTTP, code: str = CODE, **asked: Any) -> Site:
            app = app_of({"host.json": host_json(serving), "function_app.py": code})
            return await stack.enter_async_context(served(app, **asked))

        yield begin


@pytest.fixture
def picture() -> Any:
    """A picture of another size than any model takes."""
    return np.random.default_rng(7).integers(0, 255, (90, 160, 3), np.uint8)


def session(site: Site, function: str, parameter: str) -> Any:
    """The session that a function has as its parameter."""
    running = next(each for each in site.host.running if each.function.name == function)
    return running.inputs[parameter].session  # type: ignore[attr-defined]
