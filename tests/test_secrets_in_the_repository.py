"""No secret is in the repository; what looks like one is planted in tests, which look for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.image.secrets import secrets_in

ROOT = Path(__file__).parents[1]
PLANTED = ("tests/", "benchmarks/redaction.py")


def test_there_is_no_secret_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.splitlines() if not name.startswith(PLANTED)]
    assert len(paths) > 100
    assert secrets_in(path for path in paths if path.is_file()) == []
