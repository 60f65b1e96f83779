"""One app as one module of IoT Edge: what of it a deployment manifest has to say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.contracts import Needs
from edgefn.deploy import files
from edgefn.deploy.create_options import create_options
from edgefn.deploy.environment import environment
from edgefn.deploy.routing import OwnRoutes, Ports, own_routes
from edgefn.deploy.twin import twin_defaults
from edgefn.errors import EdgefnError
from edgefn.function import Function
from edgefn.loader import App
from edgefn.plugins import KindTable, kind_of
from edgefn.web.options import MODULE_PORT, ServerOptions
from edgefn.web.page.options import has_page
from edgefn.web.serving.options import serving_options

GROUPS: Mapping[str, str] = {"video": "44", "audio": "29", "render": "109"}
"""Numbers of groups on boxes with Debian and Ubuntu; the first two are the same on all, the third is Ubuntu's."""
NAME = re.compile(r"[A-Za-z0-9_-]{1,128}")


INTEL = ("/dev/dri/", "/dev/accel/", "/dev/acl")
"""How the device files begin whose drivers are for amd64."""


@dataclass(frozen=True, slots=True)
class Box:
    """What is known of the machines that a module is for, beside what its functions say."""

    arch: str = ""
    """``amd64``, ``arm64``; empty where it is not said."""
    devices: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    """Numbers of groups by name."""


@dataclass(frozen=True, slots=True)
class Module:
    """A module, ready to be written down."""

    name: str
    app: App
    image: str
    needs: Needs
    ports: list[Ports]
    routes: OwnRoutes
    environment: Mapping[str, str]
    desired: Mapping[str, Any]
    """The desired properties to begin with."""
    notes: tuple[str, ...] = ()

    def _more(self, box: Box) -> list[str]:
        """The groups of devices that no function of the app has named."""
        return list(box.groups) if box.devices else []

    def create_options(self, box: Box, ports: Mapping[int, int]) -> dict[str, Any]:
        """``ports`` are those of the box by those of the container."""
        groups = {**GROUPS, **box.groups}
        return create_options(
            devices=dict.fromkeys([*self.needs.devices, *box.devices]),
            groups=dict.fromkeys(groups.get(name, name) for name in [*self.needs.groups, *self._more(box)]),
            binds=files.binds(self.needs, self.app.root, self.name),
            ports=ports,
        )


def module_of(app: App, name: str, image: str, box: Box) -> Module:
    """Reads what a module needs from its checked functions; raises EdgefnError for an app that is in error."""
    if not NAME.fullmatch(name):
        raise EdgefnError(f"module '{name}': letters, digits, - and _ would be right")
    each = needs_by_function(app)
    needs = needs_of_all(app, each)
    ports = [Ports(name, function, found.inputs, found.outputs) for function, found in each.items()]
    notes = [*needs.notes, *files.notes(needs, app.root), *_of_groups(needs, box), *_of_arch(needs, box)]
    return Module(
        name,
        app,
        image,
        needs,
        ports,
        own_routes(app),
        environment(app, needs),
        twin_defaults(app, needs),
        tuple(f"{name}: {note}" for note in notes),
    )


def needs_by_function(app: App) -> dict[str, Needs]:
    """What each function needs, by name; raises EdgefnError for an app that is in error, or has none."""
    if errors := [*app.errors, *(error for function in app.functions for error in function.errors)]:
        raise EdgefnError("\n".join(errors))
    if not app.functions:
        raise EdgefnError(f"{app.root}: declares no function, so there is nothing to deploy; add one with: edgefn new")
    return {function.name: function_needs(function, app.kinds) for function in app.functions}


def needs_of_all(app: App, each: Mapping[str, Needs]) -> Needs:
    """What the functions need, and the ports of what the host serves beside them."""
    page = Needs(ports=(MODULE_PORT,) if has_page(app.root, app.config, ServerOptions(address="0.0.0.0")) else ())
    served = Needs(ports=tuple(serving_options(app.root, app.config).ports(MODULE_PORT)))
    return Needs.of_all([*each.values(), page, served])


def function_needs(function: Function, kinds: KindTable) -> Needs:
    """What all bindings of a function need; a kind that says nothing needs nothing."""
    return Needs.of_all(
        asked(binding) for binding in function.bindings if (asked := getattr(kind_of(binding, kinds), "needs", None))
    )


def _of_arch(needs: Needs, box: Box) -> list[str]:
    found = [device for device in needs.devices if device.startswith(INTEL)]
    if not found or not box.arch.startswith("arm"):
        return []
    return [
        f"{found[0]} is asked for, and Intel's devices have drivers for amd64 only; on {box.arch}, --set DEVICE=CPU"
    ]


def _of_groups(needs: Needs, box: Box) -> list[str]:
    if "render" not in needs.groups or "render" in box.groups:
        return []
    node = next(device for device in needs.devices if "/dri/" in device or "/accel/" in device)
    return [
        f"{node} is of group {GROUPS['render']} on many boxes, and not on all: ask one with stat -c %g {node}, and "
        "give --group render=NUMBER"
    ]
