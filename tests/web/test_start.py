"""``edgefn start`` with HTTP functions: its lines, its answers, its end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx

from tests.cli.command import LONGEST, environment, started

APP = """
import azure.functions as func
app = func.FunctionApp()
@app.route("hello/{name?}", methods=["GET", "POST"], auth_level="ANONYMOUS")
def hello(req): return "Hello"
@app.route()
def locked(req): return "in"
"""


def test_start_shows_where_functions_are_and_serves_them(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(APP)
    with started("start", "--enable-auth", cwd=tmp_path) as running:
        shown = r"^\thello: \[GET,POST\] (http://localhost:\d+)/api/hello/\{name\?\}"
        found = re.search(shown, running.log, re.MULTILINE)
        assert found is not None, running.log
        assert f"\tlocked: {found[1]}/api/locked" in running.log
        base = found[1].replace("localhost", "127.0.0.1")
        assert httpx.get(f"{base}/api/hello").text == "Hello"
        assert httpx.get(f"{base}/api/locked").status_code == 401
        running.send(signal.SIGTERM)
        assert running.end() == 0


def test_a_port_that_is_taken_is_said_and_ends_the_command(tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(APP)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "edgefn", "start", "-p", str(port)],
            cwd=tmp_path,
            env=environment({}),
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
    assert ended.returncode == 1
    assert f"Port {port} is unavailable. Close the process using that port" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
