"""The sum of some messages."""

from typing import Any

from functions.__NAME__ import __NAME__


def test_objects_are_counted_over_all_messages() -> None:
    car, person = {"name": "car"}, {"name": "person"}
    messages: list[dict[str, Any]] = [{"objects": [car, person]}, {"objects": []}, {"objects": [car]}]
    assert __NAME__(messages) == {"messages": 3, "seen": {"car": 2, "person": 1}}
