"""Azure ML's scoring script: ``score.py`` with ``init()`` and ``run(data)``."""

from __future__ import annotations

import re
from pathlib import Path

SCRIPT = "score.py"
PARTS = re.compile(rb"^def (init|run)\b", re.MULTILINE)


def is_scoring_folder(root: Path) -> bool:
    """Whether a scoring script is what the folder has to run: it is there, and no functions are."""
    path = root / SCRIPT
    if not path.is_file() or (root / "functions").is_dir() or (root / "function_app.py").exists():
        return False
    return set(PARTS.findall(path.read_bytes())) == {b"init", b"run"} and not any(root.glob("*/function.json"))
