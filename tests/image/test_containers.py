"""What the tests of the image do where none can be built."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefn.deploy.image import Image, engine
from edgefn.errors import EdgefnError
from tests.conftest import ON_CI
from tests.image.containers import base_missing, build

NOWHERE = "registry.invalid/python:3"


@pytest.fixture
def chosen() -> str:
    try:
        return engine()
    except EdgefnError as error:
        pytest.fail(str(error)) if ON_CI else pytest.skip(str(error))


def test_where_the_registry_is_out_of_reach_the_reason_says_what_is_missing_and_what_to_do(chosen: str) -> None:
    reason = base_missing(chosen, NOWHERE)
    assert reason.startswith(f"the base image {NOWHERE} is not here, and can not be pulled: ")
    assert f"run `{chosen} pull {NOWHERE}` where its registry can be reached" in reason


def test_a_build_that_breaks_is_a_failure_with_what_the_engine_said(chosen: str, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY missing /\n")
    with pytest.raises(AssertionError, match="missing"):
        build(chosen, Image(tmp_path, "edgefn-test-broken"))
