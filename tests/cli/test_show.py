"""``edgefn list`` and ``edgefn check``: what an app declares, what is wrong with it, for people and for tools."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from edgefn.cli.show import run_check, run_list
from tests.cli.command import COUNT, app_in, edgefn

WRONG = COUNT.replace("count", "wrong").replace("%SOURCE%", "%SUORCE%")
FUNCTION_KEYS = {"name", "trigger", "bindings", "file", "line", "errors"}


def test_list_shows_each_function_with_its_bindings(tmp_path: Path) -> None:
    ended = edgefn("list", cwd=app_in(tmp_path / "app"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Functions:\n\n\tcount: videoFrameTrigger   (functions/count.py:6)\n")
    assert "<- frame: videoFrameTrigger source=%SOURCE%" in ended.stdout
    assert "-> $return: edgeHub outputName=frames" in ended.stdout


def test_list_shows_what_is_wrong_beside_the_function(tmp_path: Path) -> None:
    ended = edgefn("list", cwd=app_in(tmp_path / "app", count=COUNT, wrong=WRONG, broken="def f(:\n"))
    assert ended.returncode == 0
    assert "wrong: videoFrameTrigger, in error" in ended.stdout
    assert "\nfunctions/wrong.py:4: option 'source' of videoFrameTrigger: '%SUORCE%' does not" in ended.stdout
    assert "did you mean 'SOURCE'?" in ended.stdout
    assert "functions/broken.py:1: SyntaxError" in ended.stdout


@pytest.mark.parametrize("command", ["list", "check"])
def test_json_has_one_shape(tmp_path: Path, command: str) -> None:
    ended = edgefn(command, "--json", cwd=app_in(tmp_path / "app", count=COUNT, wrong=WRONG, broken="def f(:\n"))
    document = json.loads(ended.stdout)
    assert document.keys() == {"functions", "models", "errors"}
    assert all(function.keys() == FUNCTION_KEYS for function in document["functions"])
    count, wrong = document["functions"]
    assert (count["name"], count["trigger"], count["errors"]) == ("count", "videoFrameTrigger", [])
    assert (count["file"], count["line"]) == ("functions/count.py", 6)
    assert {binding["name"]: binding["type"] for binding in count["bindings"]} == {
        "frame": "videoFrameTrigger",
        "$return": "edgeHub",
    }
    assert "functions/wrong.py:4: " in wrong["errors"][0]
    assert "functions/broken.py:1: " in document["errors"][0]


def test_check_of_a_sound_app_gives_0(tmp_path: Path) -> None:
    ended = edgefn("check", cwd=app_in(tmp_path / "app"))
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("1 function")
    assert "0 errors, 0 warnings" in ended.stdout


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("code", [WRONG, "def f(:\n", "import gone\n"], ids=["option", "syntax", "import"])
def test_check_gives_1_for_whatever_is_wrong(tmp_path: Path, code: str, more: tuple[str, ...]) -> None:
    ended = edgefn("check", *more, cwd=app_in(tmp_path / "app", count=COUNT, bad=code))
    assert ended.returncode == 1
    assert "functions/bad.py:" in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr + ended.stdout


def test_check_of_the_sample_gives_0(tmp_path: Path) -> None:
    ended = edgefn("check", "--json", cwd=tmp_path)
    assert ended.returncode == 0
    assert [function["name"] for function in json.loads(ended.stdout)["functions"]] == ["detect", "light", "passages"]


def test_a_function_that_there_is_not_is_an_error_that_lists_those_that_there_are(tmp_path: Path) -> None:
    ended = edgefn("check", "--functions", "cuont", cwd=app_in(tmp_path / "app"))
    assert ended.returncode == 1
    assert "no function 'cuont' to run; did you mean 'count'?; functions: count" in ended.stderr


@pytest.mark.parametrize("command", ["list", "check"])
def test_a_broken_host_json_is_one_line_or_one_object(tmp_path: Path, command: str) -> None:
    app = app_in(tmp_path / "app")
    (app / "host.json").write_text("{oops}")
    plain, as_json = edgefn(command, cwd=app), edgefn(command, "--json", cwd=app)
    assert (plain.returncode, plain.stdout, as_json.returncode, as_json.stderr) == (1, "", 1, "")
    (line,) = plain.stderr.splitlines()
    assert line.startswith(f"{app / 'host.json'}:1: no valid JSON")
    assert json.loads(as_json.stdout) == {"functions": [], "models": {}, "errors": [line]}


WATCH = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "synthetic:")
@app.inference_session("detector", model="model.xml", device="AUTO:GUP,CPU", labels="labels.txt")
@app.edge_hub_output("$return", "out", gate="presence", classes="car, Truck")
def watch(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession): ...
"""


def test_check_warns_of_devices_and_classes_that_there_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_in(tmp_path / "app", f=WATCH)
    for name in ("model.xml", "model.bin"):
        (app / name).touch()
    (app / "labels.txt").write_text("car\ntruck\n")
    assert run_check(app, (), (), as_json=False) == 0
    device, label = capsys.readouterr().err.splitlines()
    assert "inferenceSession 'detector' of function 'watch': device 'GUP' is not known; did you mean 'GPU'?" in device
    assert "class 'Truck' is none of the labels; did you mean 'truck'?; labels: car, truck" in label
    (app / "labels.txt").unlink()
    assert run_check(app, (), ("X=y",), as_json=False) == 0
    assert "class" not in capsys.readouterr().err


