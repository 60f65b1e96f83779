"""Apps on Kubernetes: the objects of each, and what somebody should know who applies them.

A host keeps things in its state folder: messages that wait, what its broker knows it by, keys, compiled models. So each
replica has a volume of its own, which comes back to it: a StatefulSet, never a Deployment.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgefn.contracts import Needs
from edgefn.deploy.environment import environment
from edgefn.deploy.files import in_container, is_in_image
from edgefn.deploy.manifest import Made
from edgefn.deploy.module import needs_by_function, needs_of_all
from edgefn.deploy.pod import Room, pod, port_name, ports, quantity, references, secret_of, volumes
from edgefn.deploy.replicas import Replication, replication
from edgefn.errors import EdgefnError, listing
from edgefn.hubs.options import REPLICA, edge_hub_options
from edgefn.loader import App
from edgefn.redaction import is_secret
from edgefn.spool import spool_options
from edgefn.web.options import MODULE_PORT

Json = dict[str, Any]

NAME = re.compile(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?")
"""A name of Services, short enough for the labels that a StatefulSet puts on its pods."""
REPLICAS = 2
"""Where several may run and no number is given: one may go, and the messages still have a taker."""
WAITING = 100
"""Messages that may wait for each replica, where nothing else is asked for."""
METRIC, BOX = "edgefn_spool_messages", "inbox"
BEHAVIOR: Json = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]},
    "scaleDown": {"selectPolicy": "Disabled"},
}
"""One more a minute, since what waits stays where it is, and only what comes is shared anew. None is taken away: what
waits in its volume, and what its broker keeps for it, would wait for its return."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How many replicas there are to be."""

    replicas: int | None = None
    """None for what is right: REPLICAS where several may run, else 1."""
    most: int | None = None
    """Up to how many an autoscaler may make; None for no autoscaler."""
    waiting: int = WAITING
    """Messages that may wait for each, before there is one more."""
    prometheus: str = ""
    """The address of the Prometheus that KEDA asks; empty for Kubernetes' own autoscaler and metrics."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One app, ready to be written down."""

    name: str
    image: str
    needs: Needs
    environment: Mapping[str, str]
    replication: Replication
    inbox: int
    """Messages that wait for its functions at most; further ones stay with the broker, where no metric counts them."""
    notes: tuple[str, ...] = field(default=())
    own_name: str = ""
    """The variable by which each replica is told its name; empty where none has a use for it."""


def workload_of(app: App, name: str, image: str) -> Workload:
    """Reads what an app needs from its functions that are not disabled; raises EdgefnError for one in error."""
    if not NAME.fullmatch(name):
        raise EdgefnError(
            f"'{name}': small letters, digits and -, at most 52, a letter first, would be right as a name; NAME=FOLDER"
        )
    each = needs_by_function(app)
    active = {function.name: each[function.name] for function in app.functions if not function.disabled}
    if not active:
        raise EdgefnError(f"{app.root}: all functions are disabled, so there is nothing to run; enable one")
    needs = needs_of_all(app, active)
    found = replication(app)
    notes = [*needs.notes, *_of_files(needs, app), *_of_hub(needs, app)]
    inbox = spool_options(app.config, app.root).inbox.max_messages
    off = {f"AzureWebJobs_{each.name}_Disabled": "true" for each in app.functions if each.disabled}
    variables = {**environment(app, needs), **off}  # whatever has disabled it here, which may be the shell
    own_name = REPLICA if edge_hub_options(app.root, app.config).broker else ""
    return Workload(name, image, needs, variables, found, inbox, tuple(notes), own_name)


def kubernetes(workloads: Sequence[Workload], scale: Scale, room: Room, arch: str = "") -> Made:
    """All objects, as one List; raises EdgefnError for what can not be."""
    quantity(room.storage, f"--storage {room.storage}")
    if scale.prometheus:
        _check_prometheus(scale)
    items = [item for workload in workloads for item in _objects(workload, scale, room, arch)]
    notes = [f"{each.name}: {note}" for each in workloads for note in (*each.notes, *_told(each, scale))]
    return Made({"apiVersion": "v1", "kind": "List", "items": items}, tuple(notes))


def _check_prometheus(scale: Scale) -> None:
    """Raises EdgefnError for an address that nobody asks, or that nobody may read in a file."""
    if scale.most is None:
        raise EdgefnError("--prometheus: is for an autoscaler; --max-replicas says how far it may go")
    if not scale.prometheus.startswith(("http://", "https://")):
        raise EdgefnError(f"--prometheus {scale.prometheus}: is no address; http://prometheus:9090 would be right")
    if is_secret("prometheus", scale.prometheus):
        raise EdgefnError(
            "--prometheus: the address holds a secret, which would be in the file; one without it, and KEDA's "
            "TriggerAuthentication by a patch, would be right"
        )


def _objects(workload: Workload, scale: Scale, room: Room, arch: str) -> Iterator[Json]:
    count = _replicas(workload, scale)
    needs = workload.needs
    yield _service(workload, f"{workload.name}-replicas", ports(needs), clusterIP="None")
    if needs.ports:
        yield _service(workload, workload.name, needs.ports)
    yield _stateful_set(workload, count, scale, room, arch)
    if count > 1 or scale.most is not None:
        yield _object(
            workload, "policy/v1", "PodDisruptionBudget", maxUnavailable=1, selector={"matchLabels": _labels(workload)}
        )
    if scale.most is not None:
        yield (_scaled_object if scale.prometheus else _autoscaler)(workload, count, scale)


