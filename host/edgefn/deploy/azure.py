"""A manifest on its way to IoT Hub: commands of the Azure CLI, and the secrets that are filled in for one moment.

Whoever runs them is logged in (``az login``); no credential passes through here. The answer of the CLI is not shown:
it holds the keys of modules, and what was filled in.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgefn.errors import EdgefnError, listing

REFERENCE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")
FILL = r"""python3 -X utf8 -c '
import json, os, re, sys
names = "|".join(sys.argv[2:])
for name in sys.argv[2:]:
    name in os.environ or sys.exit(f"no value for ${name}; set it")
reference = rf"\"\$(\{{)?({names})(?(1)\}})\"(?!\s*:)"
with open(sys.argv[1], encoding="utf-8-sig") as file:
    print(re.sub(reference, lambda match: json.dumps(os.environ[match[2]]), file.read()))'"""
"""Python for a shell: fills in the texts that are references, as ``filled_in`` does, and leaves all else as it is.

envsubst would put values into JSON as they are, with their quotes and backslashes.
"""
QUIET = ("--output", "none")
HOME = "https://aka.ms/azure-cli"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a manifest goes: one device, or all that a condition is true for."""

    hub: str
    device: str = ""
    deployment: str = ""
    """The id of the automatic deployment; empty for one device."""
    condition: str = ""
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    is_layered: bool = False


def command(target: Target, content: str) -> list[str]:
    """The command that sends the file ``content``."""
    if not target.deployment:
        where = ["--device-id", target.device]
        return ["az", "iot", "edge", "set-modules", "--hub-name", target.hub, *where, "--content", content, *QUIET]
    return [
        *("az", "iot", "edge", "deployment", "create", "--hub-name", target.hub),
        *("--deployment-id", target.deployment, "--content", content),
        *("--target-condition", target.condition, "--priority", str(target.priority)),
        *(("--labels", json.dumps(dict(target.labels))) if target.labels else ()),
        *(("--layered",) if target.is_layered else ()),
        *QUIET,
    ]


def script(target: Target, file: Path, names: Sequence[str]) -> list[str]:
    """Lines for a shell that do the same; ``names`` are the references that the environment fills in."""
    if not names:
        return [shlex.join(command(target, str(file)))]
    filled = str(file.with_suffix(".filled.json"))
    remove = shlex.join(["rm", "-f", "--", filled])
    return [
        "(",
        "set -euC; umask 077  # a new file, which nobody else can read",
        shlex.join(["export", *names]),
        f"{remove}; trap {shlex.quote(remove)} EXIT",
        f"{FILL} {shlex.join([str(file), *names])} >{shlex.quote(filled)}",
        shlex.join(command(target, filled)),
        ")",
    ]


def run(target: Target, file: Path, document: Any, known: Mapping[str, str]) -> int:
    """Runs the command; its exit code. Secrets are in a file of this user only, which is gone afterwards.

    Raises EdgefnError where there is no Azure CLI, or no value for a reference.
    """
    if shutil.which("az") is None:
        raise EdgefnError(
            f"az: is not on PATH; install the Azure CLI ({HOME}), then: az extension add --name azure-iot"
        )
    names = references(document)
    if missing := [name for name in names if name not in known]:
        raise EdgefnError(
            f"{file}: no value for {listing(f'${name}' for name in missing)}; export it, or give --set NAME=VALUE"
        )
    if not names:
        return _ended(command(target, str(file)))
    with tempfile.TemporaryDirectory(prefix="edgefn-") as folder:  # nobody else may look into it
        path = Path(folder) / "deployment.json"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
            json.dump(filled_in(document, known), out)
        return _ended(command(target, str(path)))


def _ended(words: Sequence[str]) -> int:
    try:
        return subprocess.run(words, check=False).returncode
    except OSError as error:
        raise EdgefnError(f"az: can not be run: {error.strerror}; is it the Azure CLI?") from None


def references(document: Any) -> list[str]:
    """The names behind texts that are ``$NAME`` or ``${NAME}`` and nothing else."""
    return list(dict.fromkeys(_references(document)))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and (match := REFERENCE.fullmatch(value)):
        yield match[1] or match[2]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from _references(item)


def filled_in(value: Any, known: Mapping[str, str]) -> Any:
    """The document with values in the place of references; names of members stay, as ``$edgeHub``."""
    if isinstance(value, dict):
        return {name: filled_in(item, known) for name, item in value.items()}
    if isinstance(value, list):
        return [filled_in(item, known) for item in value]
    if isinstance(value, str) and (match := REFERENCE.fullmatch(value)):
        return known[match[1] or match[2]]
    return value
