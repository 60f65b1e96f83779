"""What an app's bindings ask for, and is not on this machine, or on any: files, devices."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.bindings.inference_session import DEFAULT, InferenceSessionOptions, kind_name
from edgefn.errors import listing, nearest
from edgefn.function import Binding
from edgefn.loader import App
from edgefn.plugins import kind_of
from edgefn.sessions.devices import GONE, REAL, VIRTUAL
from edgefn.sessions.machine import named_devices


def absent_files(app: App) -> Iterator[str]:
    """A warning for each file, such as a model, without which a start would find its function in error."""
    for binding in _bindings(app):
        asked = getattr(kind_of(binding, app.kinds), "needs", None)
        for asset in asked(binding).reads if asked else ():
            if asset.found is None:
                yield f"{binding.where()}: '{asset.declared}' is not there; put it there before the app is started"


def unknown_devices(app: App) -> Iterator[str]:
    """A warning for each device that OpenVINO has on no machine, unless a plugin of its own brings it."""
    for binding in _bindings(app):
        if isinstance(binding.options, InferenceSessionOptions) and kind_name(binding.options) == DEFAULT:
            declared = binding.options.all()
            named = dict.fromkeys(name for name, _ in named_devices(declared.get("device"), declared.get("fallback")))
            for name in named:
                if name not in (*REAL, *VIRTUAL, *GONE):
                    near = nearest(name, (*REAL, *VIRTUAL))
                    yield f"{binding.where()}: device '{name}' is not known{near}; known: {listing((*REAL, *VIRTUAL))}"


def _bindings(app: App) -> Iterator[Binding]:
    """Those of functions that run."""
    for function in app.functions:
        if not function.errors and not function.disabled:
            yield from function.bindings
