"""Every command of the guides to deploying is run by the tests of the guides, or needs Azure and says so."""

from __future__ import annotations

import re

import pytest

from tests.deploy.apps import ROOT

AZURE = "shown: needs an IoT Hub and the Azure CLI"
BY_AZURE = re.compile(r"^\$ (az |([A-Z_]+=\S+ )?edgefn deploy .* --run$)")


@pytest.mark.parametrize("name", ["deploy", "many-sites", "stream-analytics"])
def test_every_command_is_run_or_needs_azure(name: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"^```(\w+) ?(.*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [(mark, line) for _, mark, block in blocks for line in block.splitlines() if line[:2] == "$ "]
    assert {language for language, _, _ in blocks} <= {"console", "sql"}
    assert [line for mark, line in commands if (mark == AZURE) is not bool(BY_AZURE.match(line))] == []
