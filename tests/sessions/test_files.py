"""Where the files of a model are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefn.errors import ModelError
from edgefn.sessions.files import find_labels, find_model


@pytest.mark.parametrize("name", ["z" * 300, "z/" * 3000, "zero\0byte.xml"], ids=["long", "deep", "zero"])
def test_a_model_that_no_file_can_be_called_is_not_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.xml").touch()
    with pytest.raises(ModelError, match="is not there"):
        find_model(name, tmp_path)
    assert find_labels(name, tmp_path / "model.xml", tmp_path) == tmp_path / name
