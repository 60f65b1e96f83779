"""The image of this checkout, and containers of it that need no engine to run.

The root file system of the image is a folder; a container is a process in it, as the user of the image, with that root
read-only, process 1 of a process namespace of its own, and the network of this machine. It takes root on Linux.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from edgefn.deploy.image import Image as Asked
from edgefn.deploy.image import command, engine, recipe
from edgefn.errors import EdgefnError
from tests.conftest import ON_CI
from tests.standin.hubs import LONGEST, wait_until

ROOT = Path(__file__).parents[2]
SCRIPT = Path(os.environ.get("EDGEFN_BUILD_IMAGE", ROOT.parent / "shared/tools/build-image"))
"""Builds images with buildah where there is no engine and no registry: ``SCRIPT IMAGE FOLDER [options of buildah]``."""
BUILDAH = ("buildah", "--storage-driver", "vfs")
CACHE = Path(tempfile.gettempdir()) / "edgefn-test-images"
NAME = "edgefn-test"
PATIENCE = 600.0
"""Seconds in which a base image comes, where its registry can be reached."""

ENTER = """
set -e
root=$1 user=$2 folder=$3
shift 3
mount --make-rprivate /
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mkdir -p "$root$2"
  mount --bind "$1" "$root$2"
  shift 2
done
shift
mkdir -p "$root/proc" "$root/dev" "$root/sys"
mount --rbind /dev "$root/dev"
mount --bind -o ro /sys "$root/sys"
mount -t proc proc "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" env -i --chdir="$folder" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a build gave: its files in a folder, and how it is run."""

    root: Path
    user: str
    folder: str
    environment: Mapping[str, str]
    command: Sequence[str]
    document: Mapping[str, object]
    """Its configuration, as engines show it."""


def image() -> Image:
    """The image of this checkout, built once for what it is made of; skips, or fails on CI, where none can be built."""
    if reason := missing():
        pytest.fail(reason) if ON_CI else pytest.skip(reason)
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test processes one builds, and the other one waits
        return _by_script() if SCRIPT.exists() else _by_engine()


def missing() -> str:
    """Why no image can be built and run here; empty when one can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "a container without an engine takes root"
    if SCRIPT.exists():
        return ""
    try:
        chosen = engine()
    except EdgefnError as error:
        return f"{error}; or name a script that builds in EDGEFN_BUILD_IMAGE"
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", recipe(), re.MULTILINE)
    assert found is not None, "the Dockerfile names no base image"
    return base_missing(chosen, found[1])


