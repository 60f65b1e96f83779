"""An app that the doctor looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from edgefn.doctor import Subject, look_at
from tests.doctor.subjects import SETTINGS, WATCH, Subjects


@pytest.fixture
def subject(folder: Callable[[Mapping[str, str]], Path]) -> Subjects:
    """An app with one function on a source and a model, settings, and a folder for its state."""

    def look(files: Mapping[str, str] | None = None, **settings: str) -> Subject:
        root = folder({"functions/watch.py": WATCH, **(files or {})})
        return look_at(root, root / "state", {**SETTINGS, **settings}, environment={})

    return look
