"""Every command of the guides to deploying is run by the tests of the guides, or says what it needs."""

from __future__ import annotations

import re

import pytest

from tests.deploy.apps import ROOT

AZURE = "shown: needs an IoT Hub and the Azure CLI"
BY_AZURE = r"az |([A-Z_]+=\S+ )?edgefn deploy .* --run$"
CLUSTER = "shown: needs a cluster"


@pytest.mark.parametrize(
    ("name", "needs", "by"),
    [
        ("deploy", AZURE, BY_AZURE),
        ("many-sites", AZURE, BY_AZURE),
        ("stream-analytics", AZURE, BY_AZURE),
        ("kubernetes", CLUSTER, "kubectl "),
    ],
)
def test_every_command_is_run_or_says_what_it_needs(name: str, needs: str, by: str) -> None:
    text = (ROOT / "docs" / f"{name}.md").read_text()
    blocks = re.findall(r"^```(\w+) ?(.*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [(mark, line) for _, mark, block in blocks for line in block.splitlines() if line[:2] == "$ "]
    assert {language for language, _, _ in blocks} <= {"console", "sql", "python"}
    assert [line for mark, line in commands if (mark == needs) is not bool(re.match(by, line[2:]))] == []
