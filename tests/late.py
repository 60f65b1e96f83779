"""A first attempt to connect that comes about late."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import pytest


class Late:
    """Holds up the first connection that a module makes until ``go``; ``ended`` counts the attempts that are over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, module: ModuleType, reach: str) -> None:
        """``module`` has ``dial``, which makes a connection by the function that is named ``reach``."""
        self.go = threading.Event()
        self.begun = self.ended = 0
        reached, dial = getattr(module, reach), module.dial

        def slow(*given: Any) -> Any:
            self.begun += 1
            if self.begun == 1:
                self.go.wait(30)
            return reached(*given)

        def dialled(*given: Any, **named: Any) -> Any:
            try:
                return dial(*given, **named)
            finally:
                self.ended += 1

        monkeypatch.setattr(module, reach, slow)
        monkeypatch.setattr(module, "dial", dialled)
