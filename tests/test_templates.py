"""Every template: what it makes loads, runs, passes its own test, ruff and mypy. A new folder is tested by itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edgefn import cli
from edgefn.cli.templates import PLACEHOLDER, Template, templates
from edgefn.loader import App, load_app
from tests.cli.command import edgefn, sent
from tests.mqtt.mosquitto import broker_in
from tests.templates import add, empty_app

ROOT = Path(__file__).parents[1]
PACKAGE = str(Path(cli.__file__).parents[2])
ALL = templates()
SENDING = {"detect", "classify", "gate_watch", "sure", "summary", "tick", "look", "events", "score", "arrived"} | {
    "detections",
    "classification",
    "output1",
}
"""The outputs of functions that have something to tell as soon as the app runs."""
KNOWN = set("title description function aliases sample extras files note questions settings routes".split())
"""What a template.toml may hold."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An app with a function of each template."""
    app = empty_app(tmp_path_factory.mktemp("whole") / "app")
    for template in ALL:
        add(app, template)
    return app


def tool(app: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs a Python tool in the app, as its user would."""
    environment = {**os.environ, "PYTHONPATH": PACKAGE, "MYPYPATH": PACKAGE}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=app, env=environment, capture_output=True, text=True, timeout=120)


def loaded(app: Path) -> App:
    return load_app(app, environment={})


def faults(app: App) -> list[str]:
    return [*app.errors, *app.warnings, *(error for function in app.functions for error in function.errors)]


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.name)
def test_a_template_alone_makes_an_app_without_faults(tmp_path: Path, template: Template) -> None:
    root = empty_app(tmp_path / "app")
    add(root, template)
    app = loaded(root)
    assert faults(app) == []
    assert template.function in [function.name for function in app.functions]
    assert (root / f"tests/test_{template.function}.py").exists()


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.name)
def test_no_placeholder_is_left(tmp_path: Path, template: Template) -> None:
    root = empty_app(tmp_path / "app")
    add(root, template)
    texts = [path.read_text() for path in root.rglob("*") if path.suffix in (".py", ".json", ".txt", ".toml")]
    assert [found for text in texts for found in PLACEHOLDER.findall(text)] == []


@pytest.mark.parametrize("template", ALL, ids=lambda template: template.name)
def test_a_template_says_what_it_is(template: Template) -> None:
    assert set(template.document) <= KNOWN
    assert 10 < len(template.description) < 90
    assert not template.description.endswith(".")
    assert all(question.ask for question in template.questions.values())
    for question in template.questions.values():
        assert not question.choices or question.default in question.choices


def test_all_templates_together_load(whole: Path) -> None:
    app = loaded(whole)
    assert faults(app) == []
    assert {template.function for template in ALL} <= {function.name for function in app.functions}
    assert edgefn("check", cwd=whole).returncode == 0


def test_the_wheel_holds_the_templates() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    included = document["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["function_templates"] == "edgefn/function_templates"
    samples = {name for template in ALL for name in template.document.get("sample", ())}
    assert {f"sample/{name}.{end}" for name in samples for end in ("xml", "bin", "labels.txt")} <= set(included)


def test_every_template_is_in_the_guide() -> None:
    guide = (ROOT / "docs" / "templates.md").read_text()
    assert [template.name for template in ALL if f"| `{template.name}` |" not in guide] == []


def test_every_trigger_type_has_a_template(whole: Path) -> None:
    app = loaded(whole)
    used = {function.trigger_type.lower() for function in app.functions}
    assert set(app.kinds.triggers) - used == set(), "a folder with waiting.toml may have it: call that template.toml"


def test_the_tests_pass_as_generated(whole: Path) -> None:
    ended = tool(whole, "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist", "-W", "error")
    assert ended.returncode == 0, ended.stdout
    dots = re.search(r"(\d+) passed", ended.stdout)
    assert dots is not None
    assert int(dots[1]) >= len(ALL)


def test_types_are_right_as_generated(whole: Path) -> None:
    ended = tool(whole, "mypy", "--cache-dir", os.devnull)
    assert ended.returncode == 0, ended.stdout


def test_style_is_right_as_generated(whole: Path) -> None:
    for arguments in (("check", "--no-cache", "."), ("format", "--no-cache", "--check", "--diff", ".")):
        ended = tool(whole, "ruff", *arguments)
        assert ended.returncode == 0, ended.stdout


@pytest.mark.long
def test_all_templates_run(whole: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with broker_in(tmp_path / "broker") as broker:
        given = ("--set", f"MQTT_BROKER={broker.address}", "--set", "SPEECH_PLAYER=none")  # there is no loudspeaker
        ended = edgefn("start", "--max-seconds", "11", "--state", str(state), "--json", *given, cwd=whole)
    assert ended.returncode == 0
    assert wrong(ended.stdout) == []
    told = {name: sent(state, name) for name in SENDING}
    assert [name for name, bodies in told.items() if not bodies] == []


def wrong(log: str) -> list[str]:
    """The lines of a log that are no good news; what only tells that this machine is busy is none."""
    bad = re.compile(r'"(warning|error|critical)"|Traceback|[1-9]\d* errors?\b', re.IGNORECASE)
    busy = re.compile("while the host was starting|has blocked the event loop")
    return [line for line in log.splitlines() if bad.search(line) and not busy.search(line)]
