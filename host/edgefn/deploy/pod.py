"""The pod of one replica: its container, and what that may and may not do.

Everything here passes Kubernetes' strictest standard for pods, ``restricted``: no root, no rights of the kernel, no
file system but ``/state`` and ``/tmp`` to write to, no account of the cluster.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgefn.contracts import Needs
from edgefn.deploy.azure import REFERENCE
from edgefn.deploy.create_options import STATE
from edgefn.deploy.files import USER, in_container
from edgefn.deploy.module import GROUPS
from edgefn.errors import EdgefnError, SettingError
from edgefn.web.options import MODULE_PORT

Json = dict[str, Any]

TERMINATION = 30
"""Seconds from SIGTERM to SIGKILL; the host drains within its grace time (host.py), and has left well before."""
UNROUTED = 3
"""Seconds for which a pod that is to end still answers, since others send it requests for so long."""
STARTING = (2, 150)
"""How often it is asked whether it has started, in seconds, and how many times: models are compiled meanwhile."""
TMP = {"medium": "Memory", "sizeLimit": "64Mi"}
PLUGINS: Mapping[str, str] = {"/dev/dri/renderD": "gpu.intel.com/i915", "/dev/accel/accel": "npu.intel.com/accel"}
"""The resources of Intel's device plugins, by how the device files begin that they give."""
REQUESTS: Mapping[str, str] = {"cpu": "250m", "memory": "512Mi"}
LIMITS: Mapping[str, str] = {"memory": "2Gi"}
"""None of the processor: it would stop inferences in their middle while others leave it idle."""
VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
"""What every version of Kubernetes takes as the name of a variable."""
QUANTITY = re.compile(r"(\d+(\.\d*)?|\.\d+)(m|[kMGTPE]|[KMGTPE]i)?")
HTTP = "http"


@dataclass(frozen=True, slots=True)
class Room:
    """What a replica gets of its node, beside what its functions say."""

    requests: Mapping[str, str] = field(default_factory=dict)
    """Quantities that are kept free for it, by resource, over REQUESTS."""
    limits: Mapping[str, str] = field(default_factory=dict)
    """Over LIMITS."""
    storage: str = "2Gi"
    """Of its state folder."""
    devices: Mapping[str, str] = field(default_factory=dict)
    """Resources of device plugins by device file, over PLUGINS."""
    groups: Mapping[str, str] = field(default_factory=dict)
    """Numbers of groups by name."""


def pod(
    name: str, image: str, needs: Needs, environment: Mapping[str, str], room: Room, arch: str, own_name: str = ""
) -> Json:
    """The spec of the pod; raises EdgefnError for a device, a quantity or a name that it can not have.

    ``own_name`` is the variable that has the pod's name; empty for none.
    """
    named = [{"name": own_name, "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}] if own_name else []
    container = {
        "name": "edgefn",
        "image": image,
        "env": [*_variables(environment, secret_of(name)), *named],
        "ports": [{"name": port_name(port), "containerPort": port} for port in ports(needs)],
        **_lives(needs),
        "resources": _resources(needs, room),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            *({"name": volume, "mountPath": path} for volume, path in volumes(needs).items()),
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION,
        **({"nodeSelector": {"kubernetes.io/arch": arch}} if arch else {}),
        "securityContext": _user(needs, room),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": dict(TMP)}],
    }


def secret_of(name: str) -> str:
    """The name of the Secret that has an app's settings."""
    return f"{name}-settings"


def references(environment: Mapping[str, str]) -> list[str]:
    """The keys that the Secret has to have."""
    return sorted({match[1] or match[2] for value in environment.values() if (match := REFERENCE.fullmatch(value))})


def ports(needs: Needs) -> list[int]:
    """The web server's, which tells health and metrics of every host, and those of served models."""
    return list(dict.fromkeys([MODULE_PORT, *needs.ports]))


def port_name(port: int) -> str:
    return HTTP if port == MODULE_PORT else f"port-{port}"


def volumes(needs: Needs) -> dict[str, str]:
    """Where volumes are in the container, by name: the state, and folders outside of it that are written to."""
    found = {"state": STATE}
    for folder in needs.writes:
        inside = in_container(folder)
        if not f"{inside}/".startswith(f"{STATE}/"):
            found[re.sub(r"[^a-z0-9]+", "-", inside.lower()).strip("-")[:63].strip("-")] = inside
    return found


def quantity(text: str, where: str) -> str:
    """A quantity as Kubernetes has it; raises EdgefnError."""
    if not QUANTITY.fullmatch(text):
        raise EdgefnError(f"{where}: is no quantity; 500m, 2, 512Mi or 2Gi would be right")
    return text


def _variables(environment: Mapping[str, str], secret: str) -> Iterator[Json]:
    for name, value in environment.items():
        match = REFERENCE.fullmatch(value)
        key = (match[1] or match[2]) if match else name
        if not VARIABLE.fullmatch(name) or not VARIABLE.fullmatch(key):
            raise SettingError(
                f"setting '{name}': a pod takes letters, digits, - _ and . in the name of a variable, and no digit "
                "first; give it another name"
            )
        if match:
            yield {"name": name, "valueFrom": {"secretKeyRef": {"name": secret, "key": key}}}
        else:
            yield {"name": name, "value": value.replace("$", "$$")}  # $(NAME) would be filled in, and $$ is one $


def _lives(needs: Needs) -> Json:
    """Probes, and the pause before the end of a pod that answers requests."""
    period, times = STARTING
    live = {"httpGet": {"path": "/health/live", "port": HTTP}}
    ready = {"httpGet": {"path": "/health/ready", "port": HTTP}}
    pause = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", str(UNROUTED)]}}}} if needs.ports else {}
    return {
        "startupProbe": {**live, "periodSeconds": period, "failureThreshold": times},
        "livenessProbe": {**live, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {**ready, "periodSeconds": 5, "timeoutSeconds": 5},
        **pause,
    }


def _resources(needs: Needs, room: Room) -> Json:
    taken = Counter(_resource(device, room.devices) for device in needs.devices)
    devices = {name: str(count) for name, count in taken.items()}
    for option, given in (("--request", room.requests), ("--limit", room.limits)):
        for name, text in given.items():
            quantity(text, f"{option} {name}={text}")
    return {
        "requests": {**_unless(REQUESTS, room.limits), **room.requests, **devices},
        "limits": {**_unless(LIMITS, room.requests), **room.limits, **devices},
    }


def _unless(usual: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The usual quantities of what was not given on the other side, where they might be more, or less, than allowed."""
    return {name: text for name, text in usual.items() if name not in given}


def _resource(device: str, given: Mapping[str, str]) -> str:
    found = given.get(device) or next((name for head, name in PLUGINS.items() if device.startswith(head)), None)
    if found is None:
        raise EdgefnError(
            f"{device} is asked for: a pod gets it by a device plugin of the cluster; --device {device}=RESOURCE with "
            "the name of its resource would be right, or an address in the network"
        )
    return found


def _user(needs: Needs, room: Room) -> Json:
    numbers = {**GROUPS, **room.groups}
    groups = [_number(name, numbers) for name in needs.groups]
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        **({"supplementalGroups": groups} if groups else {}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _number(name: str, numbers: Mapping[str, str]) -> int:
    text = numbers.get(name, name)
    if not text.isdecimal():
        raise EdgefnError(f"group '{name}': a pod takes the numbers of groups; --group {name}=NUMBER would be right")
    return int(text)