def base_missing(engine: str, name: str) -> str:
    """Why an engine can not begin with this base image: it is not there, and does not come; empty when it is there."""
    if subprocess.run((engine, "inspect", "--type", "image", name), capture_output=True).returncode == 0:
        return ""
    try:
        pull = subprocess.run((engine, "pull", name), capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        said = f"nothing came within {PATIENCE:.0f} s"
    else:
        if pull.returncode == 0:
            return ""
        said = (pull.stderr.strip() or "no reason given").splitlines()[-1]
    return (
        f"the base image {name} is not here, and can not be pulled: {said}; run `{engine} pull {name}` where its "
        "registry can be reached, or name a script that builds without one in EDGEFN_BUILD_IMAGE"
    )


def _content() -> str:
    """A hash over what the image is made of: the files of the checkout that .dockerignore does not name."""
    ignored = set((ROOT / ".dockerignore").read_text().split())
    listed = _said("git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    total = hashlib.sha256(SCRIPT.read_bytes() if SCRIPT.exists() else b"")
    for name in sorted(name for name in listed if name.split("/")[0] not in ignored and (ROOT / name).is_file()):
        total.update(f"{name}\n".encode() + (ROOT / name).read_bytes())
    return total.hexdigest()[:16]


def _by_script() -> Image:
    name = f"{NAME}-{_content()}"
    if name not in _said(*BUILDAH, "images", "--format", "{{.Name}}") if _has_buildah() else True:
        _forget_others()
        _said(str(SCRIPT), name, str(ROOT), "--format", "docker")
    if name not in _said(*BUILDAH, "containers", "--format", "{{.ContainerName}}").split():
        _said(*BUILDAH, "from", "--name", name, f"localhost/{name}")
    root = Path(_said(*BUILDAH, "mount", name).strip())
    document = json.loads(_said(*BUILDAH, "inspect", "--type", "image", f"localhost/{name}"))["Docker"]["config"]
    return _image(root, document)


def _has_buildah() -> bool:
    return any((Path(folder) / "buildah").exists() for folder in os.environ["PATH"].split(os.pathsep))


def _forget_others() -> None:
    """Images of checkouts as they were before; each is some 700 MB."""
    for name in _said(*BUILDAH, "containers", "--format", "{{.ContainerName}}").split() if _has_buildah() else ():
        if name.startswith(f"{NAME}-"):
            _said(*BUILDAH, "rm", name)
            _said(*BUILDAH, "rmi", f"localhost/{name}")


def _by_engine() -> Image:
    chosen, name = engine(), f"{NAME}:{_content()}"
    folder = CACHE / name.replace(":", "-")
    if not folder.exists():
        build(chosen, Asked(ROOT, name))
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        _unpack(chosen, name, part)
        part.rename(folder)
    said = json.loads(_said(chosen, "inspect", "--type", "image", name))
    return _image(folder, said["Docker"]["config"] if chosen == "buildah" else said[0]["Config"])


def build(engine: str, asked: Asked) -> None:
    """Builds it; what the engine said is in the error when it can not."""
    _said(*command(engine, asked))


def _unpack(engine: str, name: str, folder: Path) -> None:
    """Puts the files of an image into a folder."""
    if engine == "buildah":
        made = _said(engine, "from", name).strip()
        _said("cp", "-a", f"{_said(engine, 'mount', made).strip()}/.", str(folder))
    else:
        made = _said(engine, "create", name).strip()
        _said("sh", "-c", f"{engine} export {made} | tar -x -C {folder}")
    _said(engine, "rm", made)


def _image(root: Path, document: Mapping[str, object]) -> Image:
    environment = dict(line.split("=", 1) for line in document["Env"])  # type: ignore[attr-defined]
    return Image(root, document["User"], document["WorkingDir"], environment, document["Cmd"], document)  # type: ignore[arg-type]


def _said(*words: str) -> str:
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}"
    return ended.stdout


class Container:
    """A container of an image; its state folder stays between its starts."""

    def __init__(self, image: Image, state: Path, environment: Mapping[str, str], binds: Sequence[Path] = ()) -> None:
        self.image = image
        self.state = state
        self.environment = {**image.environment, **environment}
        self.binds = binds
        self._file = state.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        if not state.exists():
            state.mkdir(mode=0o700)
            os.chown(state, *map(int, image.user.split(":")))

    @property
    def log(self) -> str:
        """All that it has printed, over all its starts."""
        return self._file.read_text() if self._file.exists() else ""

    def words(self, *command: str) -> list[str]:
        """The command line that runs a command in the image; its own one where none is named."""
        image = self.image
        binds = [*(str(self.state), "/state"), *(str(word) for path in self.binds for word in (path, path)), "--"]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        inside = [str(image.root), image.user, image.folder, *binds, *variables, *(command or image.command)]
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "container", *inside]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in the image to its end, as ``docker exec`` runs it beside the one that serves."""
        return subprocess.run(self.words(*command), capture_output=True, text=True, timeout=LONGEST)

    def start(self) -> None:
        """Starts the command of the image, and returns when the process of the app is there."""
        with self._file.open("ab") as log:
            self._process = subprocess.Popen(self.words(), stdout=log, stderr=log)
        wait_until(lambda: self._first() is not None or self.has_ended())

    def kill(self) -> None:
        """SIGKILL."""
        self._send(signal.SIGKILL)
        self.wait()

    def stop(self, within: float) -> int:
        """SIGTERM; the exit code, which has to come in time."""
        self._send(signal.SIGTERM)
        return self.wait(within)

    def terminate(self) -> bool:
        """SIGTERM, where it still runs; whether it has ended."""
        first = self._first()
        if first is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGTERM)
        return self.has_ended()

    def wait(self, within: float = LONGEST) -> int:
        assert self._process is not None
        return self._process.wait(within)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _send(self, number: signal.Signals) -> None:
        first = self._first()
        assert first is not None, f"it does not run:\n{self.log}"
        os.kill(first, number)

    def _first(self) -> int | None:
        """Process 1 of the container, by its number out here."""
        assert self._process is not None
        own = self._process.pid
        try:
            children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        except OSError:
            return None
        return int(children[0]) if children else None

    def has_ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


@contextmanager
def running(container: Container) -> Iterator[Container]:
    """A container while it runs."""
    try:
        container.start()
        yield container
    finally:
        container.close()