def _replicas(workload: Workload, scale: Scale) -> int:
    """How many replicas there are at least."""
    found = workload.replication
    several = scale.most is not None or (scale.replicas or 0) > 1
    if found.held and several:
        option = f"--max-replicas {scale.most}" if scale.most is not None else f"--replicas {scale.replicas}"
        raise EdgefnError(
            f"{option}: {workload.name} runs in one host only; "
            + "; ".join(f"{who}: {why}" for who, why in found.held.items())
        )
    if scale.most is not None and not found.shares:
        raise EdgefnError(
            f"--max-replicas {scale.most}: no function of {workload.name} shares messages, so none that wait tell how "
            f"many replicas are needed; kubectl autoscale statefulset {workload.name} by the processor would be right"
        )
    if scale.most is not None and scale.waiting > workload.inbox:
        raise EdgefnError(
            f"--waiting {scale.waiting}: no more than {workload.inbox} messages wait in a replica of {workload.name} "
            "(extensions.spool.inbox.maxMessages), so there would never be one more; fewer would be right"
        )
    count = scale.replicas or (1 if found.held else REPLICAS)
    if scale.most is not None and scale.most < count:
        raise EdgefnError(f"--max-replicas {scale.most}: is less than the {count} that run always; more would be right")
    return count


# --- objects -------------------------------------------------------------------------------------------------------


def _labels(workload: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/name": workload.name}


def _object(workload: Workload, version: str, kind: str, name: str = "", **spec: Any) -> Json:
    metadata = {"name": name or workload.name, "labels": _labels(workload)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _service(workload: Workload, name: str, numbers: Sequence[int], **more: Any) -> Json:
    listed = [{"name": port_name(port), "port": port, "targetPort": port_name(port)} for port in numbers]
    return _object(workload, "v1", "Service", name, **more, selector=_labels(workload), ports=listed)


def _stateful_set(workload: Workload, count: int, scale: Scale, room: Room, arch: str) -> Json:
    labels = _labels(workload)
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": str(MODULE_PORT), "prometheus.io/path": "/metrics"}
    spec = pod(workload.name, workload.image, workload.needs, workload.environment, room, arch, workload.own_name)
    if count > 1 or scale.most is not None:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ]
    number: Json = {} if scale.most is not None else {"replicas": count}
    return _object(
        workload,
        "apps/v1",
        "StatefulSet",
        serviceName=f"{workload.name}-replicas",
        **number,  # none beside an autoscaler, whose number a second apply would take back
        podManagementPolicy="Parallel",
        persistentVolumeClaimRetentionPolicy={"whenDeleted": "Retain", "whenScaled": "Retain"},
        selector={"matchLabels": labels},
        template={"metadata": {"labels": labels, "annotations": scraped}, "spec": spec},
        volumeClaimTemplates=[_claim(name, room.storage) for name in volumes(workload.needs)],
    )


def _claim(name: str, storage: str) -> Json:
    return {
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": storage}}},
    }


def _target(workload: Workload) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": workload.name}


def _autoscaler(workload: Workload, count: int, scale: Scale) -> Json:
    """Kubernetes' own, by the pods' metric, which an adapter for custom metrics has to serve."""
    metric = {"name": METRIC, "selector": {"matchLabels": {"box": BOX}}}
    return _object(
        workload,
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        scaleTargetRef=_target(workload),
        minReplicas=count,
        maxReplicas=scale.most,
        metrics=[
            {
                "type": "Pods",
                "pods": {"metric": metric, "target": {"type": "AverageValue", "averageValue": str(scale.waiting)}},
            }
        ],
        behavior=BEHAVIOR,
    )


def _scaled_object(workload: Workload, count: int, scale: Scale) -> Json:
    """KEDA's, which asks Prometheus."""
    query = f'sum({METRIC}{{box="{BOX}",pod=~"{workload.name}-[0-9]+"}})'
    return _object(
        workload,
        "keda.sh/v1alpha1",
        "ScaledObject",
        scaleTargetRef=_target(workload),
        minReplicaCount=count,
        maxReplicaCount=scale.most,
        advanced={"horizontalPodAutoscalerConfig": {"behavior": BEHAVIOR}},
        triggers=[
            {
                "type": "prometheus",
                "metricType": "AverageValue",
                "metadata": {"serverAddress": scale.prometheus, "query": query, "threshold": str(scale.waiting)},
            }
        ],
    )


# --- notes ---------------------------------------------------------------------------------------------------------


def _told(workload: Workload, scale: Scale) -> Iterator[str]:
    for who, why in workload.replication.held.items():
        yield f"one replica, by {who}: {why}"
    if keys := references(workload.environment):
        yield f"the Secret '{secret_of(workload.name)}' has to hold {listing(keys)}"
    if scale.most is not None and not scale.prometheus:
        yield f"the cluster has to serve {METRIC} of pods as a custom metric; prometheus-adapter does"


def _of_files(needs: Needs, app: App) -> Iterator[str]:
    for asset in needs.reads:
        if not is_in_image(asset, app.root):
            there = in_container(asset.declared)
            yield f"{asset.declared} is not in the image: put it into the app folder, or mount it at {there}"
    for folder in needs.binds:
        yield f"{folder} is a folder of the node, which a pod has not: put it into the image"
    outside = volumes(needs)
    for name, inside in outside.items():
        if name != "state":
            yield f"{inside} is a volume of each replica, '{name}'; whoever else fills or reads it has to mount it too"


def _of_hub(needs: Needs, app: App) -> Iterator[str]:
    if (needs.inputs or needs.outputs) and not edge_hub_options(app.root, app.config).broker:
        yield (
            "there is no edgeHub in a cluster: outputs stay in the replica, and inputs get what host.json routes "
            "to them; extensions.edgeHub.broker would have a broker in its place"
        )
