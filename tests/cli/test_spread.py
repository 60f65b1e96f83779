"""``--functions a b``, as Azure Functions' own tool takes it."""

from __future__ import annotations

import pytest

from edgefn.cli import spread


@pytest.mark.parametrize(
    ("given", "spread_out"),
    [
        ([], []),
        (["start"], ["start"]),
        (["start", "--functions", "a"], ["start", "--functions", "a"]),
        (["start", "--functions", "a", "b", "c"], "start --functions a --functions b --functions c".split()),
        (["start", "--functions", "a", "b", "--json"], "start --functions a --functions b --json".split()),
        (["start", "--functions", "a", "--functions", "b"], "start --functions a --functions b".split()),
        (["start", "--set", "A=1", "B=2"], ["start", "--set", "A=1", "B=2"]),
        (["start", "--functions"], ["start", "--functions"]),
    ],
)
def test_names_after_functions_become_an_option_each(given: list[str], spread_out: list[str]) -> None:
    assert spread(given) == spread_out


def test_what_is_spread_once_stays_as_it_is() -> None:
    once = spread(["start", "--functions", "a", "b", "--verbose"])
    assert spread(once) == once
