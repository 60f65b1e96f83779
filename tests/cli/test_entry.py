"""What ``main`` does before it runs a command: the environment, and ``--functions a b`` as Azure Functions takes it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from edgefn.cli import ASLEEP, spread

LEFT = """
import json, os
from edgefn.cli import main
try:
    main(["--version"])
except SystemExit:
    print(json.dumps(dict(os.environ)))
"""


def test_threads_of_libraries_sleep_unless_the_environment_says_otherwise() -> None:
    given = {name: value for name, value in os.environ.items() if name not in ASLEEP}
    given["OPENBLAS_THREAD_TIMEOUT"] = "20"
    left = subprocess.run([sys.executable, "-c", LEFT], env=given, capture_output=True, text=True, check=True)
    found = json.loads(left.stdout.splitlines()[-1])
    assert {name: found[name] for name in ASLEEP} == ASLEEP | {"OPENBLAS_THREAD_TIMEOUT": "20"}


@pytest.mark.parametrize(
    ("given", "spread_out"),
    [
        ("", ""),
        ("start", "start"),
        ("start --functions", "start --functions"),
        ("start --functions a", "start --functions a"),
        ("start --functions a b c", "start --functions a --functions b --functions c"),
        ("start --functions a b --json", "start --functions a --functions b --json"),
        ("start --functions a --functions b", "start --functions a --functions b"),
        ("start --functions a b --set A=1 B=2", "start --functions a --functions b --set A=1 B=2"),
    ],
)
def test_names_after_functions_become_an_option_each(given: str, spread_out: str) -> None:
    assert spread(given.split()) == spread_out.split()


def test_what_is_spread_once_stays_as_it_is() -> None:
    once = spread(["start", "--functions", "a", "b", "--verbose"])
    assert spread(once) == once
