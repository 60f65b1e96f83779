"""Packages that edgefn needs have wheels for arm64, so that an image for it needs no compiler, and for each Python."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution

import pytest
from packaging.requirements import Requirement

from tests.conftest import ON_CI

GLIBC = range(17, 37)
"""Up to that of Debian 12; the images of Python have it or a newer one."""
ARM64 = [
    *("--python-version", "3.12", "--implementation", "cp", "--only-binary", ":all:"),
    *(word for minor in GLIBC for word in ("--platform", f"manylinux_2_{minor}_aarch64")),
]


def needed(name: str, seen: set[str]) -> set[str]:
    """The package, and all that it needs on Linux."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if name in seen:
        return seen
    seen.add(name)
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            needed(requirement.name, seen)
    return seen


def is_built(name: str) -> bool:
    """Whether its wheels differ by machine; all others fit everywhere."""
    try:
        return "Root-Is-Purelib: true" not in (distribution(name).read_text("WHEEL") or "")
    except PackageNotFoundError:
        return True


ASK = """
import contextlib, io, json, runpy, sys
*common, names = sys.argv[1:]
answers = {}
for name in names.split():
    sys.argv = ["pip", *common, name]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            runpy.run_module("pip", run_name="__main__")
        except SystemExit as ended:
            answers[name] = said.getvalue() or "failed" if ended.code else ""
print(json.dumps(answers))
"""


def without_wheel(names: list[str]) -> dict[str, str]:
    """What pip says of each package of which an arm64 Linux takes no wheel; it reads a page of each and loads none."""
    asked = ["index", "versions", "--pre", "--disable-pip-version-check", *ARM64, " ".join(names)]
    ended = subprocess.run([sys.executable, "-c", ASK, *asked], capture_output=True, text=True, check=True)
    answers = json.loads(ended.stdout)
    assert answers.keys() == set(names)
    return {name: said for name, said in answers.items() if said}


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_each_python_has_a_library_of_azure_functions(python: str) -> None:
    """From Python 3.13 on Microsoft's library has another major version; neither takes the other's Pythons."""
    requirements = [Requirement(line) for line in distribution("edgefn").requires or ()]
    (wanted,) = [
        each.specifier
        for each in requirements
        if each.name == "azure-functions"
        and each.marker
        and each.marker.evaluate({"python_version": python, "extra": ""})
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "index",
        "versions",
        "--disable-pip-version-check",
        "--python-version",
        python,
    ]
    asked = subprocess.run([*command, "--only-binary", ":all:", "azure-functions"], capture_output=True, text=True)
    if asked.returncode and not ON_CI:
        pytest.skip(f"the package index can not be reached: {asked.stderr.strip().splitlines()[-1]}")
    versions = re.search(r"^Available versions: (.*)$", asked.stdout, re.MULTILINE)
    assert versions, asked.stderr
    assert list(wanted.filter(versions[1].split(", "))) != []


def test_pyav_is_one_that_opens_files_as_key_frames_do() -> None:
    """Python 3.12 and later get PyAV 19 where nothing says otherwise, and its ``open`` is another one."""
    (wanted,) = {
        str(each.specifier) for each in map(Requirement, distribution("edgefn").requires or ()) if each.name == "av"
    }
    assert not Requirement(f"av{wanted}").specifier.contains("19.0.2")


def test_each_package_has_a_wheel_for_arm64() -> None:
    asked = sorted(name for name in needed("edgefn", set()) - {"edgefn"} if is_built(name))
    assert {"openvino", "opencv-python-headless", "numpy", "orjson", "pydantic-core"} <= set(asked)
    missing = without_wheel(asked)
    if len(missing) == len(asked) and not ON_CI:
        pytest.skip(f"the package index can not be reached: {missing[asked[0]].strip().splitlines()[-1]}")
    assert missing == {}
