"""``edgefn start``, the real command: the sample, ends and signals, mistakes, and what a terminal shows."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import urllib.request
from pathlib import Path

import pytest

from edgefn.cli.opening import app_root
from edgefn.errors import SettingError
from tests.cli.command import COUNT, ENDLESS, LIVE, LONGEST, READY, app_in, command, edgefn, environment, sent, started

RAISES = COUNT.replace("count", "raises").replace("frame.id", "frame.id / 0")
WRONG = COUNT.replace("count", "wrong").replace('"frames")', '"frames", gone=1)')
SLEEPS = COUNT.replace("count", "sleeps").replace(
    "return frame.id", "import time; time.sleep(SECONDS); return frame.id"
)


# --- the sample --------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_without_an_app_the_sample_runs_to_its_end_and_finds_what_is_on_the_street(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ended = edgefn("start", "--until-end", "--state", str(state), cwd=tmp_path)
    assert ended.returncode == 0
    assert ended.stderr.startswith(f"There is no app in {tmp_path}: no host.json. Taking the sample in ")
    assert "225 frames" in ended.stdout
    assert "ERROR" not in ended.stdout
    detections, passages = sent(state, "detections"), sent(state, "passages")
    assert len(detections) == pytest.approx(15, abs=1)
    names = {found["name"] for message in detections for found in message["objects"]}
    assert names == {"car", "truck", "person"}
    assert {passage["event"] for passage in passages} == {"enter", "leave"}
    assert "day" in {message["light"] for message in sent(state, "light")}


# --- output ------------------------------------------------------------------------------------------------------


def test_json_gives_only_json_lines(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", count=COUNT, raises=RAISES, wrong=WRONG, broken="def f(:\n")
    ended = edgefn("start", "--json", "--until-end", "--verbose", "--upstream", cwd=app)
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert {line["function"] for line in lines if "invocation_id" in line} == {"count", "raises"}
    errors = [line["message"] for line in lines if line["level"] == "error"]
    assert any("functions/wrong.py:5: unknown option 'gone' of edgeHub" in text for text in errors)
    assert any("functions/broken.py:1: SyntaxError" in text for text in errors)


def test_the_edge_form_gives_only_lines_as_edge_agent_reads_them(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", count=COUNT, raises=RAISES, wrong=WRONG, broken="def f(:\n")
    ended = edgefn("start", "--log-form", "edge", "--until-end", "--verbose", cwd=app)
    head = re.compile(r"<[2-7]> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \+00:00 \[(FTL|ERR|WRN|INF|DBG)\] ")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [line for line in ended.stdout.splitlines() if not head.match(line)] == []
    assert "[ERR] raises(" in ended.stdout
    assert "[INF] Functions: count, raises, wrong" in ended.stdout


def test_in_a_module_lines_have_the_edge_form_unless_another_one_is_asked_for(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app")
    (app / "host.json").write_text("{}")  # whatever else a module needs, it gets no further
    asked = ((), ("--log-form", "console"), ("--json",), ("--json", "--log-form", "edge"))
    said = [edgefn("start", *options, cwd=app, IOTEDGE_MODULEID="cam").stdout for options in asked]
    assert [line[:4] for line in said] == ["<3> ", "[202", '{"ti', '{"ti']
    assert all("missing the required 'version' property" in line for line in said)


def test_upstream_prints_each_message(tmp_path: Path) -> None:
    ended = edgefn("start", "--until-end", "--upstream", cwd=app_in(tmp_path / "app"))
    printed = [line.rpartition("$upstream ")[2] for line in ended.stdout.splitlines() if "$upstream" in line]
    assert printed == ["0", "1", "2", "3", "4"]
    assert sent(tmp_path / "app/.edgefn", "frames") == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("more", "lines"), [((), 0), (("--verbose",), 5)])
def test_invocations_of_frames_are_logged_when_verbose(tmp_path: Path, more: tuple[str, ...], lines: int) -> None:
    ended = edgefn("start", "--until-end", *more, cwd=app_in(tmp_path / "app"))
    assert ended.stdout.count("Executed 'Functions.count' (Succeeded") == lines


def test_only_the_named_functions_run(tmp_path: Path) -> None:
    others = {name: COUNT.replace("count", name) for name in ("one", "two", "three")}
    ended = edgefn("start", "--until-end", "--functions", "one", "THREE", cwd=app_in(tmp_path / "app", **others))
    assert ended.returncode == 0
    assert len(sent(tmp_path / "app/.edgefn", "frames")) == 10
    assert "two" not in ended.stdout


def test_settings_and_state_of_the_command_line_count(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app")
    given = ("--set", "SOURCE=synthetic:?frames=3", "--state", str(tmp_path / "elsewhere"))
    assert edgefn("start", "--until-end", *given, cwd=app).returncode == 0
    assert sent(tmp_path / "elsewhere", "frames") == [0, 1, 2]
    assert not (app / ".edgefn").exists()


def test_the_root_comes_from_the_environment_too(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app")
    ended = edgefn("start", "--until-end", cwd=tmp_path, AzureWebJobsScriptRoot=str(app))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sent(app / ".edgefn", "frames") == [0, 1, 2, 3, 4]


# --- ends --------------------------------------------------------------------------------------------------------


def test_it_leaves_after_so_many_seconds(tmp_path: Path) -> None:
    ended = edgefn("start", "--max-seconds", "0.5", cwd=app_in(tmp_path / "app", ENDLESS))
    assert ended.returncode == 0
    assert "count  stopped" in ended.stdout


def test_until_end_says_what_it_does_not_wait_for(tmp_path: Path) -> None:
    endless = LIVE.replace("count", "endless").replace("%SOURCE%", ENDLESS)
    ended = edgefn("start", "--until-end", cwd=app_in(tmp_path / "app", count=COUNT, endless=endless))
    assert ended.returncode == 0
    assert "WARNING --until-end does not wait for endless: their triggers never end" in ended.stdout


FOLDER = """
import edgefn
app = edgefn.FunctionApp()

