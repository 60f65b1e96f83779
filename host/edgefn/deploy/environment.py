"""The environment of a module: the app's settings, secrets by reference.

A secret is written as ``$NAME``, as in deployment templates: ``edgefn deploy`` and the tools of IoT
Edge put it in when the manifest leaves for the cloud. What is secret is what ``redaction.py`` keeps out of logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from edgefn.contracts import Needs
from edgefn.errors import SettingError
from edgefn.loader import App
from edgefn.redaction import is_secret
from edgefn.settings import local_settings, references

IDENTITY = re.compile(
    r"IOTEDGE_\w+|CONNECTIONSTRING|EdgeHubConnectionString|EdgeModuleCACertificateFile|GatewayHostName", re.IGNORECASE
)
"""Who the module is: edgeAgent says it on the box."""
EMULATED = ("AzureWebJobsStorage", "UseDevelopmentStorage=true")
"""A setting of templates that means something to Azure's tools only."""
DISABLED = re.compile(r"AzureWebJobs\.(.+)\.Disabled", re.IGNORECASE)
UNFIT = re.compile(r"[.$#+\s]")
"""Not for names in a twin."""


def environment(app: App, needs: Needs) -> dict[str, str]:
    """All settings of local.settings.json and ``--set``, those that bindings name, and what devices need.

    Raises SettingError for a name that a twin can not have.
    """
    settings = app.defaults.settings
    names = [*local_settings(app.root), *app.given, *_named(app), *needs.settings, *needs.variables]
    found: dict[str, str] = {}
    for name in names:
        value = settings.get(name)
        if value is None or IDENTITY.fullmatch(name) or (name, value) == EMULATED:
            continue
        found.setdefault(_fit(name), f"${reference(name)}" if is_secret(name, value) else value)
    known = {name.lower() for name in found}
    found |= {name: value for name, value in needs.environment.items() if name.lower() not in known}
    return dict(sorted(found.items()))


def reference(name: str) -> str:
    """The name of the variable that has a secret when it is filled in."""
    return re.sub(r"\W", "_", name)


def _fit(name: str) -> str:
    if match := DISABLED.fullmatch(name):
        name = f"AzureWebJobs_{match[1]}_Disabled"
    if UNFIT.search(name):
        raise SettingError(
            f"setting '{name}': a deployment takes no name with . $ # + or a blank; give it another name"
        )
    return name


def _named(app: App) -> Iterator[str]:
    """The settings that host.json and bindings name as ``%NAME%``."""
    yield from _references(app.config.document)
    for declared in app.declared.values():
        yield from _references(declared.bindings)
        if isinstance(declared.disabled, str):
            yield declared.disabled.strip("%")


def _references(value: Any) -> Iterator[str]:
    yield from references(value)
    inner: Iterable[Any] = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _references(item)
