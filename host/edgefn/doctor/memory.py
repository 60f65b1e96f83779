"""Memory that is left: of the machine, and of the container, whichever is less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgefn.doctor.lines import Line, note, ok, wrong
from edgefn.doctor.sizes import MB, size

LITTLE, TOO_LITTLE = 500 * MB, 100 * MB
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def check_memory(proc: Path = PROC, cgroup: Path = CGROUP) -> Iterator[Line]:
    """Nothing where the machine does not tell, as outside of Linux."""
    left = [*_of_machine(proc / "meminfo"), *_of_container(cgroup)]
    if not left:
        return
    free, whose = min(left)
    found = f"{size(free)} left of {whose}"
    remedy = "end other processes, raise the module's limit, or use fewer and smaller models"
    if free < TOO_LITTLE:
        yield wrong("memory", found, remedy)
    elif free < LITTLE:
        yield note("memory", found, remedy)
    else:
        yield ok("memory", found)


def _of_machine(path: Path) -> Iterator[tuple[int, str]]:
    if path.exists():
        sizes = dict(line.split(":", 1) for line in path.read_text(encoding="utf-8").splitlines() if ":" in line)
        if "MemAvailable" in sizes:
            whole = size(int(sizes["MemTotal"].split()[0]) * 1024)
            yield int(sizes["MemAvailable"].split()[0]) * 1024, f"the machine's {whole}"


def _of_container(folder: Path) -> Iterator[tuple[int, str]]:
    """By control groups of version 2; caches that the kernel gives back are not counted as used."""
    limit, used, kinds = (folder / name for name in ("memory.max", "memory.current", "memory.stat"))
    if not (limit.exists() and used.exists() and kinds.exists()) or limit.read_text(encoding="utf-8").strip() == "max":
        return
    cached = dict(line.split() for line in kinds.read_text(encoding="utf-8").splitlines()).get("inactive_file", "0")
    most = int(limit.read_text(encoding="utf-8"))
    yield most - int(used.read_text(encoding="utf-8")) + int(cached), f"the container's {size(most)}"
