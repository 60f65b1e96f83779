from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import ModelError
from edgefn.sessions.labels import Labels, read_labels

NAMES = {0: "tench, Tinca tinca", 1: "cock", 2: "hen's egg"}


@pytest.mark.parametrize(
    "text",
    [
        "tench, Tinca tinca\ncock\nhen's egg\n",
        "\ufefftench, Tinca tinca\r\ncock\r\nhen's egg\r\n\r\n",
        "0 tench, Tinca tinca\n1 cock\n2 hen's egg\n",
        "2: hen's egg\n0: tench, Tinca tinca\n\n1: cock",
        "0,tench, Tinca tinca\n1,cock\n2,hen's egg",
        json.dumps(list(NAMES.values())),
        json.dumps(NAMES),
        repr(NAMES),
        repr(NAMES).replace(", 1", ",\n 1"),
    ],
)
def test_each_form_of_labels_file_gives_the_same_names(text: str, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_text(text, encoding="utf-8")
    assert read_labels(path) == NAMES


def test_names_that_begin_with_a_number_stay_whole_among_others(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("car\n3 wheeler\ntruck\n")
    assert read_labels(path) == {0: "car", 1: "3 wheeler", 2: "truck"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{'a': }", "begins like JSON and is not"),
        ("[1, 2]", "holds 1"),
        ('{"first": "a"}', "a key that is no index"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=words):
        read_labels(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"nowhere\.txt.*can not be read"):
        read_labels(tmp_path / "nowhere.txt")


def test_the_offset_is_added_to_the_index_of_the_model() -> None:
    assert Labels(NAMES, 0).name(1) == "cock"
    assert Labels(NAMES, -1).name(2) == "cock", "a model with background, labels without"
    assert Labels(NAMES, 1).name(0) == "cock", "labels with background, a model without"


def test_a_class_without_a_name_is_called_by_its_index() -> None:
    assert Labels().name(7) == "7"
    assert Labels(NAMES, -1).name(0) == "0"
    assert Labels(NAMES, -1).missing(4) == 1


@given(st.dictionaries(st.integers(0, 2000), st.text(min_size=1), min_size=1), st.integers(-5, 5))
def test_names_are_those_of_index_plus_offset(names: dict[int, str], offset: int) -> None:
    labels = Labels(names, offset)
    assert all(labels.name(number - offset) == name for number, name in names.items())
