"""The modules of a manifest by themselves: image, environment, twin, and what their settings ask of the box."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from edgefn.deploy.check.containers import Container, keeps_nothing
from edgefn.deploy.check.findings import Finding, Look, objects
from edgefn.deploy.environment import UNFIT
from edgefn.deploy.image import fault_of_name
from edgefn.errors import listing, nearest
from edgefn.redaction import is_secret
from edgefn.sessions.machine import named_devices
from edgefn.standin.manifest import AGENT
from edgefn.twin_limits import LONGEST_DOCUMENT, faults_of

WORDS = {
    "type": ("docker",),
    "status": ("running", "stopped"),
    "restartPolicy": ("never", "on-failure", "on-unhealthy", "always"),
    "imagePullPolicy": ("on-create", "never"),
}
OPTIONAL = ("imagePullPolicy",)
SETTINGS = ("image", "createOptions")
PROCESSOR = r"-?(?:CPU|GPU|NPU|FPGA)(?:\.\d+)?(?:\(\d+\))?"
DEVICE = re.compile(rf"(?:(?:AUTO|HETERO|MULTI|BATCH):)?{PROCESSOR}(?:,{PROCESSOR})*")
NODES = {"GPU": "/dev/dri", "NPU": "/dev/accel", "FPGA": "/dev/acl"}


def whole_findings(look: Look) -> Iterator[Finding]:
    """What is wrong with the runtime, and between modules."""
    if not look.is_layered:
        yield from _runtime(look)
    yield from _credentials(look)
    for name in look.twins:
        if name not in look.modules and not look.is_layered:
            where = look.file.at(look.file.place(look.sections[name]))
            text = f'there is no module "{name}" for these desired properties; modules: {listing(look.modules)}'
            yield look.error(where, text + nearest(name, look.modules))
    size = len(orjson.dumps(look.agent.desired))
    if size > LONGEST_DOCUMENT:
        yield look.error(look.file.at(look.file.place(look.agent)), _too_large(size))


def _too_large(size: int) -> str:
    return f'the desired properties of "{AGENT}" have {size} bytes; IoT Hub takes {LONGEST_DOCUMENT}'


def _runtime(look: Look) -> Iterator[Finding]:
    where = look.file.at(look.file.place(look.agent))
    for key in ("schemaVersion", "runtime", "systemModules", "modules"):
        if key not in look.agent.desired:
            yield look.error(where, f'"{AGENT}" has no {key}; only a layered deployment goes without')
    system = look.agent.desired.get("systemModules", {})
    for name in ("edgeAgent", "edgeHub"):
        if isinstance(system, Mapping) and system and name not in system:
            yield look.error(where, f"systemModules has no {name}; it has {listing(system)}{nearest(name, system)}")
    if str(look.agent.desired.get("schemaVersion")) == "1.0":
        for name, module in look.modules.items():
            if isinstance(module, Mapping) and "startupOrder" in module:
                yield look.warning(look.at(name, "startupOrder"), 'schemaVersion 1.0 knows no startupOrder; "1.1" does')


def _credentials(look: Look) -> Iterator[Finding]:
    runtime = look.agent.desired.get("runtime")
    settings = runtime.get("settings") if isinstance(runtime, Mapping) else None
    registries = settings.get("registryCredentials") if isinstance(settings, Mapping) else None
    for name, registry in objects(registries):
        password = registry.get("password") if isinstance(registry, Mapping) else None
        if isinstance(password, str) and password and not password.startswith("$"):
            steps = ("runtime", "settings", "registryCredentials", name, "password")
            where = look.file.at(look.file.place(look.agent, *steps))
            yield look.error(where, f"registry '{name}': its password is in clear; write $CONTAINER_REGISTRY_PASSWORD")


def module_findings(look: Look, containers: Mapping[str, Container]) -> Iterator[Finding]:
    """What is wrong with each module; ``containers`` are those whose create options can be read."""
    taken: Counter[str] = Counter()
    for name, module in look.modules.items():
        if not isinstance(module, Mapping):
            yield look.error(look.at(name), f"module '{name}' should be an object, found {module!r}")
            continue
        yield from _words(look, name, module)
        yield from _settings(look, name, module.get("settings"))
        yield from _environment(look, name, module.get("env", {}))
        if (container := containers.get(name)) is not None:
            yield from _needs(look, name, module, container)
            yield from _ports(look, name, container, taken)
    for name, desired in look.twins.items():
        where = look.file.at(look.file.place(look.sections[name]))
        for fault in faults_of(desired):
            yield look.error(where, f"desired properties of module '{name}': {fault}")


def _words(look: Look, name: str, module: Mapping[str, Any]) -> Iterator[Finding]:
    for key, words in WORDS.items():
        found = module.get(key)
        if found not in words and not (found is None and key in OPTIONAL):
            text = f"module '{name}': {key} should be {' or '.join(words)}, found {found!r}{nearest(str(found), words)}"
            yield look.error(look.at(name, key), text)


def _settings(look: Look, name: str, settings: Any) -> Iterator[Finding]:
    if not isinstance(settings, Mapping):
        yield look.error(look.at(name, "settings"), f"module '{name}' has no settings with an image")
        return
    image = settings.get("image")
    if not isinstance(image, str) or not image.strip() or image != image.strip():
        yield look.error(look.at(name, "settings", "image"), f"module '{name}': image should be one, found {image!r}")
    elif fault := fault_of_name(image):
        yield look.error(look.at(name, "settings", "image"), f"module '{name}': {fault}")
    for key in settings:
        if key != "image" and not re.match(r"createOptions\d*$", key, re.IGNORECASE):
            text = f"module '{name}': settings.{key} is read by nobody{nearest(key, SETTINGS)}"
            yield look.warning(look.at(name, "settings", key), text)


def _environment(look: Look, name: str, env: Any) -> Iterator[Finding]:
    if not isinstance(env, Mapping):
        text = f'module \'{name}\': env should be an object of {{"NAME": {{"value": ...}}}}'
        yield look.error(look.at(name, "env"), text)
    for variable, holder in objects(env):
        where = look.at(name, "env", variable)
        if UNFIT.search(variable):
            yield look.error(where, f"module '{name}': no name may have . $ # + or a blank: '{variable}'")
        if not isinstance(holder, Mapping) or isinstance(holder.get("value"), dict | list | None):
            text = f"module '{name}': {variable} should be {{\"value\": TEXT}}, found {type(holder).__name__}"
            yield look.error(where, text)
        elif is_secret(variable, str(holder["value"])):
            text = f"module '{name}': {variable} holds a secret in clear; write ${variable}, and keep it elsewhere"
            yield look.error(where, text)


def _needs(look: Look, name: str, module: Mapping[str, Any], container: Container) -> Iterator[Finding]:
    """What the settings and the twin ask for, and the container has not."""
    where = look.at(name, "settings")
    if keeps_nothing(container):
        text = f'what it keeps is gone with each new image; "{name}-state:/state" in Binds is where edgefn keeps it'
        yield look.warning(where, f"module '{name}' has no volume: {text}")
    asked = {variable: str(holder["value"]) for variable, holder in values(module)}
    asked |= dict(_devices_in(look.twins.get(name, {}), "desired "))
    for variable, value in asked.items():
        for path in _nodes(value):
            if not any(container.has_device(each) for each in _alike(path, container)):
                text = f"module '{name}': {variable} asks for {value}, and no {path} is in the container"
                yield look.error(where, f"{text}; Devices in HostConfig would give it")


def values(module: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The variables of a module that have a value."""
    for variable, holder in objects(module.get("env", {})):
        if isinstance(holder, Mapping) and not isinstance(holder.get("value"), dict | list | None):
            yield variable, holder


