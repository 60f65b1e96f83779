"""No secret is in the repository; what looks like one is planted in tests, which look for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.image.secrets import secrets_in

ROOT = Path(__file__).parents[1]
PLANTED = ("tests/", "benchmarks/redaction.py")


def test_secrets_are_found_where_they_lie(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text("-----BEGIN RSA PRIVATE KEY-----\n")
    (tmp_path / "notes.md").write_text("one line\n\nmqtts://plant:8yVn3bTq0pXw@broker.site and more\n")
    (tmp_path / "env").write_text("ID=1\nKEY=AKIAIOSFODNN7EXAMPLQ\n")
    (tmp_path / "picture").write_bytes(bytes(range(256)))
    (tmp_path / "plain.md").write_text("mqtts://plant:password@broker.site\n")
    found = [one.removeprefix(f"{tmp_path}/") for one in secrets_in(sorted(tmp_path.iterdir()))]
    assert found == ["env:2: AWS Access Key", "key.pem:1: Private Key", "notes.md:3: Basic Auth Credentials"]


def test_there_is_no_secret_in_the_repository() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [ROOT / name for name in listed.splitlines() if not name.startswith(PLANTED)]
    assert len(paths) > 100
    assert secrets_in(path for path in paths if path.is_file()) == []
