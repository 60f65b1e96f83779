"""Row S1.10: manifests like those of the seed, one that lost ``$upstream`` and one with a comma too many."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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


def checked(folder: Path, old: str = "", new: str = "") -> tuple[int, str]:
    """The exit code and the words of the command, for the manifest with a fault in it."""
    (folder / "deployment.json").write_text(MANIFEST.replace(old, new))
    command = [sys.executable, "-m", "edgefn", "manifest", "check", "deployment.json"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return ended.returncode, ended.stdout


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
    tmp_path: Path, old: str, new: str, reason: str
) -> None:
    code, printed = checked(tmp_path, old, new)
    assert code == 1
    assert f"error: {reason}" in printed


def test_s1_10_a_privileged_container_is_warned_of(tmp_path: Path) -> None:
    code, printed = checked(tmp_path, '/state\\"]}}"', '/state\\"], \\"Privileged\\": true}}"')
    assert code == 0
    assert "warning: deployment.json:17: module 'scorer' is privileged" in printed


def test_s1_10_a_sound_manifest_is_taken(tmp_path: Path) -> None:
    assert checked(tmp_path) == (0, "deployment.json: 0 errors, 0 warnings\n")
