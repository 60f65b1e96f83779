"""Changes of twins, and what edgeHub refuses in reported properties."""

from __future__ import annotations

from typing import Any

import pytest

from edgefn.errors import HubError
from edgefn.standin.twins import Twin


def test_replacing_desired_properties_by_the_same_changes_nothing() -> None:
    twin = Twin(desired={"a": 1})
    assert twin.replace_desired({"a": 1, "$version": 7}) is None
    assert twin.desired_version == 1


def nested(depth: int) -> dict[str, Any]:
    value: Any = 1
    for _ in range(depth):
        value = {"n": value}
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    "patch",
    [
        {"a": 2**52 - 1, "b": -(2**52) + 1, "c": 1.5, "d": True, "e": None},
        {"a": "x" * 4096},
        {"n" * 1024: 1},
        nested(10),
        {"list": [1, {"a": None}, []]},
    ],
)
def test_what_edgehub_takes_is_taken(patch: dict[str, Any]) -> None:
    twin = Twin()
    twin.patch_reported(patch)
    assert twin.reported_version == 2


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ({"a": 2**52}, "a is 4503599627370496; an integer within +-2^52 would be right"),
        ({"a": {"b": "x" * 4097}}, "a.b has 4097 bytes; at most 4096 would be right"),
        ({"n" * 1025: 1}, "is no name; at most 1024 bytes without . $ # and blanks would be right"),
        ({"a.b": 1}, "'a.b' is no name"),
        ({"a": {"$b": 1}}, "'a.$b' is no name"),
        ({"a b": 1}, "'a b' is no name"),
        ({"": 1}, "'' is no name"),
        ({"a": [1, None]}, "a[1] is null; an array has no null"),
        (nested(11), "is nested deeper than 10"),
        ({f"n{number}": "x" * 4000 for number in range(9)}, "bytes in all; at most 32768 would be right"),
    ],
)
def test_what_edgehub_refuses_is_refused_and_changes_nothing(patch: dict[str, Any], said: str) -> None:
    twin = Twin(reported={"kept": 1})
    with pytest.raises(HubError) as raised:
        twin.patch_reported(patch)
    assert said in str(raised.value)
    assert (twin.reported, twin.reported_version) == ({"kept": 1}, 1)
