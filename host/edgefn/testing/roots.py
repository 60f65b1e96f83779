"""Which app a test is for."""

from __future__ import annotations

from pathlib import Path

from edgefn.errors import EdgefnError


def app_root_of(folder: Path) -> Path:
    """The folder, or the nearest one above it, with a host.json; raises EdgefnError where there is none."""
    for candidate in (folder.resolve(), *folder.resolve().parents):
        if (candidate / "host.json").exists():
            return candidate
    raise EdgefnError(
        f"{folder}: neither it nor a folder above it has a host.json; name the app with root=..., or "
        "with edgefn_root in the options of pytest"
    )
