"""The deployment manifest of modules: whole, with the runtime of IoT Edge, or layered over another deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgefn.deploy.create_options import in_pieces
from edgefn.deploy.module import Box, Module
from edgefn.deploy.routing import Declared, Routing, routing, start_order
from edgefn.errors import EdgefnError
from edgefn.web.options import MODULE_PORT

SCHEMA_VERSION = "1.1"
RUNTIME_VERSION = "1.6"
REGISTRY = "mcr.microsoft.com"
TIME_TO_LIVE = 7200
"""Seconds that edgeHub keeps what can not leave, where nothing else is asked for."""
COLLECTOR = "IoTEdgeMetricsCollector"
COLLECTOR_IMAGE = f"{REGISTRY}/azureiotedge-metrics-collector:1.1"
RUNTIME_ENDPOINTS = ("http://edgeHub:9600/metrics", "http://edgeAgent:9600/metrics")
WORKSPACE = {
    "LogAnalyticsWorkspaceId": "$LOG_ANALYTICS_WORKSPACE_ID",
    "LogAnalyticsSharedKey": "$LOG_ANALYTICS_SHARED_KEY",
}
UPLOADS = {"iot-hub": "IoTMessage", "azure-monitor": "AzureMonitor"}

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a manifest is asked to be, beside what its apps say."""

    layered: bool = False
    target_condition: str | None = None
    time_to_live: int | None = None
    """Seconds that edgeHub keeps messages."""
    first_port: int = MODULE_PORT
    """The port of the box that the first module with a server gets."""
    collector: str | None = None
    """Where the metrics collector sends to: a word of UPLOADS; None for no collector."""
    registry: str | None = None
    """The address of the registry that asks for a user and a password."""
    box: Box = field(default_factory=Box)


@dataclass(frozen=True, slots=True)
class Made:
    """A manifest, and what somebody should know who deploys it."""

    document: Json
    notes: tuple[str, ...]


def manifest(modules: Sequence[Module], wanted: Wanted) -> Made:
    """The manifest of these modules, in the form that is wanted; raises EdgefnError."""
    if wanted.layered and wanted.registry is not None:
        raise EdgefnError("--registry: a layer can not say it; the base deployment has the credentials of registries")
    ends = [each for module in modules for each in module.ports]
    routes = routing(ends, {module.name: module.routes for module in modules})
    if wanted.collector == "iot-hub":
        routes.add("metricsToCloud", f"FROM /messages/modules/{COLLECTOR}/* INTO $upstream")
    order = start_order(ends, routes.routes)
    ports = _ports(modules, wanted.first_port)
    agent = {module.name: _declared(module, wanted.box, order[module.name], ports[module.name]) for module in modules}
    if wanted.collector is not None:
        agent[COLLECTOR] = _collector(modules, wanted.collector, 1 + max(order.values()))
    content = (_layered if wanted.layered else _whole)(modules, agent, routes, wanted)
    document: Json = {"modulesContent": content}
    if wanted.target_condition is not None:
        document = {"targetCondition": wanted.target_condition, "content": document}
    notes = [note for module in modules for note in module.notes] + routes.notes
    return Made(document, tuple(notes))


def _ports(modules: Sequence[Module], first: int) -> dict[str, dict[int, int]]:
    """For each module the ports of the box by those of the container, each taken once.

    Web servers are counted from the first one on; all others keep their number where it is free.
    """
    taken: set[int] = set()
    found: dict[str, dict[int, int]] = {module.name: {} for module in modules}
    for module in modules:
        for port in module.needs.ports:
            outer = first if port == MODULE_PORT else port
            while outer in taken:
                outer += 1
            taken.add(outer)
            found[module.name][port] = outer
    return found


# --- modules -------------------------------------------------------------------------------------------------------


def _declared(module: Module, box: Box, order: int, ports: Mapping[int, int]) -> Json:
    options = module.create_options(box, ports)
    return _module(module.image, order, module.environment, in_pieces(options))


def _module(image: str, order: int, environment: Mapping[str, str], options: Mapping[str, str]) -> Json:
    return {
        "version": "1.0",
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "startupOrder": order,
        **({"env": {name: {"value": value} for name, value in environment.items()}} if environment else {}),
        "settings": {"image": image, **options},
    }


def _collector(modules: Sequence[Module], upload: str, order: int) -> Json:
    """Microsoft's collector asks the runtime, as it does by itself, and our modules."""
    ours = [f"http://{module.name}:{MODULE_PORT}/metrics" for module in modules]
    environment = {
        "ResourceId": "$IOT_HUB_RESOURCE_ID",
        "UploadTarget": UPLOADS[upload],
        **(WORKSPACE if upload == "azure-monitor" else {}),
        "MetricsEndpointsCSV": ",".join([*RUNTIME_ENDPOINTS, *ours]),
        "ScrapeFrequencyInSecs": "300",
    }
    return _module(COLLECTOR_IMAGE, order, environment, {"createOptions": "{}"})


def _runtime() -> Json:
    def image(name: str) -> Json:
        return {"image": f"{REGISTRY}/azureiotedge-{name}:{RUNTIME_VERSION}", "createOptions": "{}"}

    return {
        "edgeAgent": {"type": "docker", "settings": image("agent")},
        "edgeHub": {
            "type": "docker",
            "status": "running",
            "restartPolicy": "always",
            "startupOrder": 0,
            "settings": image("hub"),
        },
    }


# --- the two forms -------------------------------------------------------------------------------------------------


def _whole(modules: Sequence[Module], agent: Json, routes: Routing, wanted: Wanted) -> Json:
    engine: Json = {"minDockerVersion": "v1.25", "loggingOptions": ""}
    if wanted.registry is not None:
        engine["registryCredentials"] = {
            "registry": {
                "address": wanted.registry,
                "username": "$CONTAINER_REGISTRY_USERNAME",
                "password": "$CONTAINER_REGISTRY_PASSWORD",
            }
        }
    ttl = TIME_TO_LIVE if wanted.time_to_live is None else wanted.time_to_live
    return {
        "$edgeAgent": _desired(
            {
                "schemaVersion": SCHEMA_VERSION,
                "runtime": {"type": "docker", "settings": engine},
                "systemModules": _runtime(),
                "modules": agent,
            }
        ),
        "$edgeHub": _desired(
            {
                "schemaVersion": SCHEMA_VERSION,
                "routes": routes.routes,
                "storeAndForwardConfiguration": {"timeToLiveSecs": ttl},
            }
        ),
        **{module.name: _desired(module.desired) for module in modules},
    }


def _desired(properties: Mapping[str, Any]) -> Json:
    return {"properties.desired": properties}


def _layered(modules: Sequence[Module], agent: Json, routes: Routing, wanted: Wanted) -> Json:
    """Each thing by its own name, since what a layer says of a whole section is all that there is of it."""
    told = {name: _kept_for(route, wanted.time_to_live) for name, route in routes.routes.items()}
    return {
        "$edgeAgent": _parts("modules", agent),
        "$edgeHub": _parts("routes", told),
        **{module.name: _parts("", module.desired) for module in modules},
    }


def _parts(section: str, values: Mapping[str, Any]) -> Json:
    head = f"properties.desired.{section}." if section else "properties.desired."
    return {f"{head}{name}": value for name, value in values.items()}


def _kept_for(route: Declared, seconds: int | None) -> Declared:
    """A route with a time to live of its own; that of the hub is the base deployment's."""
    if seconds is None:
        return route
    return {**({"route": route} if isinstance(route, str) else route), "timeToLiveSecs": seconds}
