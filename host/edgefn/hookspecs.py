"""The doors of edgefn: what a plugin may implement. Built-in parts use the same ones.

A plugin is an installed package with the entry point ``edgefn``, or a module of the app under ``functions/``; it marks
its functions with ``@edgefn.hookimpl``. A hook that gives a list adds to what other plugins give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from edgefn.contracts import Event, Hub, InputKind, Outcome, OutputKind, Services, SessionKind, TriggerKind
    from edgefn.function import Function
    from edgefn.host import Host
    from edgefn.methods import Answer
    from edgefn.metrics import Metrics
    from edgefn.settings import HostConfig, Settings

hookspec = pluggy.HookspecMarker("edgefn")
hookimpl = pluggy.HookimplMarker("edgefn")


@hookspec
def edgefn_triggers(services: Services) -> Sequence[TriggerKind]:  # type: ignore[empty-body]
    """Trigger types that the plugin claims. Asked once a host; the kinds live as long as the host."""


@hookspec
def edgefn_inputs(services: Services) -> Sequence[InputKind]:  # type: ignore[empty-body]
    """Input binding types that the plugin claims."""


@hookspec
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:  # type: ignore[empty-body]
    """Output binding types that the plugin claims."""


@hookspec
def edgefn_session_kinds(root: Path, state: Path, metrics: Metrics) -> Sequence[SessionKind]:  # type: ignore[empty-body]
    """Ways to open a model, for the input binding ``inferenceSession``."""


@hookspec(firstresult=True)
def edgefn_hub(root: Path, state: Path, config: HostConfig, settings: Settings, metrics: Metrics) -> Hub | None:
    """The hub of this host, or None to leave it to another plugin; plugins registered last are asked first."""


@hookspec
def edgefn_methods(host: Host) -> Mapping[str, Answer]:  # type: ignore[empty-body]
    """Direct methods that the plugin answers, by name; a method of a function's has its name before them."""


@hookspec
def edgefn_host_started(services: Services) -> None:
    """The host runs: all listeners listen."""


@hookspec
def edgefn_host_stopped(services: Services) -> None:
    """The host has drained and is about to leave."""


@hookspec
def edgefn_invocation_ended(function: Function, event: Event, outcome: Outcome) -> None:
    """An invocation ended. Called on the event loop for each one: be quick. What it raises is said in the log alone."""
