"""Which folders of a box a container is shown: what an app reads and writes that is not in its image."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from edgefn.contracts import Asset, Needs
from edgefn.deploy.create_options import APP, STATE

USER = 1000
"""The number of the image's user."""


def binds(needs: Needs, root: Path, module: str) -> list[str]:
    """``HostConfig.Binds``: the state folder first. Volumes have the name of the module, folders their own."""
    found = [f"{module}-state:{STATE}"]
    found += [f"{folder}:{folder}:ro" for folder in needs.binds]
    found += [bind for asset in needs.reads if (bind := _read(asset, root))]
    found += [bind for folder in needs.writes if (bind := _written(folder, module))]
    return list(dict.fromkeys(found))


def notes(needs: Needs, root: Path) -> Iterator[str]:
    """What has to be so on the box, and what is missing here."""
    for asset in needs.reads:
        if asset.found is None:
            yield f"{asset.declared} is not here; the image can not have it: put it on the box, or into the app folder"
        elif not is_in_image(asset, root):
            where = _host(asset) if _can_be_bound(asset) else None
            yield f"{asset.declared} lies outside of the app folder: " + (
                f"the box needs {where}" if where else "put it into the app folder, or into a folder of its own"
            )
    for folder in needs.writes:
        inside = in_container(folder)
        if not _is_below(inside, STATE):
            yield (
                f"{folder} is {inside} in the container and a folder or volume of the box, which has to belong to user "
                f"{USER}; a folder below {STATE} does, and is kept with the state"
            )


def in_container(declared: str) -> str:
    """Where a path that an app declares is in its container."""
    return posixpath.normpath(posixpath.join(APP, declared.replace("\\", "/")))


def is_in_image(asset: Asset, root: Path) -> bool:
    """Whether the container finds in its image what was found here."""
    if asset.found is None or not asset.found.resolve().is_relative_to(root.resolve()):
        return False
    inside = asset.found.resolve().relative_to(root.resolve()).as_posix()
    return posixpath.join(APP, inside).rstrip("/.") == in_container(asset.declared)


def _read(asset: Asset, root: Path) -> str | None:
    if is_in_image(asset, root) or not _can_be_bound(asset):
        return None
    inside = in_container(asset.declared)
    is_folder = asset.found is not None and asset.found.is_dir()
    return f"{_host(asset)}:{inside if is_folder else posixpath.dirname(inside)}:ro"


def _can_be_bound(asset: Asset) -> bool:
    """Whether a folder of the box can be shown for it without hiding the app."""
    inside = in_container(asset.declared)
    folder = inside if asset.found is not None and asset.found.is_dir() else posixpath.dirname(inside)
    return folder not in ("/", APP) and (asset.found is not None or posixpath.isabs(asset.declared))


def _host(asset: Asset) -> str:
    """The folder on the box: where it is here, or as it is declared."""
    if asset.found is None:
        return posixpath.dirname(asset.declared)
    found = asset.found.resolve()
    return (found if found.is_dir() else found.parent).as_posix()


def _written(declared: str, module: str) -> str | None:
    inside = in_container(declared)
    if _is_below(inside, STATE):
        return None
    if _is_below(inside, APP):
        return f"{module}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', posixpath.relpath(inside, APP))}:{inside}"
    return f"{inside}:{inside}"


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
