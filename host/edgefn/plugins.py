"""The plugin manager, the tuple of built-ins, and the table of what all plugins together provide."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pluggy

from edgefn import hookspecs
from edgefn.contracts import InputKind, Kind, OutputKind, Services, SessionKind, TriggerKind
from edgefn.function import Binding, Direction
from edgefn.metrics import Metrics

log = logging.getLogger("edgefn.plugins")

BUILTINS = (
    "edgefn.hubs.local",
    "edgefn.hubs.iot_edge",
    "edgefn.hubs.mqtt",
    "edgefn.sessions.openvino",
    "edgefn.sessions.stub",
    "edgefn.sessions.kserve",
    "edgefn.sessions.custom_vision",
    "edgefn.triggers.video_frame",
    "edgefn.triggers.edge_hub",
    "edgefn.triggers.mqtt",
    "edgefn.triggers.timer",
    "edgefn.triggers.warm_up",
    "edgefn.triggers.event_hub",
    "edgefn.triggers.direct_method",
    "edgefn.triggers.twin",
    "edgefn.triggers.file",
    "edgefn.bindings.event_hub",
    "edgefn.bindings.inference_session",
    "edgefn.bindings.edge_hub",
    "edgefn.bindings.mqtt",
    "edgefn.bindings.setting",
    "edgefn.bindings.scoring_script",
    "edgefn.steering",
    "edgefn.bindings.file",
    "edgefn.bindings.speech",
    "edgefn.web.http",
)
ENTRY_POINT = "edgefn"


class PluginManager(pluggy.PluginManager):
    """pluggy's, but a hook that a module only imported from another one is not the module's own."""

    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        if isinstance(plugin, ModuleType):  # asked first: pluggy looks long at what is no function
            found = vars(plugin).get(name)
            if not isinstance(found, FunctionType) or found.__module__ != plugin.__name__:
                return None
        return super().parse_hookimpl_opts(plugin, name)


def plugin_manager(builtins: Iterable[str] = BUILTINS) -> tuple[PluginManager, list[str]]:
    """A manager with the built-ins and the installed packages; and what could not be loaded of the latter."""
    manager = PluginManager("edgefn")
    manager.add_hookspecs(hookspecs)
    for name in builtins:
        manager.register(importlib.import_module(name), name)
    return manager, list(_register_installed(manager))


def _register_installed(manager: PluginManager) -> Iterable[str]:
    for entry in importlib.metadata.entry_points(group=ENTRY_POINT):
        try:
            manager.register(entry.load(), entry.name)
            manager.check_pending()
        except Exception as error:
            origin = entry.dist.name if entry.dist else "an installed package"
            yield f"{origin}: plugin '{entry.name}' ({entry.value}) can not be loaded: {type(error).__name__}: {error}"


@dataclass(frozen=True, slots=True)
class KindTable:
    """All binding types by their name in lower case; of two plugins that claim one name, the later one has it."""

    triggers: Mapping[str, TriggerKind]
    inputs: Mapping[str, InputKind]
    outputs: Mapping[str, OutputKind]

    def all(self) -> list[Kind]:
        return [*self.triggers.values(), *self.inputs.values(), *self.outputs.values()]


def kind_of(binding: Binding, kinds: KindTable) -> Kind:
    """The kind by which a binding was checked."""
    name = binding.type.lower()
    if binding.direction is Direction.OUT:
        return kinds.outputs[name]
    return kinds.triggers[name] if name in kinds.triggers else kinds.inputs[name]


def kind_table(manager: PluginManager, services: Services) -> KindTable:
    """Asks all plugins for their binding types."""
    hook = manager.hook
    return KindTable(
        _by_name(hook.edgefn_triggers(services=services)),
        _by_name(hook.edgefn_inputs(services=services)),
        _by_name(hook.edgefn_outputs(services=services)),
    )


def session_kinds(manager: PluginManager, root: Path, state: Path, metrics: Metrics) -> dict[str, SessionKind]:
    """Asks all plugins for their ways to open a model, by name."""
    table: dict[str, SessionKind] = {}
    for kinds in manager.hook.edgefn_session_kinds(root=root, state=state, metrics=metrics):
        for kind in kinds:
            table.setdefault(kind.name, kind)
    return table


def _by_name(answers: Iterable[Iterable[Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for kinds in answers:
        for kind in kinds:
            table.setdefault(kind.type.lower(), kind)
    return table
