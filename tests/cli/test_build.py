"""``edgefn build``: which command an engine is given, and what is refused before."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from edgefn.cli import spread
from edgefn.cli.commands import commands
from edgefn.cli.init import image_files
from edgefn.deploy.image import ENGINES, command, engine, fault_of_name, recipe
from edgefn.deploy.image import Image as Built
from edgefn.errors import EdgefnError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs, the only one there is."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def edgefn(*arguments: str) -> Result:
    return CliRunner().invoke(commands, spread(list(arguments)))


def program(folder: Path, name: str, *lines: str) -> None:
    (folder / name).write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    (folder / name).chmod(0o755)


def app(tmp_path: Path) -> Path:
    folder = tmp_path / "My App"
    (folder / "functions").mkdir(parents=True)
    (folder / "functions/one.py").write_text("")
    (folder / "host.json").write_text('{"version": "2.0"}')
    return folder


def test_an_app_is_built_by_the_engine_that_answers_with_a_recipe_where_it_has_none(
    tmp_path: Path, programs: Path
) -> None:
    folder, asked = app(tmp_path), tmp_path / "asked"
    program(programs, "docker", "echo 'no daemon' >&2", "exit 1")
    program(programs, "podman", f'echo "$@" >>"{asked}"', "exit 0")
    ended = edgefn("build", str(folder), "--arch", "arm64", "--build-arg", "PYTHON_IMAGE=x/python:3")
    assert ended.exit_code == 0, ended.output
    options = "--platform linux/arm64 --build-arg PYTHON_IMAGE=x/python:3"
    assert asked.read_text().splitlines() == ["version", f"build --format docker -t my-app {options} {folder}"]
    assert (folder / "Dockerfile").read_text() == recipe() == (ROOT / "Dockerfile").read_text()
    assert "local.settings.json" in (folder / ".dockerignore").read_text().splitlines()


def test_the_recipe_of_the_app_is_left_alone_and_the_engines_failure_is_that_of_the_command(
    tmp_path: Path, programs: Path
) -> None:
    folder = app(tmp_path)
    (folder / "Dockerfile").write_text("FROM scratch\n")
    program(programs, "buildah", '[ "$1" = version ] || exit 7')
    assert edgefn("build", str(folder)).exit_code == 7
    assert (folder / "Dockerfile").read_text() == "FROM scratch\n"
    assert not (folder / ".dockerignore").exists()


def test_printing_needs_no_engine_and_writes_nothing(tmp_path: Path, programs: Path) -> None:
    folder = app(tmp_path)
    ended = edgefn(
        *("build", str(folder), "-t", "site/cam:1", "--accelerators", "gpu,npu", "--functions", "functions/one.py"),
        "--print",
    )
    arguments = "--build-arg ACCELERATORS=gpu,npu --build-arg FUNCTIONS=functions/one.py"
    assert ended.stdout == f"docker build -t site/cam:1 {arguments} '{folder}'\n"
    assert {path.name for path in folder.iterdir()} == {"functions", "host.json"}


def test_without_an_engine_the_error_says_what_was_looked_for(programs: Path) -> None:
    program(programs, "docker", "echo 'Cannot connect to the Docker daemon' >&2", "exit 1")
    with pytest.raises(EdgefnError) as error:
        engine()
    assert str(error.value) == (
        "no container engine builds here: docker does not answer (Cannot connect to the Docker daemon); "
        "podman is not installed; buildah is not installed. Install one, or start it"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--accelerators", "tpu"], "there is no 'tpu'; did you mean 'npu'?; right would be cpu, gpu, npu"),
        (["--accelerators", "gpu", "--arch", "arm64"], "Intel's drivers are for amd64"),
        (["--tag", "Street:1"], "--tag: 'Street:1' can not be the name of an image: it has a host, a path in small"),
        (["--arch", "x86"], "right would be amd64, arm64"),
        (["--functions", "nowhere"], "is not in"),
        (["--functions", "functions", "other"], "takes one folder or file"),
        (["--build-arg", "PYTHON_IMAGE"], "should be NAME=VALUE"),
    ],
)
def test_what_no_engine_could_build_is_refused(tmp_path: Path, options: list[str], said: str) -> None:
    ended = edgefn("build", str(app(tmp_path)), *options)
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert said in ended.stderr


TRACED = '{"version": "2.0", "telemetryMode": "OpenTelemetry", "extensions": {"serving": {"grpcPort": 0}}}'
KEY_FRAMES = """
import edgefn
app = edgefn.FunctionApp()
@app.video_frame_trigger(arg_name="frame", source="rtsp://camera/1", key_frames=True)
def look(frame): ...
"""


@pytest.mark.parametrize(
    ("requirements", "lacking"),
    [
        (None, "otel serving av"),
        ("edgefn\n", "otel serving av"),
        ("# edgefn[otel]\nedgefn[serving, AV]>=0.1\n", "otel"),
        ("edgefn[av]\nprotobuf>=5\ngrpcio\nazure_monitor.opentelemetry==1.8\n", ""),
        ("./wheels/edgefn-0.1.0-py3-none-any.whl[av,otel,serving]\n", ""),
        ("edgefn\n-r requirements-more.txt\n", "otel serving av"),
    ],
)
def test_an_extra_that_the_app_asks_for_and_the_image_will_not_have_is_a_warning(
    tmp_path: Path, programs: Path, requirements: str | None, lacking: str
) -> None:
    folder = app(tmp_path)
    program(programs, "docker", "exit 0")
    (folder / "host.json").write_text(TRACED)
    (folder / "functions/one.py").write_text(KEY_FRAMES)
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)
    ended = edgefn("build", str(folder))
    warnings = [line for line in ended.stderr.splitlines() if line.startswith("warning: ")]
    asking = {
        "otel": f"telemetryMode ({folder / 'host.json'}:1)",
        "serving": f"extensions.serving.grpcPort ({folder / 'host.json'}:1)",
        "av": "function 'look' (functions/one.py:5)",
    }
    said = [
        f"warning: {folder / 'requirements.txt'}: an image has no extra '{e}', which {asking[e]} needs"
        for e in lacking.split()
    ]
    assert [warning.partition(";")[0] for warning in warnings] == said
    assert ended.exit_code == 0
    checked = edgefn("check", "--script-root", str(folder))
    assert [line for line in checked.stderr.splitlines() if " extra " in line] == (warnings if requirements else [])


def test_a_folder_that_is_a_package_has_requirements_of_its_own(tmp_path: Path, programs: Path) -> None:
    folder = app(tmp_path)
    program(programs, "docker", "exit 0")
    (folder / "host.json").write_text(TRACED)
    (folder / "pyproject.toml").write_text("[project]\nname = 'street'\nversion = '1'\n")
    assert "warning" not in edgefn("build", str(folder)).stderr


@pytest.mark.parametrize(
    "name",
    [
        *(
            "street",
            "street:1.0-arm64",
            "me/street",
            "localhost/street",
            "registry.example/site/street:1",
            "r:5000/a/b:c",
        ),
        *("r.io/a__b.c-d@sha256:" + "0" * 64, "$REGISTRY/street:1", "${MODULES.street}"),
    ],
)
def test_names_of_images_are_those_of_engines_and_registries(name: str) -> None:
    assert fault_of_name(name) == ""


@pytest.mark.parametrize("name", ["Street", "a b", "r.io/a:", "a:b:c", "http://r.io/a", "a/", "a.", "é", "a" * 600])
def test_what_no_registry_takes_as_the_name_of_an_image_is_refused(name: str) -> None:
    assert fault_of_name(name).startswith(f"'{name}' can not be the name of an image")


def test_every_engine_is_given_what_the_recipe_asks_for(tmp_path: Path) -> None:
    for name in ENGINES:
        made = command(name, Built(tmp_path, "x", accelerators="gpu", functions="functions/one.py"))
        for argument in (word.split("=")[0] for word in made if "=" in word):
            assert f"ARG {argument}=" in recipe()


def test_the_files_of_init_and_build_are_the_same() -> None:
    assert set(image_files()) == {"Dockerfile", ".dockerignore"}
    assert os.fsdecode(image_files()["Dockerfile"]) == recipe()
