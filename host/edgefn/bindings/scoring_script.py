"""``scoringScript``: the ``run`` of an Azure ML scoring script, after its ``init``."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from edgefn.contracts import Event, InputKind, Services
from edgefn.errors import BindingError, Place
from edgefn.function import Binding, Options
from edgefn.hookspecs import hookimpl

log = logging.getLogger("edgefn.scoring")
FOLDER = "AZUREML_MODEL_DIR"


class ScoringScriptOptions(Options):
    """The options of ``scoringScript``."""

    module: str = "score"
    """The script, as it is imported."""
    stamp: str = ""
    """Another one for each version of the script, so that the ``init`` of a new one is called."""


class ScoringScript:
    """A script that is ready."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def value(self, event: Event) -> Callable[[Any], Any]:
        run: Callable[[Any], Any] = self._module.run
        return run

    def status(self) -> Mapping[str, Any]:
        return {"script": str(self._module.__file__)}

    async def close(self) -> None:
        """A script has no end."""


class ScoringScriptKind:
    """The binding type ``scoringScript``."""

    type = "scoringScript"
    options = ScoringScriptOptions

    def __init__(self, services: Services) -> None:
        self._root: Path = services.root
        self._models = services.settings.get(FOLDER)

    def check(self, binding: Binding) -> None:
        """Raises BindingError for a module that is not there."""
        assert isinstance(binding.options, ScoringScriptOptions)
        name = binding.options.module
        if name not in sys.modules and importlib.util.find_spec(name) is None:
            raise BindingError(f"{binding.where()}: there is no module '{name}'; score would be right")

    async def open(self, binding: Binding) -> ScoringScript:
        """Calls ``init`` in a thread, as it opens models; raises BindingError with what that raises."""
        assert isinstance(binding.options, ScoringScriptOptions)
        module = importlib.import_module(binding.options.module)
        os.environ.setdefault(FOLDER, self._models or str(self._root))
        log.info("init() of %s, with %s=%s", module.__file__, FOLDER, os.environ[FOLDER])
        try:
            await asyncio.to_thread(module.init)
        # whatever the user's script raises, also by sys.exit(): its function can not run, all others can
        except (Exception, SystemExit) as error:
            lines = [
                frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == module.__file__
            ]
            place = Place(f"{module.__name__}.py", lines[-1] if lines and lines[-1] else 0)
            raise BindingError(f"{place}: init() raised {type(error).__name__}: {error}") from error
        return ScoringScript(module)

    async def close(self) -> None:
        """Shares nothing."""


@hookimpl
def edgefn_inputs(services: Services) -> Sequence[InputKind]:
    return [ScoringScriptKind(services)]
