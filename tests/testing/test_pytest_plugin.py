"""The pytest plugin, in a run of pytest of its own on a small project."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import edgefn
from tests.cli.command import environment

PROJECT = Path(__file__).parents[2]
APP = """
import edgefn
app = edgefn.FunctionApp()

@app.video_frame_trigger("frame", "synthetic:")
@app.inference_session("detector", model="%MODEL%")
@app.edge_hub_output("out", "out", interval=5)
def count(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession, out: edgefn.Out[int]):
    out.set(len(detector.infer(frame)))
"""
TESTS = """
import pytest

@pytest.fixture
def edgefn_settings():
    return {"MODEL": "model.xml"}

@pytest.fixture
def edgefn_sessions():
    return {"detector": [[], []]}

def test_count(edgefn_app, edgefn_clock, edgefn_picture):
    assert edgefn_picture.shape == (360, 640, 3)
    assert edgefn_app.call("count", edgefn_picture).outputs["out"] == [0]
    assert edgefn_app.call("count", edgefn_picture).outputs["out"] == []
    edgefn_clock.pass_by(5)
    assert edgefn_app.call("count", edgefn_picture).outputs["out"] == [0]

def test_root(edgefn_root):
    assert (edgefn_root / "functions" / "count.py").exists()
"""
LIGHT = """
import sys

def test_nothing_of_weight_is_imported():
    assert {"cv2", "numpy", "openvino", "azure", "pydantic", "edgefn.testing.kit"} & set(sys.modules) == set()
"""


def run_of_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "edgefn.testing.pytest_plugin", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        env=environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "host.json": '{"version": "2.0"}',
        "functions/count.py": APP,
        "tests/test_count.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_fixtures_find_the_app_above_the_test(project: Path) -> None:
    ended = run_of_pytest(project, "-W", "error", "tests")
    assert "2 passed" in ended.stdout, ended.stdout


def test_the_ini_option_names_the_app(project: Path) -> None:
    (project / "apps").mkdir()
    (project / "functions").rename(project / "apps" / "functions")
    (project / "host.json").rename(project / "apps" / "host.json")
    (project / "pytest.ini").write_text("[pytest]\nedgefn_root = apps\n")
    assert "2 passed" in run_of_pytest(project).stdout
    (project / "pytest.ini").write_text("[pytest]\n")
    assert "has a host.json; name the app with root=..." in run_of_pytest(project).stdout


def test_a_run_that_uses_no_fixture_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_light.py").write_text(LIGHT)
    ended = run_of_pytest(tmp_path)
    assert "1 passed" in ended.stdout, ended.stdout


def test_the_package_names_the_plugin_and_pytest_shows_its_fixtures(project: Path) -> None:
    scripts = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert scripts == {"edgefn": "edgefn.testing.pytest_plugin"}
    shown = run_of_pytest(project, "--fixtures").stdout
    documented = (PROJECT / "docs" / "testing.md").read_text()
    names = ("edgefn_app", "edgefn_root", "edgefn_settings", "edgefn_sessions", "edgefn_clock", "edgefn_picture")
    assert [name for name in names if name not in shown or f"`{name}`" not in documented] == []


def test_the_code_of_the_guide_runs_on_the_sample(tmp_path: Path) -> None:
    import cv2

    from edgefn.scene import Scene

    blocks = re.findall(r"```python[^\n]*\n(.*?)```", (PROJECT / "docs" / "testing.md").read_text(), re.DOTALL)
    for block in blocks:
        ast.parse(block)
    for name in ("functions", "sample", "host.json", "local.settings.json"):
        (tmp_path / name).symlink_to(PROJECT / name)
    cv2.imwrite(str(tmp_path / "picture.png"), Scene().frame(0)[0])
    first = blocks[0].replace("path/to/app", str(tmp_path)).replace("path/to/picture.png", "picture.png")
    (tmp_path / "test_first.py").write_text(first)
    (tmp_path / "test_fixtures.py").write_text(next(block for block in blocks if "def edgefn_sessions" in block))
    ended = run_of_pytest(tmp_path, "test_first.py", "test_fixtures.py")
    assert "2 passed" in ended.stdout, ended.stdout


def test_importing_the_kit_does_not_import_its_parts() -> None:
    code = "import sys, edgefn.testing; print({'cv2', 'numpy', 'azure', 'pydantic', 'pytest'} & set(sys.modules))"
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment({}), capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == "set()"
    assert edgefn.__version__
