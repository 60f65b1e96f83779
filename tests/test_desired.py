"""Arithmetic of twin documents."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.desired import Desired, at, changes, merged, properties, same, untouched

LEAVES = st.one_of(
    st.booleans(), st.integers(-2, 2), st.text("ab", max_size=2), st.lists(st.integers(0, 1), max_size=2)
)
DOCUMENTS: Any = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(LEAVES, lambda inner: st.dictionaries(st.sampled_from("ab"), inner)),
    max_size=3,
)


@pytest.mark.parametrize(
    ("document", "patch", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": 1}, {"a": {"b": 1, "c": None}}, {"a": {"b": 1}}),
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({}, {"a": None}, {}),
    ],
)
def test_a_patch_merges_and_none_removes(document: Any, patch: Any, result: Any) -> None:
    assert merged(document, patch) == result


@given(DOCUMENTS, DOCUMENTS)
def test_changes_make_the_new_document_of_the_old_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert same(merged(old, changes(old, new)), new)
    assert changes(new, new) == {}


@given(DOCUMENTS, DOCUMENTS)
def test_what_a_patch_does_not_touch_is_as_it_was(document: dict[str, Any], patch: dict[str, Any]) -> None:
    assert same(merged(document, untouched(document, patch)), document)
    assert untouched(document, document) == {}


def test_only_touched_values_are_left_out() -> None:
    document = {"f": {"out": {"interval": 5, "rate": "1/s"}, "maxFps": 3}}
    assert untouched(document, {"f": {"out": {"interval": 1}}}) == {"f": {"out": {"rate": "1/s"}, "maxFps": 3}}
    assert untouched(document, {"f": None}) == {}
    assert untouched(document, {"g": 1}) == document


def test_true_is_not_one() -> None:
    assert not same({"a": True}, {"a": 1})
    assert changes({"a": [True]}, {"a": [1]}) == {"a": [1]}
    assert same({"a": [1, {"b": None}]}, {"a": [1.0, {"b": None}]})


def test_paths_and_properties() -> None:
    assert at({"a": {"b": {"c": 1}}}, "a.b.c") == 1
    assert at({"a": {"b": 1}}, "a.b.c") is None
    assert properties({"a": 1, "$version": 7, "$metadata": {}}) == {"a": 1}


async def test_those_who_wait_hear_of_the_next_document() -> None:
    desired = Desired()
    first = [asyncio.create_task(desired.other_than(None)) for _ in range(2)]
    await asyncio.sleep(0)
    desired.accept({"a": 1}, 1)
    assert [await task for task in first] == [{"a": 1}] * 2
    later = asyncio.create_task(desired.other_than({"a": 1}))
    await asyncio.sleep(0)
    desired.accept({"a": 1}, 2)
    desired.accept({"a": 2}, 3)
    assert await later == {"a": 2}
