"""What Azure takes as a deployment of IoT Edge, as JSON schemas: the whole form, and the layered one."""

from __future__ import annotations

from typing import Any

NAME = r"^[^.$#+\s]+$"
MODULE_NAME = r"^[A-Za-z0-9_-]+$"

ENVIRONMENT = {
    "type": "object",
    "patternProperties": {
        NAME: {
            "type": "object",
            "properties": {"value": {"type": ["number", "string", "boolean"]}},
            "required": ["value"],
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
}
PIECE = {"type": "string", "maxLength": 512}
SETTINGS = {
    "type": "object",
    "properties": {"image": {"type": "string", "pattern": r"^\S+$"}, "createOptions": PIECE},
    "patternProperties": {"^createOptions(0[1-9]|[1-9][0-9])$": PIECE},
    "required": ["image"],
    "additionalProperties": False,
}
ORDER = {"type": "integer", "minimum": 0, "maximum": 4294967295}
RUNS = {
    "version": {"type": "string"},
    "type": {"const": "docker"},
    "status": {"enum": ["running", "stopped"]},
    "restartPolicy": {"enum": ["never", "on-failure", "on-unhealthy", "always"]},
    "imagePullPolicy": {"enum": ["on-create", "never"]},
    "startupOrder": ORDER,
    "env": ENVIRONMENT,
    "settings": SETTINGS,
}
MODULE = {
    "type": "object",
    "properties": RUNS,
    "required": ["type", "status", "restartPolicy", "settings"],
    "additionalProperties": False,
}
SYSTEM_MODULE = {
    "type": "object",
    "properties": RUNS,
    "required": ["type", "settings"],
    "additionalProperties": False,
}
CREDENTIALS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {"address": {"type": "string", "pattern": r"^\S+$"}, "username": {}, "password": {}},
        "required": ["address", "username", "password"],
        "additionalProperties": False,
    },
}
RUNTIME = {
    "type": "object",
    "properties": {
        "type": {"const": "docker"},
        "settings": {
            "type": "object",
            "properties": {
                "minDockerVersion": {"type": "string"},
                "loggingOptions": {"type": "string"},
                "registryCredentials": CREDENTIALS,
            },
            "additionalProperties": False,
        },
    },
    "required": ["type", "settings"],
    "additionalProperties": False,
}
TEXT = {"type": "string", "minLength": 1}
ROUTE = {
    "anyOf": [
        TEXT,
        {
            "type": "object",
            "properties": {
                "route": TEXT,
                "priority": {"type": "integer", "minimum": 0, "maximum": 9},
                "timeToLiveSecs": {"type": "integer", "minimum": 0, "maximum": 4294967295},
            },
            "required": ["route"],
            "additionalProperties": False,
        },
    ]
}


def section(properties: dict[str, Any]) -> dict[str, Any]:
    """A module whose desired properties are all in one object."""
    return {
        "type": "object",
        "properties": {"properties.desired": {"type": "object", **properties}},
        "required": ["properties.desired"],
        "additionalProperties": False,
    }


AGENT = section(
    {
        "properties": {
            "schemaVersion": {"enum": ["1.0", "1.1"]},
            "runtime": RUNTIME,
            "systemModules": {
                "type": "object",
                "properties": {
                    "edgeAgent": SYSTEM_MODULE,
                    "edgeHub": {**SYSTEM_MODULE, "required": ["type", "settings", "status", "restartPolicy"]},
                },
                "required": ["edgeAgent", "edgeHub"],
                "additionalProperties": False,
            },
            "modules": {"type": "object", "patternProperties": {MODULE_NAME: MODULE}, "additionalProperties": False},
        },
        "required": ["schemaVersion", "runtime", "systemModules", "modules"],
        "additionalProperties": False,
    }
)
HUB = section(
    {
        "properties": {
            "schemaVersion": {"enum": ["1.0", "1.1", "1.2", "1.3"]},
            "routes": {"type": "object", "patternProperties": {NAME: ROUTE}, "additionalProperties": False},
            "storeAndForwardConfiguration": {
                "type": "object",
                "properties": {"timeToLiveSecs": {"type": "integer"}},
                "required": ["timeToLiveSecs"],
                "additionalProperties": False,
            },
        },
        "required": ["schemaVersion", "routes"],
        "additionalProperties": False,
    }
)
WHOLE = {
    "type": "object",
    "properties": {
        "modulesContent": {
            "type": "object",
            "properties": {"$edgeAgent": AGENT, "$edgeHub": HUB},
            "patternProperties": {MODULE_NAME: section({})},
            "required": ["$edgeAgent", "$edgeHub"],
            "additionalProperties": False,
        }
    },
    "required": ["modulesContent"],
    "additionalProperties": False,
}
"""``az iot edge set-modules``, and ``az iot edge deployment create`` without ``--layered``."""


def parts(names: str, value: dict[str, Any]) -> dict[str, Any]:
    """A module of whose desired properties each one has a name of its own."""
    return {"type": "object", "patternProperties": {names: value}, "additionalProperties": False}


LAYERED = {
    "type": "object",
    "properties": {
        "modulesContent": {
            "type": "object",
            "properties": {
                "$edgeAgent": parts(r"^properties\.desired\.modules\.[A-Za-z0-9_-]+$", MODULE),
                "$edgeHub": parts(r"^properties\.desired\.routes\.[^.$#\s]+$", ROUTE),
            },
            "patternProperties": {MODULE_NAME: parts(r"^properties\.desired\.[^.$#\s]+$", {})},
            "additionalProperties": False,
        }
    },
    "required": ["modulesContent"],
    "additionalProperties": False,
}
"""``az iot edge deployment create --layered``."""
