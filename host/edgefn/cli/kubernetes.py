"""``edgefn manifest kubernetes``: the objects of app folders in a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import typer

from edgefn.cli.manifest import give, named_apps
from edgefn.cli.opening import settings_given
from edgefn.deploy.kubernetes import Scale, kubernetes, workload_of
from edgefn.deploy.pod import Room
from edgefn.errors import EdgefnError


@dataclass(frozen=True, slots=True)
class MakeKubernetes:
    """What the command was asked for."""

    apps: tuple[str, ...]
    """Folders, each as ``NAME=FOLDER`` or by itself."""
    given: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    arch: str | None = None
    scale: Scale = field(default_factory=Scale)
    requests: tuple[str, ...] = ()
    """``RESOURCE=QUANTITY``, as ``limits`` are."""
    limits: tuple[str, ...] = ()
    storage: str = "2Gi"
    devices: tuple[str, ...] = ()
    """``/dev/...=RESOURCE``."""
    groups: tuple[str, ...] = ()
    """``NAME=NUMBER``, as they are on the nodes."""
    output: Path | None = None


def run_kubernetes(asked: MakeKubernetes) -> int:
    """Prints or writes the objects, and notes to the standard error; 1 where there are none."""
    try:
        room = Room(
            settings_given(asked.requests, "--request"),
            settings_given(asked.limits, "--limit"),
            asked.storage,
            settings_given(asked.devices, "--device"),
            settings_given(asked.groups, "--group"),
        )
        chosen = named_apps(asked.apps, asked.given, asked.images, asked.arch)
        workloads = [workload_of(app, name, image) for app, name, image in chosen]
        give(kubernetes(workloads, asked.scale, room, asked.arch or ""), asked.output)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0
