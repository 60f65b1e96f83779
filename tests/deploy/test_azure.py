"""``edgefn deploy``: what it prints, and what a program of the name ``az`` is called with."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgefn.cli.deploy import Deploy, run_deploy
from tests.deploy.apps import COUNTER, app_in, made, module

KEY = "0123456789abcdef"
AZ = """#!/usr/bin/env python3
import json, os, pathlib, stat, sys
words = sys.argv[1:]
content = pathlib.Path(words[words.index("--content") + 1])
told = {
    "words": words,
    "content": json.loads(content.read_text()),
    "path": str(content),
    "mode": stat.S_IMODE(content.stat().st_mode),
    "folder_mode": stat.S_IMODE(content.parent.stat().st_mode),
}
pathlib.Path(os.environ["TOLD"]).write_text(json.dumps(told))
print("the answer of the hub", file=sys.stderr)
sys.exit(int(os.environ.get("AZ_EXIT", "0")))
"""


@pytest.fixture
def az(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for the Azure CLI on PATH; the file in which it notes how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "az").write_text(AZ)
    (folder / "az").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("TOLD", str(tmp_path / "told.json"))
    return tmp_path / "told.json"


def manifest(folder: Path, *, secret: bool = False, **wanted: Any) -> Path:
    """The file of a manifest; of an app with a secret, where it shall have one."""
    app = app_in(folder / "app", COUNTER, {"API_KEY": KEY} if secret else {})
    path = folder / "deployment.json"
    path.write_text(json.dumps(made(module(app), **wanted).document))
    return path


def asked(file: Path, **more: Any) -> Deploy:
    usual: dict[str, Any] = {
        **dict.fromkeys(("device", "deployment", "condition", "priority")),
        "hub": "my-hub",
        "labels": (),
        "given": (),
        "run": False,
    }
    return Deploy(file, **(usual | more))


def words(file: Path, content: str | Path, *rest: str) -> list[str]:
    return ["az", "iot", "edge", *rest, "--content", str(content), "--output", "none"]


def test_one_device_is_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = manifest(tmp_path)
    assert run_deploy(asked(file, device="box-1")) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert shlex.split(line) == words(file, file, "set-modules", "--hub-name", "my-hub", "--device-id", "box-1")


def test_a_layer_is_a_deployment_for_all_of_its_condition(
    tmp_path: Path, az: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifest(tmp_path, layered=True, target_condition="tags.site='north'")
    deploy = asked(file, deployment="street-2", labels=("app=street", "version=2"))
    assert run_deploy(deploy) == 0
    (line,) = capsys.readouterr().out.splitlines()
    expected = [
        *("az", "iot", "edge", "deployment", "create", "--hub-name", "my-hub", "--deployment-id", "street-2"),
        *("--content", str(file), "--target-condition", "tags.site='north'", "--priority", "10"),
        *("--labels", '{"app": "street", "version": "2"}', "--layered", "--output", "none"),
    ]
    assert shlex.split(line) == expected
    assert not az.exists()
    assert run_deploy(asked(file, deployment="street-2", labels=("app=street", "version=2"), run=True)) == 0
    assert ["az", *json.loads(az.read_text())["words"]] == expected


def test_what_the_command_line_says_of_a_deployment_comes_before_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifest(tmp_path, target_condition="tags.site='north'")
    run_deploy(asked(file, deployment="d", condition="deviceId='x'", priority=7))
    line = shlex.split(capsys.readouterr().out)
    assert line[line.index("--target-condition") + 1] == "deviceId='x'"
    assert line[line.index("--priority") + 1] == "7"
    assert "--layered" not in line


def test_secrets_are_filled_in_for_az_alone_and_are_gone_with_it(
    tmp_path: Path, az: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = manifest(tmp_path, secret=True)
    assert KEY not in file.read_text()
    monkeypatch.setenv("API_KEY", KEY)
    assert run_deploy(asked(file, device="box-1", run=True)) == 0
    told = json.loads(az.read_text())
    agent = told["content"]["modulesContent"]["$edgeAgent"]["properties.desired"]
    assert agent["modules"]["edgefn"]["env"]["API_KEY"] == {"value": KEY}
    assert (told["mode"], told["folder_mode"]) == (stat.S_IRUSR | stat.S_IWUSR, stat.S_IRWXU)
    assert not Path(told["path"]).parent.exists()
    assert KEY not in " ".join(told["words"])
    assert KEY not in "".join(capfd.readouterr())
    assert KEY not in file.read_text()


def test_a_value_may_be_given_on_the_command_line_and_one_that_is_missing_is_named(
    tmp_path: Path, az: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = manifest(tmp_path, secret=True)
    assert run_deploy(asked(file, device="box-1", run=True)) == 1
    assert "no value for $API_KEY; export it, or give --set NAME=VALUE" in capsys.readouterr().err
    assert not az.exists()
    assert run_deploy(asked(file, device="box-1", run=True, given=(f"API_KEY={KEY}",))) == 0
    assert az.exists()


HARD = '"}, "b\\\\": $API_KEY ${API_KEY} \\1 \\g<0>\n\t\u00e4\u2028\U0001f511 \' $(rm x) %s'
"""A value that JSON, regular expressions and shells would read as theirs."""


@pytest.mark.parametrize("key", [KEY, HARD, ""])
@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_printed_lines_do_the_same_in_a_shell_whatever_the_value(
    tmp_path: Path,
    az: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    shell: str,
) -> None:
    file = manifest(tmp_path, secret=True)
    others = file.with_suffix(".filled.json")
    others.touch(0o644)
    assert run_deploy(asked(file, device="box-1")) == 0
    printed = capsys.readouterr().out
    assert KEY not in printed
    monkeypatch.setenv("API_KEY", key)
    monkeypatch.setenv("LC_ALL", "C")
    subprocess.run([shell, "-c", printed], check=True)
    told = json.loads(az.read_text())
    assert told["content"]["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]["edgefn"]["env"] == {
        "API_KEY": {"value": key}
    }
    assert told["mode"] == stat.S_IRUSR | stat.S_IWUSR
    assert told["path"] == str(others)
    assert not others.exists()


def test_the_printed_lines_end_as_az_does_and_call_it_not_without_a_value(
    tmp_path: Path, az: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_deploy(asked(manifest(tmp_path, secret=True), device="box-1")) == 0
    printed = capsys.readouterr().out
    ended = subprocess.run(["sh", "-c", printed], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (1, "no value for $API_KEY; set it\n")
    assert not az.exists()
    monkeypatch.setenv("AZ_EXIT", "3")
    assert subprocess.run(["sh", "-c", f"API_KEY=x\n{printed}"], check=False).returncode == 3
    assert [path.name for path in tmp_path.glob("*.filled.json")] == []


def test_the_exit_code_is_that_of_az(tmp_path: Path, az: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZ_EXIT", "3")
    assert run_deploy(asked(manifest(tmp_path), device="box-1", run=True)) == 3


def test_without_az_there_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run_deploy(asked(manifest(tmp_path), device="box-1", run=True)) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("az: is not on PATH; install the Azure CLI")


@pytest.mark.parametrize(
    ("wanted", "more", "text"),
    [
        ({}, {}, "neither is given; --device-id for one device, or --deployment-id"),
        ({}, {"device": "a", "deployment": "b"}, "both are given; --device-id for one device, or --deployment-id"),
        ({"layered": True}, {"device": "a"}, "is a layer, which one device can not have"),
        ({}, {"device": "a", "priority": 5}, "--priority and --label are for --deployment-id; leave them out"),
        ({}, {"deployment": "b"}, "no target condition, so no device would have it"),
        ({}, {"deployment": "b", "condition": "*", "labels": ("x",)}, "--label x: should be NAME=VALUE"),
    ],
)
def test_what_does_not_fit_together_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wanted: Any, more: Any, text: str
) -> None:
    assert run_deploy(asked(manifest(tmp_path, **wanted), **more)) == 1
    assert text in capsys.readouterr().err


def test_a_manifest_that_is_wrong_does_not_leave(tmp_path: Path, az: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = manifest(tmp_path)
    file.write_text(file.read_text().replace("INTO $upstream", "INTO "))
    assert run_deploy(asked(file, device="box-1", run=True)) == 1
    assert "INTO is followed by nothing" in capsys.readouterr().err
    assert not az.exists()
