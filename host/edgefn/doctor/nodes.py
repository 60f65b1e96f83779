"""Files under /dev, and what to do when this user may not use one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from edgefn.doctor.software import group_name, user_name


def may_use(path: Path) -> bool:
    return os.access(path, os.R_OK | os.W_OK)


def refusal(path: Path) -> tuple[str, str]:
    """Why a device file can not be used, and what to do."""
    facts = path.stat()
    group = group_name(facts.st_gid)
    found = (
        f"{path} is not readable and writable for this user: it is of {user_name(facts.st_uid)}, group {group}, "
        f"mode {stat.S_IMODE(facts.st_mode):03o}"
    )
    return found, (
        f'sudo usermod -aG {group} $USER, and log in again; in a module "HostConfig": '
        f'{{"GroupAdd": ["{facts.st_gid}"]}} in createOptions'
    )


def mount(folder: str) -> str:
    """How a module gets device files."""
    return (
        f'"HostConfig": {{"Devices": [{{"PathOnHost": "{folder}", "PathInContainer": "{folder}", '
        '"CgroupPermissions": "rwm"}]} in createOptions'
    )