@app.file_trigger("file", path="in", settle=0.2, on_done="delete")
@app.edge_hub_output("$return", "frames")
def scores(file):
    return file.name
"""


def test_the_end_of_a_folder_is_that_its_files_were_worked_off(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", scores=FOLDER)
    (app / "in").mkdir()
    (app / "in" / "a.txt").write_text("x")
    ended = edgefn("start", "--until-end", cwd=app)
    assert (ended.returncode, sent(app / ".edgefn", "frames")) == (0, ["a.txt"])
    assert list((app / "in").iterdir()) == []
    assert not any(word in ended.stdout for word in ("does not wait", "ERROR", "WARNING"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_leaves_with_0(tmp_path: Path, number: signal.Signals) -> None:
    app = app_in(tmp_path / "app", ENDLESS, sleeps=SLEEPS.replace("SECONDS", "0.5"))
    with started("start", "--verbose", cwd=app) as running:
        running.wait_for("Executing 'Functions.sleeps'")
        running.send(number)
        assert running.end() == 0
    assert f"{number.name}: draining" in running.log
    assert "Traceback" not in running.log
    assert running.log.count("Executing '") == running.log.count("(Succeeded")
    assert len(sent(app / ".edgefn", "frames")) == running.log.count("(Succeeded")


def test_a_second_signal_leaves_at_once(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", ENDLESS, sleeps=SLEEPS.replace("SECONDS", "50"))
    with started("start", "--verbose", cwd=app) as running:
        running.wait_for("Executing 'Functions.sleeps'")
        running.send(signal.SIGINT)
        running.wait_for("SIGINT: draining")
        running.send(signal.SIGINT)
        assert running.end() == 128 + signal.SIGINT
    assert "did not end within" not in running.log
    assert "Traceback" not in running.log


BUSY = """
import cv2, edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "synthetic:")
def busy(frame):
    while True:
        cv2.GaussianBlur(frame.image, (31, 31), 0)
