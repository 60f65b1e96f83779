"""Row S1.10: manifests like those of the seed, one that lost ``$upstream`` and one with a comma too many."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgefn.cli.commands import commands

MANIFEST = """{
  "modulesContent": {
    "$edgeAgent": {
      "properties.desired": {
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
        "systemModules": {
          "edgeAgent": {"type": "docker", "settings": {"image": "mcr.microsoft.com/azureiotedge-agent:1.5"}},
          "edgeHub": {
            "type": "docker", "status": "running", "restartPolicy": "always",
            "settings": {"image": "mcr.microsoft.com/azureiotedge-hub:1.5"}
          }
        },
        "modules": {
          "scorer": {
            "type": "docker", "status": "running", "restartPolicy": "always",
            "settings": {
              "image": "registry.example/scorer:1.0",
              "createOptions": "{\\"HostConfig\\": {\\"Binds\\": [\\"scorer-state:/state\\"]}}"
            }
          }
        }
      }
    },
    "$edgeHub": {
      "properties.desired": {
        "schemaVersion": "1.1",
        "routes": {
          "toCloud": "FROM /messages/modules/scorer/outputs/labels INTO $upstream"
        },
        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200}
      }
    }
  }
}
"""


Checked = Callable[[str, str], tuple[int, str]]


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    """The exit code and the words of ``edgefn manifest check``, for the manifest with a fault in it."""
    monkeypatch.chdir(tmp_path)

    def check(old: str, new: str) -> tuple[int, str]:
        Path("deployment.json").write_text(MANIFEST.replace(old, new))
        ended = CliRunner().invoke(commands, ["manifest", "check", "deployment.json"], catch_exceptions=False)
        return ended.exit_code, ended.stdout

    return check


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "INTO $upstream",
            "INTO ",
            'deployment.json:29: route "toCloud": INTO is followed by nothing: a shell or envsubst takes "$upstream"',
        ),
        (
            "modules/scorer/outputs",
            "modules/*/outputs",
            'deployment.json:29: route "toCloud" only a "*" at the end stands for anything',
        ),
        (
            "INTO $upstream",
            'INTO BrokeredEndpoint(\\"/modules/scorers/inputs/i\\")',
            'deployment.json:29: route "toCloud" leads to the unknown module "scorers"; there are scorer; did you mean',
        ),
        (
            '"timeToLiveSecs": 7200}',
            '"timeToLiveSecs": 7200},',
            'deployment.json:31:65: no valid JSON: a comma before "}"; take it out',
        ),
        (
            '/state\\"]}}"',
            '/state\\"],}}"',
            "deployment.json:19: module 'scorer': createOptions are no JSON: ",
        ),
    ],
    ids=["lost $upstream", "leads nowhere", "unknown module", "comma", "create options"],
)
def test_s1_10_a_manifest_that_can_not_work_is_refused_with_the_reason(
    checked: Checked, old: str, new: str, reason: str
) -> None:
    code, printed = checked(old, new)
    assert code == 1
    assert f"error: {reason}" in printed


def test_s1_10_a_privileged_container_is_warned_of(checked: Checked) -> None:
    code, printed = checked('/state\\"]}}"', '/state\\"], \\"Privileged\\": true}}"')
    assert code == 0
    assert "warning: deployment.json:17: module 'scorer' is privileged" in printed


def test_s1_10_a_sound_manifest_is_taken(checked: Checked) -> None:
    assert checked("", "") == (0, "deployment.json: 0 errors, 0 warnings\n")
