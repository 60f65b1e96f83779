"""Apps to be deployed, and what their manifests say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

from edgefn.deploy.manifest import Made, Wanted, manifest
from edgefn.deploy.module import Box, Module, module_of
from edgefn.loader import load_app

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT

HEAD = "import edgefn\nimport azure.functions as func\napp = edgefn.FunctionApp()\n"
CAMERA = """
@app.video_frame_trigger("frame", "%INPUT%")
@app.inference_session("net", "models/net.xml", device="%DEVICE%")
@app.edge_hub_output("$return", "frames")
def see(frame, net):
    return {"n": frame.id}
"""
COUNTER = """
@app.edge_hub_trigger("m", "frames")
@app.edge_hub_output("$return", "counts")
def count(m: dict):
    return m
"""
HTTP = """
@app.route("hello")
def hello(req: func.HttpRequest) -> str:
    return "hello"
"""


def app_in(folder: Path, code: str, settings: Mapping[str, str] | None = None, **extensions: Any) -> Path:
    """Writes an app; ``settings`` are those of local.settings.json, ``extensions`` those of host.json."""
    (folder / "functions").mkdir(parents=True)
    (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
    values = {"IsEncrypted": False, "Values": dict(settings or {})}
    (folder / "local.settings.json").write_text(json.dumps(values))
    (folder / "functions" / "f.py").write_text(HEAD + dedent(code))
    return folder


def module(folder: Path, name: str = "edgefn", box: Box = Box(), image: str = "", **given: str) -> Module:  # noqa: B008
    """The module of an app folder, on a machine whose environment says nothing."""
    app = load_app(folder, environment={}, given=given)
    return module_of(app, name, image or f"{name}:1.0", box)


def made(*modules: Module, **wanted: Any) -> Made:
    return manifest(modules, Wanted(**wanted))


def agent(document: Mapping[str, Any]) -> dict[str, Any]:
    """The modules of a whole manifest."""
    found: dict[str, Any] = document["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
    return found


def routes(document: Mapping[str, Any]) -> dict[str, Any]:
    """The routes of a whole manifest."""
    found: dict[str, Any] = document["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    return found


def options(settings: Mapping[str, str]) -> dict[str, Any]:
    """The create options of a module, put together as edgeAgent does."""
    pieces = [settings[key] for key in sorted(settings) if key.startswith("createOptions")]
    whole: dict[str, Any] = json.loads("".join(pieces))
    return whole


def host_config(module: Module, box: Box = Box()) -> dict[str, Any]:  # noqa: B008
    found: dict[str, Any] = module.create_options(box, {})["HostConfig"]
    return found
