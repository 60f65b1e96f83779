"""What is in the image, and what is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.image.containers import Container, Image
from tests.image.secrets import secrets_in

LIMIT = 900_000_000
OURS = ("app", "opt", "home", "state")
"""What is not the base image's."""
CHECK = ("python3", "-m", "pip", "--python", "/opt/edgefn/bin/python", "check")
"""By the pip of the base image: the environment of the app has none."""


@pytest.fixture
def container(built: Image, tmp_path: Path) -> Container:
    return Container(built, tmp_path / "state", {})


def files(root: Path, *folders: str) -> Iterator[Path]:
    """All there is, without the devices that a running container is given."""
    for folder in folders or sorted(path.name for path in root.iterdir() if path.name not in ("dev", "proc", "sys")):
        for at, names, others in os.walk(root / folder):
            yield from (Path(at) / name for name in (*names, *others))


def size(paths: Iterator[Path]) -> int:
    """Bytes, each of a file with several names once."""
    found = {(status.st_ino, status.st_size) for path in paths if not stat.S_ISDIR((status := path.lstat()).st_mode)}
    return sum(size for _, size in found)


def packages(built: Image) -> Path:
    return next((built.root / "opt/edgefn/lib").glob("python3*")) / "site-packages"


def test_the_image_stays_small(built: Image, record_property: Callable[[str, object], None]) -> None:
    parts = {path.name: size(files(packages(built), path.name)) for path in packages(built).iterdir() if path.is_dir()}
    whole, own = size(files(built.root)), size(files(built.root, *OURS))
    largest = sorted(parts, key=parts.__getitem__, reverse=True)[:8]
    shown = [
        f"{whole / 1e6:.0f} MB",
        f"base {(whole - own) / 1e6:.0f}",
        f"app {size(files(built.root, 'app')) / 1e6:.1f}",
    ]
    record_property("size of the image", ", ".join([*shown, *(f"{name} {parts[name] / 1e6:.0f}" for name in largest)]))
    assert whole < LIMIT


def test_nobody_else_may_write_anything_but_into_tmp(built: Image) -> None:
    loose = [path for path in files(built.root) if not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH]
    assert [str(p.relative_to(built.root)) for p in loose if not p.stat().st_mode & stat.S_ISVTX] == []


def test_the_user_of_the_image_owns_its_state_folder_and_nothing_else(built: Image) -> None:
    user = int(built.user.split(":")[0])
    owned = [path for path in files(built.root) if path.lstat().st_uid == user]
    assert [str(path.relative_to(built.root)) for path in [*owned, built.root / "state"]] == ["state"]
    assert stat.S_IMODE((built.root / "state").stat().st_mode) == 0o700
    assert user >= 1000


def test_nothing_is_left_of_the_build(built: Image) -> None:
    programs = {path.name for path in files(built.root, "usr/bin", "usr/local/bin", "usr/libexec")}
    left = [path for path in files(built.root, *OURS) if path.name == "tests"]
    caches = [path for path in files(built.root) if path.name in (".cache", "pip-cache") or path.suffix == ".whl"]
    assert programs & {"cc", "gcc", "g++", "clang", "cc1", "make"} == set()
    assert left == []
    assert [path for path in caches if "ensurepip" not in path.parts and "python-wheels" not in path.parts] == []
    assert {path.name for path in (built.root / "app").iterdir()} == {
        "functions",
        "host.json",
        "local.settings.json",
        "sample",
    }


def test_a_start_compiles_nothing(container: Container) -> None:
    lines = (
        "from importlib.util import cache_from_source as kept",
        "from edgefn.deploy.bytecode import imported",
        "print([str(path) for path in imported() if not Path(kept(path)).exists()])",
    )
    said = container.run("python", "-c", "\n".join(("from pathlib import Path", *lines)))
    assert (said.stdout, said.stderr) == ("[]\n", "")


def test_the_image_says_how_it_is_run(built: Image) -> None:
    document = built.document
    assert document["Cmd"] == ["edgefn", "start"]
    assert document["Volumes"] == {"/state": {}}
    assert document["ExposedPorts"] == {"8080/tcp": {}}
    assert document["Healthcheck"]["Test"] == ["CMD", "edgefn", "health"]  # type: ignore[index]


def test_the_state_folder_alone_can_be_written(container: Container) -> None:
    tried = container.run(
        "sh", "-c", "id -u; for at in /app /tmp /home/edgefn /opt/edgefn /state; do touch $at/x && echo $at; done"
    )
    assert tried.stdout.split() == ["1000", "/state"]
    assert tried.stderr.count("Read-only file system") == 4


def test_the_packages_fit_together_and_find_the_processor(container: Container, built: Image) -> None:
    checked = container.run("env", f"PATH={built.environment['PATH'].partition(':')[2]}", *CHECK)
    assert "No broken requirements found" in checked.stdout, checked.stderr
    doctor = container.run("edgefn", "doctor", "--set", "DEVICE=AUTO:GPU,CPU").stdout
    assert "ok     functions     3 in /app" in doctor
    assert "GPU of AUTO:GPU,CPU is not there" in doctor
    assert "declare 'CPU', which is used" in doctor


def test_nobody_is_told_that_openvino_runs_here(container: Container) -> None:
    asked = "from openvino.tools.ovc.telemetry_utils import init_ovc_telemetry as i; print(i().consent)"
    assert container.run("python", "-c", asked).stdout == "False\n"


def test_there_is_no_secret_in_the_image(built: Image) -> None:
    assert secrets_in(path for path in files(built.root, "app", "home", "state") if path.is_file()) == []
