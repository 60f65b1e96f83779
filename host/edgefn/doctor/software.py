"""Python, the packages that this edgefn needs, and who runs it."""

from __future__ import annotations

import os
import platform
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from edgefn import __version__
from edgefn.doctor.lines import Line, ok, wrong
from edgefn.errors import listing

LOWEST = (3, 11)
TELLING = ("azure-functions", "azure-iot-device", "openvino", "opencv-python-headless")
"""Packages whose versions are shown also when all is well."""
CHECKOUT = Path(__file__).parents[3] / "pyproject.toml"
REQUIREMENT = re.compile(r"^([\w.-]+)(?:\[[^\]]*\])?\s*(.*)$")
BOUND = re.compile(r"(>=|<=|==|!=|<|>)\s*([\w.]+)")
VERSION = re.compile(r"^(\d+(?:\.\d+)*)(?:\.?(a|b|rc|dev)(\d+))?")

Ordered = tuple[tuple[int, ...], str, int]


def check_python(found: tuple[int, ...] = sys.version_info[:3]) -> Line:
    """edgefn, Python, and the machine."""
    shown = ".".join(str(part) for part in found)
    text = f"edgefn {__version__}, Python {shown}, {platform.system()} {platform.machine()}{_user()}"
    if found[:2] < LOWEST:
        return wrong("python", text, "install Python 3.11 or later, and edgefn in it")
    return ok("python", text)


def check_packages(required: Sequence[str] | None = None) -> Iterator[Line]:
    """A line for each package that is missing or out of range; one when none is."""
    faults = 0
    for requirement in _required() if required is None else required:
        for line in _faults(requirement):
            faults += 1
            yield line
    if not faults:
        yield ok("packages", listing(f"{name} {version(name)}" for name in TELLING))


def _required() -> list[str]:
    """As the installed package says; where only its checkout is there, as that does."""
    try:
        stated = requires("edgefn") or []
    except PackageNotFoundError:
        stated = tomllib.loads(CHECKOUT.read_text(encoding="utf-8"))["project"]["dependencies"]
    return [each for each in stated if ";" not in each]


def _faults(requirement: str) -> Iterator[Line]:
    match = REQUIREMENT.match(requirement)
    assert match is not None, requirement
    name, bounds = match[1], match[2]
    remedy = f"pip install '{requirement}'"
    try:
        there = version(name)
    except PackageNotFoundError:
        yield wrong("packages", f"{name} is not installed", remedy)
        return
    if not all(_holds(there, sign, bound) for sign, bound in BOUND.findall(bounds)):
        yield wrong("packages", f"{name} {there} is not {bounds}", remedy)


def _holds(there: str, sign: str, bound: str) -> bool:
    a, b = _ordered(there), _ordered(bound)
    return {">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b}[sign]


def _ordered(text: str) -> Ordered:
    """A version so that they compare: 2.15.0rc1 comes before 2.15, which is 2.15.0."""
    match = VERSION.match(text)
    if match is None:
        return (), "", 0
    numbers = [int(part) for part in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    stage = {"dev": "0", "a": "1", "b": "2", "rc": "3", None: "9"}[match[2]]
    return tuple(numbers), stage, int(match[3] or 0)


def _user() -> str:
    if not hasattr(os, "getuid"):
        return ""
    groups = listing(group_name(number) for number in sorted({os.getgid(), *os.getgroups()}))
    return f", user {user_name(os.getuid())}, groups {groups}"


def user_name(number: int) -> str:
    """The name of a user, its number where it has none, as in most containers."""
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def group_name(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