"""


def test_a_thread_that_is_busy_in_native_code_does_not_break_the_exit(tmp_path: Path) -> None:
    with started("start", "--verbose", cwd=app_in(tmp_path / "app", busy=BUSY)) as running:
        running.wait_for("Executing 'Functions.busy'")
        running.send(signal.SIGTERM)
        running.wait_for("SIGTERM: draining")
        running.send(signal.SIGTERM)
        assert running.end() == 128 + signal.SIGTERM


# --- mistakes ----------------------------------------------------------------------------------------------------


def one_line(ended: subprocess.CompletedProcess[str]) -> str:
    """What a command said that could not run: one line, no traceback."""
    said = (ended.stdout + ended.stderr).strip()
    assert ended.returncode == 1
    assert "\n" not in said, said
    return said


@pytest.mark.parametrize("given", ["INPUT", "=x", " =x"])
def test_a_setting_without_name_or_value_is_refused(tmp_path: Path, given: str) -> None:
    ended = edgefn("start", "--set", given, cwd=app_in(tmp_path / "app"))
    assert f"--set {given}: should be NAME=VALUE" in one_line(ended)


def test_a_root_that_is_no_app_is_refused_and_told_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").touch()
    said = one_line(edgefn("start", "--script-root", str(tmp_path), cwd=tmp_path))
    assert f"{tmp_path}: is no app: no host.json" in said
    assert "it has picture.jpg" in said


def test_a_root_that_a_variable_names_is_refused_with_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AzureWebJobsScriptRoot", str(tmp_path / "gone"))
    with pytest.raises(SettingError, match=rf"AzureWebJobsScriptRoot {tmp_path / 'gone'}: is no folder"):
        app_root(None)


def test_a_root_that_is_not_there_is_refused(tmp_path: Path) -> None:
    said = one_line(edgefn("start", "--script-root", "gone", cwd=tmp_path))
    assert "gone: is no folder; name the one with host.json" in said


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"version": "2.0",\n oops}', "host.json:2: "),
        ('{"version": "1.0"}', "'1.0' is an invalid value"),
        ("[]", "list"),
    ],
)
def test_a_broken_host_json_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    app = app_in(tmp_path / "app")
    (app / "host.json").write_text(text)
    said = one_line(edgefn("start", cwd=app))
    assert f"{app / 'host.json'}" in said
    assert fault in said


def test_a_state_folder_that_can_not_be_written_is_said_and_ends_it(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app")
    ended = edgefn("start", "--state", "host.json", cwd=app)
    (error,) = [line for line in ended.stdout.splitlines() if "ERROR" in line]
    assert ended.returncode == 1
    assert "host.json" in error
    assert "choose another" in error
    assert "--state" in error
    assert "Traceback" not in ended.stdout + ended.stderr


def test_until_end_fails_when_no_function_runs(tmp_path: Path) -> None:
    ended = edgefn("start", "--until-end", cwd=app_in(tmp_path / "app", wrong=WRONG))
    assert ended.returncode == 1
    assert "ERROR No source runs that could end: in error: wrong" in ended.stdout


# --- a terminal --------------------------------------------------------------------------------------------------


def test_a_terminal_shows_a_live_line_for_each_function(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", ENDLESS, count=LIVE, other=LIVE.replace("count", "other"), wrong=WRONG)
    shown = in_terminal("start", "--max-seconds", "2", cwd=app)
    live = [part for part in shown.split("\x1b[2K") if part.startswith("count  running")]
    assert len(live) >= 2
    assert "other  running" in live[0]
    assert "wrong  in error" in live[0]
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1  # the cursor is hidden, and there again


def in_terminal(*arguments: str, cwd: Path) -> str:
    """All that the command writes to a terminal of 30 lines."""
    ours, theirs = pty.openpty()
    variables = environment({"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"})
    with subprocess.Popen(command(*arguments), cwd=cwd, env=variables, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            shown = b"".join(iter(lambda: _read(terminal), b""))
        assert process.wait(LONGEST) == 0
    return shown.decode()


def _read(terminal: object) -> bytes:
    try:
        return terminal.read(65536)  # type: ignore[attr-defined, no-any-return]
    except OSError:  # Linux's way to say that the other side is closed
        return b""


# --- restart -----------------------------------------------------------------------------------------------------

HELLO = """
import azure.functions as func
app = func.FunctionApp()
@app.route("hello")
def hello(req: func.HttpRequest) -> str:
    return TEXT
"""


def test_a_restart_takes_the_changed_app_in_the_same_process_and_a_signal_still_ends_it(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app", hello=HELLO.replace("TEXT", "'first'"))
    with started("start", cwd=app) as running:
        where = re.search(r"http://localhost:\d+", running.log)
        assert where
        (app / "functions" / "hello.py").write_text(HELLO.replace("TEXT", "'second'"))
        request = urllib.request.Request(f"{where[0]}/admin/host/restart", method="POST")
        assert urllib.request.urlopen(request, timeout=10).status == 200
        running.wait_for("Starting anew")
        running.log = ""
        running.wait_for(READY)
        anew = re.search(r"http://localhost:\d+", running.log)
        assert anew
        assert urllib.request.urlopen(f"{anew[0]}/api/hello", timeout=10).read() == b"second"
        running.send(signal.SIGTERM)
        assert running.end() == 0