def _devices_in(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """The options ``device`` and ``fallback`` in desired properties."""
    for name, inner in objects(value):
        if isinstance(inner, str) and name in ("device", "fallback", "DEVICE"):
            yield f"{path}{name}", inner
        yield from _devices_in(inner, f"{path}{name}.")


def _nodes(value: str) -> Iterator[str]:
    """The device files that a value asks for."""
    if value.startswith("/dev/") and not value.startswith("/dev/shm"):
        yield value
    elif DEVICE.fullmatch(value.strip().upper()):
        yield from dict.fromkeys(NODES[kind] for kind, _ in named_devices(value) if kind in NODES)


def _alike(path: str, container: Container) -> list[str]:
    """The file itself; for the folder or the first letters of a driver's files, those that the container has."""
    if path not in NODES.values():
        return [path]
    devices = container.host.get("Devices")
    given = [str(device.get("PathOnHost", "")) for device in devices or () if isinstance(device, Mapping)]
    return [path, *(each for each in given if each.startswith(path))]


def _ports(look: Look, name: str, container: Container, taken: Counter[str]) -> Iterator[Finding]:
    for port in container.ports:
        taken[port] += 1
        if taken[port] > 1:
            text = f"module '{name}': port {port} of the box is taken by another module; give it another HostPort"
            yield look.error(look.at(name, "settings"), text)
