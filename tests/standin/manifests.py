"""Deployment manifests for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

TO_LOG = 'INTO BrokeredEndpoint("/modules/log/inputs/in")'


def manifest(folder: Path, routes: Mapping[str, Any], *, time_to_live: Any = 7200, **desired: Mapping[str, Any]) -> str:
    """The path of a manifest with the modules ``cam`` and ``log``, and desired properties of modules by name."""
    hub = {
        "schemaVersion": "1.1",
        "routes": dict(routes),
        "storeAndForwardConfiguration": {"timeToLiveSecs": time_to_live},
    }
    content = {
        "$edgeAgent": {"properties.desired": {"schemaVersion": "1.1", "modules": {"cam": {}, "log": {}}}},
        "$edgeHub": {"properties.desired": hub},
        **{name: {"properties.desired": properties} for name, properties in desired.items()},
    }
    path = folder / "deployment.json"
    path.write_text(json.dumps({"modulesContent": content}, indent=2))
    return str(path)
