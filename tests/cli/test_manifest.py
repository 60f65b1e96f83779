"""``edgefn manifest``, the real command: names, images, files, and what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgefn.cli.manifest import Make, run_manifest
from tests.cli.command import app_in, edgefn
from tests.deploy.apps import ROOT, agent

HUB = """
import edgefn
app = edgefn.FunctionApp()
@app.edge_hub_trigger("m", "frames")
@app.edge_hub_output("$return", "sums")
def add(m: dict):
    return m
"""


def images(output: Path) -> dict[str, str]:
    return {name: module["settings"]["image"] for name, module in agent(json.loads(output.read_text())).items()}


def run(output: Path, *apps: str, **more: Any) -> int:
    return run_manifest(Make(apps, output=output, **more))


def test_a_manifest_is_printed_and_notes_go_to_the_standard_error(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "app", source="/dev/video0", hub=HUB)
    ended = edgefn("manifest", str(folder), "--set", "KEY=1", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(agent(json.loads(ended.stdout))) == ["edgefn"]
    again = edgefn("manifest", "make", str(folder), "--layered", "-o", "layer.json", cwd=tmp_path)
    assert (again.returncode, again.stdout) == (0, "")
    assert "properties.desired.modules.edgefn" in (tmp_path / "layer.json").read_text()


def test_an_app_in_error_gives_its_errors_and_no_file(tmp_path: Path) -> None:
    folder = app_in(tmp_path / "app", broken="def f(:\n")
    ended = edgefn("manifest", str(folder), "-o", "deployment.json", cwd=tmp_path)
    assert ended.returncode == 1
    assert "functions/broken.py:1: SyntaxError" in ended.stderr
    assert not (tmp_path / "deployment.json").exists()


def test_modules_have_the_names_that_are_given_or_those_of_their_folders(tmp_path: Path) -> None:
    one, two = (app_in(tmp_path / name, hub=HUB) for name in ("one", "two"))
    output = tmp_path / "deployment.json"
    assert run(output, str(one), f"second={two}") == 0
    assert images(output) == {"one": "one", "second": "two"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, {"one": "one", "second": "two"}),
        ({"images": ("r.io/{module}:1",)}, {"one": "r.io/one:1", "second": "r.io/second:1"}),
        ({"images": ("r.io/{module}:1", "one=other:2")}, {"one": "other:2", "second": "r.io/second:1"}),
        (
            {"images": ("r.io/{module}:1-{arch}",), "arch": "arm64"},
            {"one": "r.io/one:1-arm64", "second": "r.io/second:1-arm64"},
        ),
        (
            {"images": ("h:5000/{module}",), "arch": "amd64"},
            {"one": "h:5000/one:latest-amd64", "second": "h:5000/second:latest-amd64"},
        ),
    ],
    ids=str,
)
def test_images_are_named_by_build_by_pattern_or_one_by_one(tmp_path: Path, more: Any, expected: Any) -> None:
    one, two = (app_in(tmp_path / name, hub=HUB) for name in ("one", "two"))
    assert run(tmp_path / "d.json", str(one), f"second={two}", **more) == 0
    assert images(tmp_path / "d.json") == expected


@pytest.mark.parametrize(
    ("apps", "more", "text"),
    [
        (("one", "other/one"), {}, "module 'one': two apps have that name; name one of them: NAME=FOLDER"),
        (("one", "two"), {"images": ("r.io/x:1",)}, "several modules; {module} stands for the name"),
        (("one",), {"images": ("x=r.io/x:1",)}, "there is no module 'x'; modules: edgefn"),
        (("one",), {"images": ("x:{arch}",)}, "{arch} stands for an architecture; give --arch"),
        (("one",), {"images": ("R.io/One:1",)}, "--image: 'R.io/One:1' can not be the name of an image"),
        (("b.c=one",), {}, "module 'b.c': letters, digits, - and _ would be right"),
        (("nowhere",), {}, "nowhere: is no folder"),
        (("one",), {"given": ("X",)}, "--set X: should be NAME=VALUE"),
        (("one",), {"groups": ("render",)}, "--group render: should be NAME=VALUE"),
    ],
)
def test_what_can_not_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], apps: Any, more: Any, text: str
) -> None:
    for name in ("one", "two", "other/one"):
        app_in(tmp_path / name, hub=HUB)
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path / "d.json", *apps, **more) == 1
    assert text in capsys.readouterr().err


def test_a_file_that_can_not_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = app_in(tmp_path / "app", hub=HUB)
    assert run(tmp_path / "no" / "d.json", str(folder)) == 1
    assert "can not be written: No such file or directory; name another file" in capsys.readouterr().err


def test_making_and_checking_a_manifest_opens_nothing_and_loads_nothing_of_weight(tmp_path: Path) -> None:
    code = """
import sys
from edgefn.cli.kubernetes import MakeKubernetes, run_kubernetes
from edgefn.cli.manifest import Make, run_check, run_manifest
from pathlib import Path
assert run_manifest(Make((sys.argv[1],), output=Path("d.json"), schema=Path("s.json"))) == 0
assert run_check(Path("d.json"), (sys.argv[1],), strict=True, as_json=False) == 0
assert run_kubernetes(MakeKubernetes((sys.argv[1],), output=Path("k.json"))) == 0
print(sorted({"cv2", "openvino", "azure.iot", "paho", "uvicorn", "grpc", "cryptography"} & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert ended.stdout.splitlines()[-1] == "[]"
