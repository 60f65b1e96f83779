"""The image of an app: its recipe, and the command that a container engine is given."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgefn.errors import EdgefnError, listing, nearest

PACKAGED = Path(__file__).parent / "Dockerfile"
CHECKOUT = Path(__file__).parents[3] / "Dockerfile"
ENGINES: Mapping[str, Sequence[str]] = {
    "docker": ("docker", "build"),
    "podman": ("podman", "build", "--format", "docker"),
    "buildah": ("buildah", "build", "--format", "docker", "--layers"),
}
"""How each engine builds, the first that answers does. The format of OCI has no health check."""
ACCELERATORS = ("cpu", "gpu", "npu")
ARCHITECTURES = ("amd64", "arm64")
HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?::\d+)?"
PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REFERENCE = re.compile(rf"(?:{HOST}/)?{PART}(?:/{PART})*(?::\w[\w.-]{{0,127}})?(?:@\w+:[0-9a-fA-F]{{32,}})?", re.ASCII)
"""How an image may be called, by the grammar of all engines and registries."""
LONGEST_NAME = 512
LONGEST = 30.0
"""Seconds in which an engine answers that it is there."""


@dataclass(frozen=True, slots=True)
class Image:
    """What is to be built."""

    folder: Path
    tag: str
    accelerators: str = "cpu"
    functions: str = ""
    """The folder or file of the app that becomes its ``functions/``; empty for all that there is."""
    arch: str = ""
    """Empty for that of this machine."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Further build arguments, as ``PYTHON_IMAGE``."""


def recipe() -> str:
    """The Dockerfile of every app, which is that of this package too."""
    return (PACKAGED if PACKAGED.exists() else CHECKOUT).read_text(encoding="utf-8")


def usual_tag(folder: Path) -> str:
    """The name of the folder, as images may be called."""
    return re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-") or "app"


def fault_of_name(image: str) -> str:
    """What is wrong with the name of an image; empty for one that may be, and for one with a reference to fill in."""
    if "$" in image or (len(image) <= LONGEST_NAME and REFERENCE.fullmatch(image)):
        return ""
    return (
        f"'{image}' can not be the name of an image: it has a host, a path in small letters, and a tag; "
        "registry.example/street:1.0 would be right"
    )


def check(image: Image) -> None:
    """Raises EdgefnError for what no engine could build."""
    if fault := fault_of_name(image.tag):
        raise EdgefnError(f"--tag: {fault}")
    if not image.folder.is_dir():
        raise EdgefnError(f"{image.folder}: is no folder; name that of the app")
    for name in image.accelerators.split(","):
        if name not in ACCELERATORS:
            raise EdgefnError(
                f"--accelerators {image.accelerators}: there is no '{name}'{nearest(name, ACCELERATORS)};"
                f" right would be {listing(ACCELERATORS)}, or several with commas"
            )
    if image.accelerators != "cpu" and image.arch == "arm64":
        raise EdgefnError(f"--accelerators {image.accelerators}: Intel's drivers are for amd64; for arm64 there is cpu")
    if image.arch and image.arch not in ARCHITECTURES:
        raise EdgefnError(f"--arch {image.arch}: right would be {listing(ARCHITECTURES)}")
    if image.functions and not (image.folder / image.functions).exists():
        found = listing(sorted(path.name for path in image.folder.iterdir() if not path.name.startswith("."))[:20])
        raise EdgefnError(f"--functions {image.functions}: is not in {image.folder}; it has {found}")


def command(engine: str, image: Image) -> list[str]:
    """What builds the image with this engine."""
    return [*ENGINES[engine], "-t", image.tag, *_options(image), str(image.folder)]


def _options(image: Image) -> Iterator[str]:
    if image.arch:
        yield from ("--platform", f"linux/{image.arch}")
    given = {"ACCELERATORS": image.accelerators, "FUNCTIONS": image.functions, **image.arguments}
    usual = {"ACCELERATORS": "cpu", "FUNCTIONS": ""}
    for name, value in given.items():
        if value != usual.get(name):
            yield from ("--build-arg", f"{name}={value}")


def engine() -> str:
    """The first engine that answers; raises EdgefnError with what was looked for."""
    tried = []
    for name in ENGINES:
        silence = _silence(name)
        if not silence:
            return name
        tried.append(f"{name} {silence}")
    raise EdgefnError(f"no container engine builds here: {'; '.join(tried)}. Install one, or start it")


def _silence(name: str) -> str:
    """Why an engine can not be used; empty when it can. A client without its engine is none."""
    if shutil.which(name) is None:
        return "is not installed"
    try:
        ended = subprocess.run([name, "version"], capture_output=True, encoding="utf-8", timeout=LONGEST)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"does not answer ({error})"
    said = (ended.stderr.strip() or ended.stdout.strip() or "no reason given").splitlines()
    return "" if ended.returncode == 0 else f"does not answer ({said[-1]})"


def build(engine: str, image: Image) -> int:
    """Builds it, with the engine's own lines; its exit code."""
    return subprocess.run(command(engine, image), env={**os.environ, "DOCKER_BUILDKIT": "1"}).returncode
