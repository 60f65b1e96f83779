"""A temperature that is too high, and one that is not."""

from functions.__NAME__ import __NAME__


def test_what_is_too_high_is_published() -> None:
    assert __NAME__({"temperature": 31.5}, highest=30.0) == {"temperature": 31.5, "highest": 30.0}


def test_what_is_not_is_not() -> None:
    assert __NAME__({"temperature": 30.0}, highest=30.0) is None
