"""A manifest beside the code of its modules: what functions need, take and give, and the manifest does not have."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.deploy.check.containers import Container
from edgefn.deploy.check.findings import Finding, Look, errors_of
from edgefn.deploy.create_options import STATE
from edgefn.deploy.module import Module
from edgefn.errors import SettingError, listing, nearest
from edgefn.loader.overlaid import overlaid
from edgefn.routes import ModuleInput, Routes


def app_findings(look: Look, module: Module, container: Container) -> Iterator[Finding]:
    """What the app of one module says of its declaration."""
    where, name = look.at(module.name, "settings"), module.name
    for device in module.needs.devices:
        if not container.has_device(device):
            yield look.error(where, f"module '{name}': its functions use {device}, which is not in Devices")
    if STATE not in container.targets:
        yield look.error(
            where,
            f"module '{name}': {STATE} is no volume, so what waits there is lost with each new image; "
            f'"{name}-state:{STATE}" in Binds would be right',
        )
    if module.needs.ports and not container.ports:
        yield look.warning(where, f"module '{name}': it serves HTTP, and PortBindings has no port of the box")
    given = look.modules.get(name, {}).get("env", {})
    for variable in module.environment:
        if variable not in given:
            hint = nearest(variable, given)
            yield look.warning(
                look.at(name, "env"), f"module '{name}': the app's setting {variable} is not in env{hint}"
            )
    try:
        overlaid(module.app, look.twins.get(name, {}))
    except SettingError as error:
        where = look.file.at(look.file.place(look.sections.get(name, look.agent)))
        yield from (look.error(where, f"module '{name}': {found.text}") for found in errors_of(error))


def unknown_ends(look: Look, routes: Routes, modules: dict[str, Module]) -> Iterator[Finding]:
    """Routes to inputs and from outputs that the module has not."""
    for route in routes:
        where = look.in_hub("routes", route.name)
        parts = route.source.strip("/").rstrip("*/").split("/")
        module = modules.get(parts[2]) if len(parts) == 5 else None
        if module is not None:
            known = [output for ports in module.ports for output in ports.outputs]
            if not any(output.lower().startswith(parts[4].lower()) for output in known):
                text = f'route "{route.name}" takes from output "{parts[4]}", and module "{module.name}" has'
                yield look.error(where, f"{text} {listing(known)}{nearest(parts[4], known)}")
        if isinstance(route.sink, ModuleInput) and (module := modules.get(route.sink.module)) is not None:
            known = [name for ports in module.ports for name in ports.inputs]
            if "*" not in known and route.sink.input.lower() not in [name.lower() for name in known]:
                text = f'route "{route.name}" leads to input "{route.sink.input}", and module "{module.name}" takes'
                yield look.error(where, f"{text} {listing(known)}{nearest(route.sink.input, known)}")
