"""Payloads that are answered, and payloads that are refused."""

from typing import Any

import pytest

from functions.__NAME__ import __NAME__


def test_a_good_payload_is_answered() -> None:
    assert __NAME__({"last": 3}) == (200, {"numbers": [1, 2, 3]})


@pytest.mark.parametrize("payload", [None, "3", {}, {"last": 0}, {"last": "3"}])
def test_any_other_is_refused_with_the_reason(payload: Any) -> None:
    status, answer = __NAME__(payload)
    assert status == 400
    assert "last" in answer["error"]
