"""``edgefn deploy``: the commands that send a manifest to IoT Hub, printed or run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from edgefn.cli.opening import settings_given
from edgefn.deploy.azure import Target, references, run, script
from edgefn.deploy.check import Level, check
from edgefn.deploy.check.findings import Look
from edgefn.errors import EdgefnError
from edgefn.redaction import redact
from edgefn.settings import read_json
from edgefn.standin.manifest import ManifestFile

LAYER_PRIORITY = 10
"""Above that of the base deployment, which is 0 unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Deploy:
    """What the command was asked for."""

    file: Path
    hub: str
    device: str | None
    deployment: str | None
    condition: str | None
    priority: int | None
    labels: tuple[str, ...]
    given: tuple[str, ...]
    run: bool


def run_deploy(asked: Deploy) -> int:
    """Prints the commands, or runs them; 1 where the manifest is wrong, else the exit code of the Azure CLI."""
    try:
        if not _is_sound(asked.file):
            return 1
        document = read_json(asked.file)
        target = _target(asked, document)
        if asked.run:
            return run(target, asked.file, document, {**os.environ, **settings_given(asked.given)})
        for line in script(target, asked.file, references(document)):
            typer.echo(line)
    except EdgefnError as error:
        typer.echo(str(error), err=True)
        return 1
    return 0


def _is_sound(file: Path) -> bool:
    """Whether the manifest may go; says what is wrong with it."""
    findings = check(file)
    for finding in findings:
        typer.echo(f"{finding.level}: {redact(finding.text)}", err=True)
    return all(finding.level is not Level.ERROR for finding in findings)


def _target(asked: Deploy, document: Any) -> Target:
    file = ManifestFile(asked.file)
    is_layered = Look(file, dict(file.sections())).is_layered
    if (asked.device is None) == (asked.deployment is None):
        given = "neither is given" if asked.device is None else "both are given"
        right = "--device-id for one device, or --deployment-id for all of a condition, would be right"
        raise EdgefnError(f"edgefn deploy: --device-id and --deployment-id: {given}; {right}")
    if asked.device is not None:
        if is_layered:
            raise EdgefnError(f"{asked.file}: is a layer, which one device can not have; give --deployment-id")
        if asked.condition is not None or asked.priority is not None or asked.labels:
            raise EdgefnError(
                "edgefn deploy: --target-condition, --priority and --label are for --deployment-id; leave them out for "
                "one device"
            )
        return Target(asked.hub, asked.device)
    condition = asked.condition or document.get("targetCondition")
    if not isinstance(condition, str) or not condition.strip():
        raise EdgefnError(
            f"{asked.file}: no target condition, so no device would have it; give --target-condition, such as "
            "\"tags.site='north'\" or \"deviceId='box-1'\""
        )
    return Target(
        hub=asked.hub,
        deployment=asked.deployment or "",
        condition=condition,
        priority=(LAYER_PRIORITY if is_layered else 0) if asked.priority is None else asked.priority,
        labels=settings_given(asked.labels, "--label"),
        is_layered=is_layered,
    )
