"""Route templates: what they fit, what values they give, and which of two comes first, as in ASP.NET."""

from __future__ import annotations

import re

import pytest

from edgefn.web.constraints import ConstraintError, constraint
from edgefn.web.templates import TemplateError, parse_template


def match(template: str, path: str) -> dict[str, str] | None:
    return parse_template(template).match(path.strip("/").split("/") if path.strip("/") else [])


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("hello", "HELLO", {}),
        ("hello", "hello/more", None),
        ("items/{id}", "Items/7", {"id": "7"}),
        ("items/{id}", "items", None),
        ("items/{id?}", "items", {}),
        ("items/{id=5}", "items", {"id": "5"}),
        ("items/{id:int=5}", "items/8", {"id": "8"}),
        ("items/{id:int?}", "items/x", None),
        ("{a?}/{b?}", "one", {"a": "one"}),
        ("files/{*rest}", "files/a/b", {"rest": "a/b"}),
        ("files/{**rest}", "files", {}),
        ("files/{*rest=index}", "files", {"rest": "index"}),
        ("{*rest:int}", "a", None),
        ("{*route}", "", {}),
        ("{name}.{ext}", "a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("{name}.{ext?}", "a", {"name": "a"}),
        ("{name}.{ext?}", "a.txt", {"name": "a", "ext": "txt"}),
        ("v{major:int}-{minor}", "v1-2", {"major": "1", "minor": "2"}),
        ("a{b}", "aaab", {"b": "aab"}),
        ("a{b}", "a", None),
        ("x{b}y", "xzY", {"b": "z"}),
        ("{{literal}}", "{literal}", {}),
        (r"{ssn:regex(^\d{{3}}-\d{{2}}$)}", "123-45", {"ssn": "123-45"}),
    ],
)
def test_a_template_fits_a_path_and_gives_its_values(template: str, path: str, values: dict[str, str] | None) -> None:
    assert match(template, path) == values


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("int", ["0", "-7", "2147483647", " 5 "], ["2147483648", "1.0", "x", "", "1" * 5000, "１"]),
        ("long", ["9223372036854775807"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1", "yes"]),
        ("datetime", ["2026-09-01", "2026-09-01T10:00:00Z", "9/1/2026"], ["7", "soon", "2026-13-01"]),
        ("decimal", ["1.50", "-3", "1,000", "5-"], ["1e5", "x"]),
        ("double", ["1e5", "-2.5", "NaN"], ["one", "1e"]),
        ("float", ["1.5"], ["1.5.5"]),
        ("guid", ["CD2C1638-1638-72D5-1638-DEADBEEF1638", "{cd2c1638-1638-72d5-1638-deadbeef1638}"], ["cd2c1638"]),
        ("alpha", ["Abc"], ["ab1", "é"]),
        ("required", ["x"], [""]),
        ("length(3)", ["abc"], ["ab", "abcd"]),
        ("length(2,3)", ["ab", "abc"], ["a", "abcd"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("min(18)", ["18"], ["17", "x"]),
        ("max(18)", ["-5", "18"], ["19"]),
        ("range(1,5)", ["1", "5"], ["0", "6", "2.5"]),
        ("regex(^a+$)", ["aa", "AA"], ["ab"]),
    ],
)
def test_constraints_are_those_of_asp_net(name: str, good: list[str], bad: list[str]) -> None:
    fits = constraint(name)
    assert [value for value in good if not fits(value)] == []
    assert [value for value in bad if fits(value)] == []


@pytest.mark.parametrize(
    ("template", "fault"),
    [
        ("{id", "it has a { without a }"),
        ("id}", "it has a } without a {"),
        ("a//b", "two slashes in a row"),
        ("a?b", "a ? outside of braces"),
        ("{a}{b}", "parameters 'a' and 'b' need a literal between them"),
        ("{a}/{A}", "parameter 'A' occurs twice"),
        ("{*rest}/more", "'rest' should be its last segment"),
        ("{}", "'' is no name of a parameter"),
        ("{id:intt}", "there is no constraint 'intt'; did you mean 'int'?"),
        ("{id:length(a)}", "should have 1 or 2 whole numbers"),
        ("{id:range(5,1)}", "the first number should not exceed the second"),
        ("{id:regex([)}", "is no regular expression"),
        ("{id=5?}", "it has a default"),
    ],
)
def test_a_template_that_can_not_be_read_says_why(template: str, fault: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(fault)):
        parse_template(template)


def test_a_constraint_without_its_closing_parenthesis_is_refused() -> None:
    with pytest.raises(ConstraintError, match="does not end with"):
        constraint("min(5")


def test_literals_come_before_constrained_before_plain_before_catch_all() -> None:
    written = ["{*all}", "{*all:int}", "items/{*rest}", "items/{id}", "items/{id:int}", "items/v{id}", "items/new"]
    in_order = sorted(written, key=lambda text: parse_template(text).precedence)
    assert in_order == [
        "items/new",
        "items/{id:int}",
        "items/v{id}",
        "items/{id}",
        "items/{*rest}",
        "{*all:int}",
        "{*all}",
    ]


def test_a_long_segment_of_a_mixed_template_takes_no_long_time() -> None:
    template = parse_template("{a}-{b}-{c}-{d}x")
    assert template.match(["-" * 60_000]) is None
