"""Files that an app's bindings read, and that are not on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.loader import App
from edgefn.plugins import kind_of


def absent_files(app: App) -> Iterator[str]:
    """A warning for each file, such as a model, without which a start would find its function in error."""
    for function in app.functions:
        for binding in () if function.errors or function.disabled else function.bindings:
            asked = getattr(kind_of(binding, app.kinds), "needs", None)
            for asset in asked(binding).reads if asked else ():
                if asset.found is None:
                    yield f"{binding.where()}: '{asset.declared}' is not there; put it there before the app is started"
