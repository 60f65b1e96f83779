"""The extras of edgefn that an app asks for, and whether its requirements have them: the image is made of those."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from edgefn.deploy.module import function_needs
from edgefn.loader import App
from edgefn.web.serving.options import served_at, serving_options

REQUIREMENTS = "requirements.txt"
LINE = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)", re.MULTILINE)
OURS = re.compile(r"^[^#\n]*\bedgefn[^#\n\[]*\[([^]\n]*)\]", re.MULTILINE | re.IGNORECASE)
OF_EXTRA = re.compile(r"^([\w.-]+).*;\s*extra\s*==\s*['\"]([\w-]+)['\"]")
INSTEAD = {"otel": {"azure-monitor-opentelemetry"}}
"""Packages that bring what an extra has, and set it up themselves."""


def lacking_extras(app: App) -> Iterator[str]:
    """A text for each extra that the host or a function asks for and requirements.txt does not name."""
    if _is_package(app.root):
        return
    text = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in app.root.glob("requirements*.txt"))
    extras = {word.strip().lower() for match in OURS.finditer(text) for word in match[1].split(",")}
    packages = {_normal(match[1]) for match in LINE.finditer(text)}
    for extra, asking in _asked(app).items():
        own = _packages_of(extra)
        if extra not in extras and not (own and own <= packages) and not INSTEAD.get(extra, set()) & packages:
            yield (
                f"{app.root / REQUIREMENTS}: an image has no extra '{extra}', which {asking} needs; "
                f"edgefn[{','.join(sorted({*extras, extra}))}] would be right"
            )


def _asked(app: App) -> dict[str, str]:
    """Who asks for each extra; functions that are in error do not tell."""
    found: dict[str, str] = {}
    if app.config.is_traced:
        found["otel"] = f"telemetryMode ({app.config.at(app.root, 'telemetryMode')})"
    if serving_options(app.root, app.config).grpc_port is not None:
        found["serving"] = f"extensions.serving.grpcPort ({served_at(app.root, app.config)('grpcPort')})"
    for function in app.functions:
        for extra in () if function.errors else function_needs(function, app.kinds).extras:
            found.setdefault(extra, f"function '{function.name}' ({function.place})")
    return found


def _is_package(root: Path) -> bool:
    """Whether the folder is installed as a package, by dependencies of its own."""
    try:
        return "project" in tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def _packages_of(extra: str) -> set[str]:
    try:
        stated = requires("edgefn") or []
    except PackageNotFoundError:
        return set()
    return {_normal(match[1]) for each in stated if (match := OF_EXTRA.match(each)) and match[2] == extra}


def _normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()
