"""``edgefn run``, ``edgefn settings``, and the options of ``edgefn start`` for those who look for a mistake."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import app_in, edgefn, started

MESSAGE = """
import logging
import edgefn
app = edgefn.FunctionApp()

@app.edge_hub_trigger("m", "in")
@app.edge_hub_output("out", "out")
def message(m: edgefn.EdgeMessage, out: edgefn.Out[dict]):
    logging.getLogger("mine").warning("seen")
    out.set({"text": m.text, "properties": dict(m.properties)})
    if m.text == "bad":
        raise ValueError("boom")

@app.video_frame_trigger("frame", "synthetic:")
def picture(frame: edgefn.VideoFrame):
    return [*frame.image.shape, frame.item]
"""


def ran(tmp_path: Path, *arguments: str, stdin: str | None = None) -> tuple[int, dict[str, Any], str]:
    ended = edgefn("run", *arguments, cwd=app_in(tmp_path / "app", message=MESSAGE), stdin=stdin)
    return ended.returncode, json.loads(ended.stdout or "{}"), ended.stderr


def test_it_prints_what_a_function_sets_and_leaves_with_0(tmp_path: Path) -> None:
    code, printed, _ = ran(tmp_path, "message", "--input", "hello", "--metadata", "kind=alert", "--metadata", "n=1")
    assert (code, printed["status"]) == (0, "ok")
    assert printed["outputs"] == {"out": {"text": "hello", "properties": {"kind": "alert", "n": "1"}}}


def test_the_text_may_come_from_a_file_or_from_the_standard_input(tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text('{"a": 1}')
    assert ran(tmp_path, "message", "--file", str(tmp_path / "body.json"))[1]["outputs"]["out"]["text"] == '{"a": 1}'
    assert ran(tmp_path, "message", "--stdin", stdin="piped")[1]["outputs"]["out"]["text"] == "piped"


def test_a_function_that_fails_is_shown_with_its_error_and_leaves_with_1(tmp_path: Path) -> None:
    code, printed, logged = ran(tmp_path, "message", "--input", "bad")
    assert (code, printed["status"], printed["error"]) == (1, "failed", "ValueError: boom")
    assert "functions/message.py" in logged
    assert "invocation.py" not in logged


def test_a_video_function_takes_a_picture(tmp_path: Path) -> None:
    assert ran(tmp_path, "picture", "--input", "synthetic:?width=64&height=48")[1]["return"] == [48, 64, 3, ""]


def test_a_video_function_that_is_given_none_takes_one_of_its_own_source(tmp_path: Path) -> None:
    assert ran(tmp_path, "picture")[1]["return"] == [360, 640, 3, ""]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mesage",), "no function 'mesage' to run; did you mean 'message'?; functions: message, picture"),
        (("message", "--input", "a", "--stdin"), "--input, --file and --stdin exclude each other"),
        (("message", "--file", "gone.txt"), "--file gone.txt: can not be read"),
        (("message", "--metadata", "novalue"), "--metadata novalue: should be NAME=VALUE"),
        (("picture", "--input", "gone.png"), "gone.png"),
        (("picture", "--input", "synthetic:", "--metadata", "a=b"), "--metadata is for messages"),
    ],
)
def test_a_mistake_is_one_line_without_a_traceback(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    code, printed, logged = ran(tmp_path, *arguments)
    assert (code, printed) == (1, {})
    assert said in logged
    assert "Traceback" not in logged


STEERED = """
import edgefn
app = edgefn.FunctionApp()

@app.direct_method_trigger("zoom", "SetZoom")
@app.setting("most", "MOST", default=3)
def method(zoom: int, most: int):
    return [zoom, most]

@app.twin_trigger("changed")
def twin(changed: dict):
    return sorted(changed)
"""


@pytest.mark.parametrize(
    ("arguments", "returned"),
    [
        (("method", "--input", "2"), [2, 3]),
        (("method", "--input", "2", "--set", "MOST=9"), [2, 9]),
        (("twin", "--input", '{"mode": null, "a": 1}'), ["a", "mode"]),
    ],
)
def test_a_direct_method_takes_a_payload_and_a_twin_trigger_properties(
    tmp_path: Path, arguments: tuple[str, ...], returned: list[Any]
) -> None:
    ended = edgefn("run", *arguments, cwd=app_in(tmp_path / "app", steered=STEERED))
    assert json.loads(ended.stdout)["return"] == returned


def test_settings_are_added_listed_without_their_values_and_deleted(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", message=MESSAGE)
    assert edgefn("settings", "add", "SECRET", "s3cret", cwd=app).returncode == 0
    listed = edgefn("settings", "list", cwd=app).stdout
    assert "SECRET" in listed
    assert "s3cret" not in listed
    assert "SECRET = s3cret" in edgefn("settings", "list", "--show-value", cwd=app).stdout
    assert edgefn("settings", "delete", "SECRET", cwd=app).returncode == 0
    assert "no setting" not in edgefn("settings", "list", cwd=app).stdout
    missing = edgefn("settings", "delete", "SECRET", cwd=app)
    assert (missing.returncode, "has no setting 'SECRET'" in missing.stderr) == (1, True)


def test_a_settings_file_with_comments_is_not_rewritten(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", message=MESSAGE)
    text = '{"IsEncrypted": false, // mine\n "Values": {"A": "1"}}'
    (app / "local.settings.json").write_text(text)
    ended = edgefn("settings", "add", "B", "2", cwd=app)
    assert (ended.returncode, "holds comments" in ended.stderr) == (1, True)
    assert (app / "local.settings.json").read_text() == text


def test_the_user_log_level_leaves_out_lines_of_functions_only(tmp_path: Path) -> None:
    code = MESSAGE.replace('"synthetic:"', '"synthetic:?frames=1"').replace("return [", "logging.warning('low') or [")
    arguments = ("start", "--until-end", "--functions", "picture", "--user-log-level")
    app = app_in(tmp_path / "app", message=code)
    assert "low" in edgefn(*arguments, "info", cwd=app).stdout
    quiet = edgefn(*arguments, "error", cwd=app).stdout
    assert "low" not in quiet
    assert "Worker process started and initialized." in quiet
    assert re.search(r"Host lock lease acquired by instance ID '[0-9a-f]{32}'\.", quiet), "Azure's tools wait for it"
    assert "Auth level is not applied" not in quiet
    assert "should be one of" in edgefn(*arguments, "loud", cwd=app).stdout


def test_debug_waits_for_a_debugger_on_the_port(tmp_path: Path) -> None:
    pytest.importorskip("debugpy")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    app, ready = app_in(tmp_path / "app", message=MESSAGE), f"Waiting for a debugger on 127.0.0.1:{port}"
    with (
        started("start", f"--debug={port}", cwd=app, ready=ready),
        socket.create_connection(("127.0.0.1", port), timeout=10) as debugger,
    ):
        assert b"Content-Length" in debugger.recv(64)