def test_check_counts_each_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = app_in(
        tmp_path / "app",
        f="import edgefn\napp = edgefn.FunctionApp()\n"
        "@app.video_frame_trigger('frame', 'synthetic:', max_fps='%A%', every_nth='%B%')\ndef f(frame): ...\n",
    )
    assert run_check(app, (), (), as_json=False) == 1
    shown = capsys.readouterr()
    assert len(shown.err.splitlines()) == 2
    assert shown.out == "1 function, 2 errors, 0 warnings\n"


def test_check_warns_of_routes_that_take_nothing_and_of_outputs_that_none_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = app_in(
        tmp_path / "app",
        f="import edgefn\napp = edgefn.FunctionApp()\n@app.edge_hub_trigger('m', 'in')\n"
        "@app.edge_hub_output('$return', 'out')\ndef f(m): return m\n",
    )
    (app / "host.json").write_text(
        '{"version": "2.0", "extensions": {"edgeHub": {"routes": {\n"a": "FROM /message/* INTO $upstream"}}}}'
    )
    assert run_check(app, (), (), as_json=False) == 0
    odd, loose = capsys.readouterr().err.splitlines()
    assert odd.startswith(
        f'warning: {app / "host.json"}:2: route "a" takes from /message/*, where nothing comes from; '
    )
    assert loose == (
        f'warning: {app / "host.json"}:1: no route takes output "out" of module "edgefn"; edgeHub drops its messages'
    )


def test_check_says_what_is_wrong_with_serving(tmp_path: Path) -> None:
    app = app_in(tmp_path / "app")
    (app / "host.json").write_text('{"version": "2.0", "extensions": {"serving": {"port": 8001}}}')
    ended = edgefn("check", cwd=app)
    assert ended.returncode == 1
    assert (
        "host.json:1: extensions.serving.port: unknown option; did you mean 'grpcPort'?; known options: http, "
        in ended.stderr
    )


SCORE = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger("frame", "%SOURCE%")
@app.inference_session("near", "models/street.xml")
@app.inference_session("far", "grpc://host:9000/cars")
@app.inference_session("told", "stub:answers.json")
def score(frame, near, far, told):
    return None
"""


def serving(folder: Path, **options: object) -> Path:
    app = app_in(folder, score=SCORE)
    (app / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"serving": options}}))
    return app


def test_list_shows_the_models_that_are_served_and_their_sessions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = serving(tmp_path / "app", http=True, grpcPort=8001)
    assert run_list(app, (), (), as_json=False) == 0
    shown = capsys.readouterr().out
    assert "\nModels served by HTTP below /v2 and /v1/models and by gRPC on port 8001:\n\n\tcars: score.far" in shown
    assert "\n\tstreet: score.near   (functions/score.py:5)\n" in shown
    assert "answers" not in shown.partition("Models served")[2]
    run_list(app, (), (), as_json=True)
    assert json.loads(capsys.readouterr().out)["models"] == {"cars": "score.far", "street": "score.near"}
    run_list(serving(tmp_path / "named", http=True, models={"a": "score.near"}), (), (), as_json=True)
    assert json.loads(capsys.readouterr().out)["models"] == {"a": "score.near"}
    run_list(serving(tmp_path / "off"), (), (), as_json=False)
    assert "Models" not in capsys.readouterr().out


def test_check_warns_of_files_without_which_a_function_would_be_in_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_check(app_in(tmp_path / "app", score=SCORE), (), (), as_json=False) == 0
    first, second = capsys.readouterr().err.splitlines()
    where = "warning: functions/score.py:{} of function 'score': '{}' is not there; put it there before"
    assert first.startswith(where.format("7: inferenceSession 'told'", "answers.json"))
    assert second.startswith(where.format("5: inferenceSession 'near'", "models/street.xml"))


def test_check_says_where_grpc_is_needed_and_not_installed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = serving(tmp_path / "app", grpcPort=8001, models={"a": "score.naer"})
    assert run_check(app, (), (), as_json=False) == 0
    assert (
        "'a' is to be the model of 'score.naer', and there is no such session; did you mean" in capsys.readouterr().err
    )
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert run_check(app, (), (), as_json=False) == 1
    first, second, *_ = capsys.readouterr().err.splitlines()
    remedy = "gRPC is not installed; right would be: pip install 'edgefn[serving]'"
    assert first == f"{app / 'host.json'}:1: extensions.serving.grpcPort: {remedy}"
    assert second == f"functions/score.py:6: inferenceSession 'far' of function 'score': {remedy}"


@pytest.mark.parametrize(
    ("extensions", "fault"),
    [
        ({"page": {"on": True}}, "host.json:1: extensions.page.on: "),
        ({"twin": {"reportInterval": 0}}, "host.json:1: extensions.twin.reportInterval: "),
    ],
)
def test_check_finds_what_a_start_would_find_wrong_in_host_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extensions: dict[str, object], fault: str
) -> None:
    app = app_in(tmp_path / "app")
    (app / "host.json").write_text(json.dumps({"version": "2.0", "extensions": extensions}))
    assert run_check(app, (), (), as_json=False) == 1
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("--help",), ("start", "--help"), ("list", "-h"), ("check", "-h")])
def test_help_is_there_for_each_command(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = edgefn(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: edgefn")


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert edgefn("--version", cwd=tmp_path).stdout.count(".") == 2
