"""``edgefn init``, ``edgefn new`` and ``edgefn templates``: what they make, refuse, ask and say."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgefn.cli.commands import FIRST
from edgefn.cli.generate import generated
from edgefn.cli.templates import Template, find, templates
from edgefn.errors import EdgefnError
from tests.cli.command import LONGEST, command, edgefn, environment
from tests.templates import empty_app

NAMES = [template.name for template in templates()]


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return empty_app(tmp_path / "app")


def values(app: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((app / "local.settings.json").read_text())["Values"]
    return found


def routes(app: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((app / "host.json").read_text())["extensions"]["edgeHub"]["routes"]
    return found


# --- init --------------------------------------------------------------------------------------------------------


def test_init_makes_an_app_that_runs_at_once(tmp_path: Path) -> None:
    ended = edgefn("init", "app", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Next:\n  cd app\n  edgefn start" in ended.stdout
    assert "Next:\n  cd 'an app'\n" in edgefn("init", "an app", "--empty", cwd=tmp_path).stdout
    for name in (
        "host.json local.settings.json requirements.txt requirements-dev.txt .gitignore .dockerignore Dockerfile "
        ".vscode/tasks.json .vscode/launch.json functions/detect.py tests/test_detect.py models/street-detector.xml"
    ).split():
        assert (tmp_path / "app" / name).exists(), name
        assert name in ended.stdout
    ended = edgefn("start", "--max-seconds", "4", "--upstream", cwd=tmp_path / "app")
    assert "detect -> $upstream {" in ended.stdout


def test_init_in_this_folder_keeps_what_is_there(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    ended = edgefn("init", "--empty", cwd=tmp_path)
    assert ended.returncode == 0
    assert "kept     .gitignore" in ended.stdout
    assert "cd " not in ended.stdout
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert list((tmp_path / "functions").iterdir()) == []
    assert not (tmp_path / "models").exists()


def test_init_leaves_an_app_alone_unless_it_is_forced(app: Path) -> None:
    (app / "host.json").write_text('{"version": "2.0", "mine": 1}')
    ended = edgefn("init", cwd=app)
    assert ended.returncode == 1
    assert "is an app already; edgefn new adds a function, --force writes over it" in ended.stderr
    assert "mine" in (app / "host.json").read_text()
    assert edgefn("init", "--force", cwd=app).returncode == 0
    assert "mine" not in (app / "host.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--template", "vidoe-gate"), "there is no 'vidoe-gate'; did you mean 'video-gate'?"),
        (("--name", "1st"), "'1st' can not be a function's name"),
    ],
)
def test_init_makes_nothing_when_it_is_asked_for_something_wrong(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    ended = edgefn("init", "app", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert words in ended.stderr
    assert not (tmp_path / "app").exists()


def test_the_settings_and_tasks_of_an_editor_are_json(app: Path) -> None:
    tasks = json.loads((app / ".vscode/tasks.json").read_text())
    assert [task["label"] for task in tasks["tasks"]] == ["edgefn: start", "edgefn: check", "edgefn: test"]
    launch = json.loads((app / ".vscode/launch.json").read_text())
    assert {configuration["type"] for configuration in launch["configurations"]} == {"debugpy"}


def test_the_image_runs_as_a_normal_user_without_local_settings(app: Path) -> None:
    lines = (app / "Dockerfile").read_text().splitlines()
    assert "ARG PYTHON_IMAGE=python:3.12-slim" in lines
    assert lines.index("USER 1000:1000") > lines.index("COPY --from=app /app /app")
    assert "local.settings.json" in (app / ".dockerignore").read_text().splitlines()


# --- new ---------------------------------------------------------------------------------------------------------


def test_new_says_what_it_made_and_what_is_next(app: Path) -> None:
    ended = edgefn("new", "--template", "video-detection", "--name", "detect", cwd=app)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "made     functions/detect.py" in ended.stdout
    assert "changed  local.settings.json: INPUT, MODEL_XML_PATH, DEVICE" in ended.stdout
    assert "edgefn start" in ended.stdout
    assert "python -m pytest" in ended.stdout
    assert values(app)["INPUT"] == "synthetic:"


def test_new_takes_the_words_of_func(app: Path) -> None:
    ended = edgefn("new", "--template", "HTTP trigger", "--name", "Hello", "--authlevel", "anonymous", cwd=app)
    assert ended.returncode == 0
    assert "auth_level=func.AuthLevel.ANONYMOUS" in (app / "functions/Hello.py").read_text()


def test_answers_go_into_code_and_only_settings_that_it_names_into_settings(app: Path) -> None:
    edgefn("new", "-t", "video-d", "-n", "detect", '--source=rtsp://camera/"a"', cwd=app)
    assert r'source="rtsp://camera/\"a\""' in (app / "functions/detect.py").read_text()
    assert "INPUT" not in values(app)


def test_settings_that_are_there_stay(app: Path) -> None:
    edgefn("settings", "add", "input", "0", cwd=app)
    edgefn("new", "-t", "video-d", "-n", "detect", cwd=app)
    assert (values(app)["input"], "INPUT" in values(app)) == ("0", False)


def test_routes_are_added_for_the_function_that_feeds_it(app: Path) -> None:
    edgefn("new", "-t", "edge-hub-filter", "-n", "sure", "--source", "detect", cwd=app)
    assert list(routes(app)) == ["upstream", "detect_to_sure"]
    edgefn("new", "-t", "edge-hub-filter", "-n", "other", "--source", "", cwd=app)
    assert list(routes(app)) == ["upstream", "detect_to_sure"]


def test_the_route_that_holds_without_any_is_named_with_the_first_one(app: Path) -> None:
    (app / "host.json").write_text('{"version": "2.0", "extensions": {"edgeHub": {"moduleId": "cam"}}}')
    edgefn("new", "-t", "edge-hub-filter", "-n", "sure", cwd=app)
    assert routes(app) == {
        "upstream": "FROM /messages/* INTO $upstream",
        "detect_to_sure": 'FROM /messages/modules/cam/outputs/detect INTO BrokeredEndpoint("/modules/cam/inputs/sure")',
    }


def test_a_file_with_comments_is_left_alone_and_the_rest_is_said(app: Path) -> None:
    text = '{"version": "2.0"} // mine'
    (app / "host.json").write_text(text)
    ended = edgefn("new", "-t", "edge-hub-filter", "-n", "sure", cwd=app)
    assert ended.returncode == 0
    assert "To do: add to host.json, which has comments that would be lost: {" in ended.stdout
    assert (app / "host.json").read_text() == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("edgefn~=0.1.0\n", "edgefn[mqtt]~=0.1.0\n"),
        ("numpy\nedgefn[speech]\n", "numpy\nedgefn[mqtt,speech]\n"),
        ("edgefn-extras\nedgefn[mqtt]==0.1\n", None),
        ("numpy\n", None),
    ],
)
def test_extras_go_into_the_requirements(app: Path, before: str, after: str | None) -> None:
    (app / "requirements.txt").write_text(before)
    timer = find("timer")
    template = Template(timer.name, timer.folder, {**timer.document, "extras": ["mqtt"], "note": "needs a broker"})
    result = generated(app, template, "tick", {}, force=False)
    result.plan.write()
    assert (app / "requirements.txt").read_text() == (after or before)
    assert "needs a broker" in result.by_hand
    if "edgefn[" not in before or after:
        assert any("mqtt" in step for step in result.by_hand)


WRONG = [
    ("--template tiemr --name a", "--template: there is no 'tiemr'; did you mean 'timer'?; templates: "),
    (
        "--template video --name a",
        "'video' may be any of video-classification, video-detection, video-gate",
    ),
    ("--template timer", "--name is missing; edgefn new --template timer --name NAME"),
    ("--name a", "--template is missing; edgefn new --template TEMPLATE --name NAME"),
    ("", "--template and --name are missing, and this is no terminal to ask in"),
    ("--template timer --name a --scedule x", "template timer has no such option; did you mean '--schedule'?"),
    ("--template timer --name a --schedule", "--schedule: its value is missing; --schedule VALUE would be right"),
    ("--template timer --name a --schedule daily", "--schedule: The schedule expression 'daily' was not recognized"),
    ("--template http --name a --authlevel all", "--auth-level: 'all' is no choice"),
    ("--template timer --name a-b", "'a-b' can not be a function's name; a letter, then letters, digits and _"),
    ("--template timer --name class", "'class' can not be a function's name"),
    ("--template timer --name host", "'host' can not be a function's name"),
    ("--template timer --name list", "'list' has a meaning in the file already; choose another name"),
    ("--template timer --name func", "'func' has a meaning in the file already"),
    ("--template timer --name TICK", "'tick' is in functions/own.py already; choose another name"),
    ("--template timer --name own", "'own' is in functions/own.py already; choose another name"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=[arguments for arguments, _ in WRONG])
def test_what_can_not_be_made_is_said_and_nothing_is_written(app: Path, arguments: str, words: str) -> None:
    (app / "functions/own.py").write_text("def tick(): ...\n")
    before = sorted(app.rglob("*"))
    ended = edgefn("new", *arguments.split(), cwd=app)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert sorted(app.rglob("*")) == before


def test_a_function_is_written_over_only_with_force(app: Path) -> None:
    edgefn("new", "-t", "timer", "-n", "tick", cwd=app)
    (app / "functions/tick.py").write_text("def tick(): ...  # mine\n")
    assert edgefn("new", "-t", "timer", "-n", "tick", cwd=app).returncode == 1
    (app / "functions/tick.py").rename(app / "functions/clock.py")
    (app / "functions/clock.py").write_text("")
    ended = edgefn("new", "-t", "timer", "-n", "tick", cwd=app)
    assert "tests/test_tick.py is there already; choose another name, or write over it with --force" in ended.stderr
    assert not (app / "functions/tick.py").exists()
    assert edgefn("new", "-t", "timer", "-n", "tick", "--force", cwd=app).returncode == 0
    assert edgefn("new", "-t", "timer", "-n", "tick", "--force", cwd=app).returncode == 0


@pytest.mark.parametrize("arguments", [(), ("-t", "timer", "-n", "tick")])
def test_a_folder_without_an_app_is_told_of_init(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = edgefn("new", *arguments, cwd=tmp_path)
    assert ended.returncode == 1
    assert "is no app, it has no host.json; make one with: edgefn init" in ended.stderr


@pytest.mark.parametrize("file", ["function_app.py", "Old/function.json"])
def test_an_app_of_another_layout_is_left_alone(app: Path, file: str) -> None:
    (app / file).parent.mkdir(exist_ok=True)
    (app / file).write_text("")
    ended = edgefn("new", "-t", "timer", "-n", "tick", cwd=app)
    assert ended.returncode == 1
    assert f"its functions are in {Path(file).parts[0]}" in ended.stderr


# --- asking ------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="a terminal is made by openpty, which is POSIX")
def test_new_asks_in_a_terminal_until_it_is_answered(app: Path) -> None:
    log = typed(app, "new", ["99", "http", "class", "greet", "everybody", "anonymous"])
    assert f"  1  {NAMES[0]}" in log
    assert "there is no '99'" in log
    assert "'class' can not be a function's name" in log
    assert "Who may call it (ANONYMOUS, FUNCTION, ADMIN) [FUNCTION]: " in log
    assert "'everybody' is no choice" in log
    assert "made     functions/greet.py" in log
    assert "AuthLevel.ANONYMOUS" in (app / "functions/greet.py").read_text()


@pytest.mark.skipif(os.name != "posix", reason="a terminal is made by openpty, which is POSIX")
def test_what_is_offered_is_taken_by_return(app: Path) -> None:
    log = typed(app, "new", [str(NAMES.index("timer") + 1), "", ""])
    assert "Name [tick]: " in log
    assert 'schedule="*/10 * * * * *"' in (app / "functions/tick.py").read_text()


def typed(app: Path, arguments: str, lines: list[str]) -> str:
    """What a terminal shows when these lines are typed into the command."""
    ours, theirs = os.openpty()
    with subprocess.Popen(
        command(*arguments.split()), cwd=app, env=environment({}), stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        alarm = threading.Timer(LONGEST, process.kill)
        alarm.start()
        log = b"".join(_answered(ours, [f"{line}\n".encode() for line in lines]))
        alarm.cancel()
        assert process.wait() == 0, log.decode()
    os.close(ours)
    return log.decode().replace("\r\n", "\n")


def _answered(terminal: int, lines: list[bytes]) -> Iterator[bytes]:
    """What comes until the other side is closed, which Linux tells as an error; each question gets the next line."""
    try:
        end = b""
        while chunk := os.read(terminal, 4096):
            yield chunk
            end = (end + chunk)[-2:]
            if end == b": " and lines:
                os.write(terminal, lines.pop(0))
    except OSError:
        return


# --- templates ---------------------------------------------------------------------------------------------------


def test_templates_are_listed(tmp_path: Path) -> None:
    lines = edgefn("templates", "list", cwd=tmp_path).stdout.splitlines()
    assert [line.split()[0] for line in lines[: len(NAMES)]] == NAMES
    listed = json.loads(edgefn("templates", "list", "--json", cwd=tmp_path).stdout)
    assert [each["name"] for each in listed] == NAMES
    (http,) = [each for each in listed if each["name"] == "http"]
    assert http["questions"] == [
        {
            "option": "--auth-level",
            "ask": "Who may call it",
            "default": "FUNCTION",
            "choices": ["ANONYMOUS", "FUNCTION", "ADMIN"],
        }
    ]


def test_names_titles_and_beginnings_find_a_template() -> None:
    for template in templates():
        assert find(template.name).name == find(template.title).name == find(template.title.upper()).name
    assert find("video-d").name == FIRST
    assert find("EventHub trigger").name == "iot-hub"
    with pytest.raises(EdgefnError, match="there is no ''"):
        find("")
