"""edgeHub's routing language: what parses, what holds, where a message goes, and what is warned about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edgefn.routes import (
    DEFAULT_PRIORITY,
    ModuleInput,
    Route,
    RouteError,
    Routes,
    Upstream,
    parse_route,
    parse_routes,
)

JSON = {"contentType": "application/json", "contentEncoding": "utf-8"}
CAMERA = "/messages/modules/cam/outputs/detections"
LOG = 'INTO BrokeredEndpoint("/modules/log/inputs/in")'


@dataclass(frozen=True)
class Message:
    source: str = CAMERA
    properties: Mapping[str, str] = field(default_factory=dict)
    system_properties: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class CountedMessage(Message):
    """A message that counts how often its body is read."""

    reads = 0

    def __getattribute__(self, name: str) -> object:
        if name == "body":
            type(self).reads += 1
        return super().__getattribute__(name)


def words(text: str) -> list[str]:
    return text.split()


def route(condition: str, source: str = "/messages") -> Route:
    return parse_route("r", f"FROM {source} WHERE {condition} INTO $upstream")


SEEN = Message(
    properties={
        "key1": "value1",
        "key2": "3",
        "key3": "VALUE3",
        "$both": "app",
        "$body.mine": "app",
        "e5": "x",
        "a-b": "1",
    },
    system_properties={**JSON, "connectionModuleId": "cam", "both": "system", "two": "4"},
    body=json.dumps(
        {
            "n": 50,
            "low": -50.4,
            "text": "One Way",
            "yes": True,
            "no": False,
            "nothing": None,
            "when": "2017-03-09T00:00:00.000Z",
            "mine": "body",
            "list": [20, 30, {"deep": [1, 2]}, [7]],
            "object": {"City": "Redmond"},
        }
    ).encode(),
)

HOLDS = [
    # literals and comparisons
    "true", "3 = 3", "3 != 4", "3 <> 4", "'a' < 'b'", '"3" = \'3\'', "true > false", "null = null", "0x1F = 31",
    "-1 < 0", ".5 = 0.5", "1e2 = 100", r"'it\'s' = " + r'"it\'s"', r"'A' = 'A'", "8 >= 7", "7 <= 7",
    "0xFFFFFFFFFFFFFFFF = -1", "(3) = 3", "/* words */ 3 = 3",
    # arithmetic and its order
    "3 + 4 = 7", "3 - 4 = -1", "2 + 3 * 4 = 14", "10 - 3 - 2 = 5", "3 / 4 = 0.75", "4 % 3 = 1", "-(3 + 4) = -7",
    "- 3 % 2 = -1", "3 / 0 = 10e1000", "- 3 / 0 < 0", "(3 % 0 ?? 12.34) = 12.34", "'a' || 'b' || 'c' = 'abc'",
    # logic of three values
    "not false", "not null", "not (true and false)", "true AND Not false", "true or undefined", "undefined or true",
    "not (undefined and false)", "false or true and true", "true or true and false", "null or true",
    "(null and true) = null", "(null or null) = null", "not is_defined(undefined and true)",
    # properties
    "key1 = 'value1'", "KEY1 = 'value1'", "key2 = '3'", "$both = 'app'", "{$both} = 'system'", "{ $two } = '4'",
    "$connectionModuleId = 'cam'", "$CONNECTIONmoduleID = 'cam'", "a-b = '1'", "not is_defined(none)",
    "(none ?? none ?? 'x') = 'x'", "as_number(key2) = 3", "as_number($two) * 2 = 8", "key1 = 'x' or key1 = 'value1'",
    # functions
    "abs(-12) = 12", "exp(0) = 1", "exp(4000) = 3 / 0", "power(2, 3) = 8", "POWER(10, 4000) = 3 / 0", "square(3) = 9",
    "ceiling(2.1) = 3", "ceiling(-2.1) = -2", "floor(-2.1) = -3", "floor(3 / 0) > 1", "sign(-2.1) = -1", "sign(0) = 0",
    "sqrt(4) = 2", "not is_defined(sqrt(-4))", "as_number('10e1000') = 1 / 0", "as_number('(5)') = -5",
    "as_number(' 1,234.5 ') = 1234.5", "as_number('5-') = -5", "as_number('Infinity') = 1 / 0", "as_number(4) = 4",
    "is_bool(true)", "not is_bool(12.34)", "not is_bool(key1)", "is_defined(key1)", "is_defined(null)", "is_null(null)",
    "not is_null(key1)", "is_number(12.34)", "not is_number(3 / 0)", "is_string(key1)", "not is_string(none)",
    "concat('a', key1, 'd') = 'avalue1d'", "length('HELLO') = 5", "lower(key3) = 'value3'", "UPPER(key1) = 'VALUE1'",
    "substring('abc', 1) = 'bc'", "substring('abc', 3) = ''", "substring('hello', 1, 3) = 'ell'",
    "substring('abc', 1, 0) = ''", "index_of('abcdef', 'cd') = 2", "index_of('abc', 'x') = -1",
    "starts_with(key1, 'val')", "ends_with(key1, 'e1')", "contains(key1, 'lue')",
    # the body
    "$body.n = 50", "50 >= $BODY.n", "$body.n = 40 + 10", "$body.n - 10 = 40", "$body.text = 'One Way'", "$body.yes",
    "NOT $body.no", "$body.yes and true", "$body.no or $body.yes", "$body.list[1] = 30", "$body.list[2].deep[1] = 2",
    "$body.list[3][0] = 7", "$body.list[0] + $body.list[1] = $body.n", "{$body.mine} = 'body'", "$body.mine = 'app'",
    "$body.object.City = 'Redmond'", "abs($body.low) = 50.4", "length($body.text) = 7", "is_number($body.n)",
    "$body.n <> '50'", "$body.n < 'a'", "not is_defined($body.object)", "not is_defined($body.when)",
    "as_number($body.n) % 7 = 1", "($body.object ?? 5) = 5", "$body.text || '!' = 'One Way!'",
    # a missing value of the body is null, and null is greater than all else
    "$body.missing = null", "$body.nothing = null", "$body.list[9] = null", "$body.n != null", "$body.missing > 30",
    "is_defined($body.missing)", "is_null($body.nothing)", "is_null($body.n)", "not is_null($body.missing)",
]  # fmt: skip

HOLDS_NOT = [
    "false", "null", "undefined", "3", "'text'", "key1", "3 = 4", "4 > 7", "key2 = '4'", "null and true",
    "none = 'x'", "none != 'x'", "not (none = 'x')", "'a' < none", "as_number(none) = 3", "as_number(key1) < 3",
    "as_number('1_0') = 10", "3 % 0 = 0", "$none = '1'", "{$key1} = 'value1'", "$key1 = 'value1'", "NULL = 'x'",
    "substring('abc', -1) = ''", "substring('abc', 4) = ''", "substring('abc', 3, 0) = ''", "sqrt(-4) = -2",
    "$body", "$body.n = '50'", "$body.n < 50", "$body.text", "$body.missing", "$body.object = $body.object",
    "$body.when > '2000'", "$body.when <> '100'", "- 3 > 0", "undefined ?? undefined", "null ?? null",
    "$body.n.n > null", "$a[0]", "not ($body.no and $body.missing)", "e5 = undefined",
    "0xFFFFFFFFFFFFFFFFF = undefined", "undefined or false", "temp!='x'",
]  # fmt: skip

REFUSED = {
    "key2 > 3": "as_number",
    "3 = none": "as_number",
    "'a' + 'b'": "a number on both sides",
    "true * 3": "a bool and a number",
    "3 + undefined": "a number and undefined",
    "key1 ?? 12.34": "as_number",
    "key1 ?? 'x' = 'x'": "a string and a bool",
    "not key1": "can not take a string",
    "not undefined": "can not take undefined",
    "not key1 = 'x'": "denies a comparison",
    "- (key1)": "as_number",
    "- {$body.n}": "a value of the body",
    "$body.n % 2 = 0": "as_number",
    "$body.n = undefined": "one kind",
    "none and true": "compare it first",
    "null and undefined": "compare it first",
    "true and $body.yes": "$body... = true",
    "nope(1)": "there are abs, exp",
    "abs(3, 4)": "abs(a number) would be right",
    "abs(key1)": "abs(a string) can not be called",
    "as_number(true)": "as_number(a string) or as_number(a number)",
    "concat('a')": "concat(a string, a string, ...)",
    "substring('a', 'b')": "substring(a string, a number) or substring(a string, a number, a number)",
    "is_defined()": "is_defined(one value)",
    "length(null)": "length(null)",
    "'a' || true": "a string on both sides",
    "test == true": "a value is missing",
    "(3 = 3": 'the "(" of column 22 is not closed',
    "3 = 3)": "an operator with spaces",
    "3 -4 = 1": 'found "-4"',
    'none = "': "the string does not end",
    r"none = 'a\x'": "the string does not end",
    "": "a value is missing",
    "abs(3 = 3": 'the arguments of "abs" do not end',
    "{key1} = '1'": "braces hold",
    "{$two = '1'": "not closed",
    "$body. = 1": "no path into the body",
    "$body.a[] = 1": "no path into the body",
    "$body.a..b = 1": "no path into the body",
    "$body.0 = 1": "no path into the body",
    "$body.a.* = 1": "no path into the body",
    "$body.a[1:2] = 1": "no path into the body",
    "a[0] = '1'": 'found "a[0]"',
    "twin_change_includes(properties.reported.x)": "FROM /twinChangeNotifications",
}


@pytest.mark.parametrize("condition", HOLDS)
def test_a_condition_holds_where_edgehub_says_true(condition: str) -> None:
    assert route(condition).matches(SEEN)


@pytest.mark.parametrize("condition", HOLDS_NOT)
def test_a_condition_that_is_false_or_undefined_does_not_hold(condition: str) -> None:
    assert not route(condition).matches(SEEN)


@pytest.mark.parametrize(("condition", "text"), REFUSED.items())
def test_a_condition_that_edgehub_does_not_compile_is_refused_with_a_remedy(condition: str, text: str) -> None:
    with pytest.raises(RouteError) as caught:
        route(condition)
    assert str(caught.value).startswith('route "r", column ')
    assert text in str(caught.value)


# --- the body ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("utf-8", "utf-8"), ("UTF-16", "utf-16-le"), ("utf-32", "utf-32-le")])
def test_the_body_is_read_in_each_encoding_of_edgehub(name: str, codec: str) -> None:
    system = {"CONTENTTYPE": "Application/JSON", "contentEncoding": name}
    assert route("$body.a = 'é'").matches(Message(system_properties=system, body='{"a": "é"}'.encode(codec)))


@pytest.mark.parametrize("system", [{}, {**JSON, "contentType": "text/plain"}, {**JSON, "contentEncoding": "latin-1"}])
def test_a_body_of_another_type_or_encoding_is_undefined(system: Mapping[str, str]) -> None:
    message = Message(system_properties=system, body=b'{"a": 1}')
    assert not route("$body.a = 1 or $body.a = null").matches(message)


@pytest.mark.parametrize(
    "body", [b"", b"[1]", b"1", b"{", b'{"a": 1} x', b"\xff", b'{"a":' * 10_000, b"\xef\xbb\xbf{}"]
)
def test_a_body_that_is_no_json_object_is_undefined(body: bytes) -> None:
    assert not route("$body.a = 1 or $body.a = null").matches(Message(system_properties=JSON, body=body))


def test_the_body_is_read_once_for_all_routes_and_only_when_needed() -> None:
    texts = {"a": "$body.n = 1", "b": "$body.n = 2 or $body.n = 3", "c": "as_number(x) = 1"}
    routes = parse_routes({name: f"FROM /* WHERE {text} INTO $upstream" for name, text in texts.items()})
    routes.sinks_for(CountedMessage(system_properties=JSON, body=b'{"n": 7}'))
    assert CountedMessage.reads == 1
    Routes([route("key1 = 'x'")]).sinks_for(CountedMessage(system_properties=JSON, body=b'{"n": 7}'))
    assert CountedMessage.reads == 1


TWIN = Message("/twinChangeNotifications", {}, JSON, b'{"properties": {"reported": {"a": {"b": 1}, "c": null}}}')


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("twin_change_includes(properties.reported.a)", True),
        ("Twin_Change_Includes(properties.reported.a.b) and true", True),
        ("twin_change_includes(properties.reported.c)", True),
        ("twin_change_includes(properties.reported.d)", False),
        ("not (twin_change_includes(properties.desired.a))", True),
    ],
)
def test_twin_change_includes_looks_into_the_changed_twin(condition: str, holds: bool) -> None:
    assert route(condition, "/twinChangeNotifications").matches(TWIN) is holds


@pytest.mark.parametrize(
    "path", ["", "properties.", "123", "properties.abcd", "'tags.a'", "tags.a[0]", "tags.a, tags.b"]
)
def test_twin_change_includes_takes_one_path_into_a_twin(path: str) -> None:
    with pytest.raises(RouteError, match="path"):
        route(f"twin_change_includes({path})", "/twinChangeNotifications/*")


# --- sources and sinks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "source", "matches"),
    [
        ("/*", CAMERA, True),
        ("/*", "/twinChangeNotifications", True),
        ("/messages/*", CAMERA, True),
        ("/messages", "/messages", True),
        ("/MESSAGES/modules/Cam/*", CAMERA, True),
        ("/messages/modules/cam/outputs/**", CAMERA, True),
        ("/messages/modules/cam/outputs/detect*", CAMERA, False),
        ("/messages/modules/ca", CAMERA, False),
        ("/messages/modules/*/outputs/detections", CAMERA, False),
        ("/messages/modules/cam/outputs/*", "/messages/modules/cam", False),
        ("/message", "/messages", False),
        ("/twinChangeNotifications", "/messages", False),
        ("/ messages / modules", CAMERA, True),
    ],
)
def test_a_source_is_a_prefix_of_whole_names(pattern: str, source: str, matches: bool) -> None:
    assert parse_route("r", f"FROM {pattern} INTO $upstream").matches(Message(source)) is matches


@pytest.mark.parametrize("sink", ["$upstream", "$UPSTREAM"])
def test_upstream_is_a_sink(sink: str) -> None:
    assert parse_route("r", f"  select * from /messages/* into {sink}  ").sink == Upstream()


@pytest.mark.parametrize("address", ['"/modules/log/inputs/in"', "' modules/log/inputs/in/ '"])
def test_an_input_of_a_module_is_a_sink(address: str) -> None:
    assert parse_route("r", f"FROM /* INTO brokeredendpoint({address})").sink == ModuleInput("log", "in")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "column 1: a route begins with FROM"),
        ("FORM /messages INTO $upstream", "column 1: a route begins with FROM; FROM <source> INTO $upstream"),
        ("SELECT FROM /messages INTO $upstream", "column 8: SELECT can not choose"),
        ("FROM INTO $upstream", "column 6: FROM needs a source"),
        ("FROM /messages/ INTO $upstream", '"INTO" can not be a part of a source'),
        ("FROM /messages/modules/and/* INTO $upstream", '"and" can not be a part of a source'),
        ("FROM /messages/modules/7/* INTO $upstream", '"7" can not be a part of a source'),
        (
            "FROM /messages/modules/a:b INTO $upstream",
            'column 25: INTO is missing; WHERE or INTO would be right, found ":"',
        ),
        ("FROM /messages", "column 15: INTO is missing"),
        ("FROM /messages INTO", "column 20: there is no such sink; $upstream or"),
        ("FROM /messages INTO upstream", 'found "upstream"'),
        ("FROM /messages INTO $cloud", 'found "$cloud"'),
        ("FROM /messages INTO /modules/a/inputs/b", "there is no such sink"),
        ('FROM /messages INTO BrokeredEndpoint "/modules/a/inputs/b"', "needs an address"),
        ("FROM /messages INTO BrokeredEndpoint(/modules/a/inputs/b)", "an address in quotes"),
        ('FROM /messages INTO BrokeredEndpoint("/modules/a/inputs/b)', "an address in quotes"),
        ('FROM /messages INTO BrokeredEndpoint("/modules/a")', '"/modules/<module>/inputs/<input>" would be right'),
        ('FROM /messages INTO BrokeredEndpoint("/modules/a/inputs/b"', "is not closed"),
        ("FROM /messages INTO $upstream $upstream", "column 31: a route ends with its sink"),
    ],
)
def test_a_wrong_route_says_where_and_what_would_be_right(text: str, error: str) -> None:
    with pytest.raises(RouteError) as caught:
        parse_route("alerts", text)
    assert str(caught.value).startswith('route "alerts", column ')
    assert error in str(caught.value)


def test_a_route_is_a_value() -> None:
    text = "FROM /messages/* WHERE key1 = 'x' INTO $upstream"
    assert parse_route("r", text) == parse_route("r", text)
    assert len({parse_route("r", text), parse_route("r", text), parse_route("s", text)}) == 2
    assert parse_route("r", text).condition.text == "key1 = 'x'"  # type: ignore[union-attr]


# --- the set -----------------------------------------------------------------------------------------------------


def test_each_sink_gets_a_message_once_by_its_most_urgent_route() -> None:
    routes = parse_routes(
        {
            "all": "FROM /* INTO $upstream",
            "late": {"route": "FROM /messages/* INTO $upstream", "priority": 7, "timeToLiveSecs": 60},
            "urgent": {"route": "FROM /messages/* WHERE key1 = 'value1' INTO $upstream", "priority": 0},
            "log": {"route": f"FROM /messages/* {LOG}", "priority": 3},
        }
    )
    found = [(str(delivery.sink), delivery.route, delivery.priority) for delivery in routes.sinks_for(SEEN)]
    assert found == [("$upstream", "urgent", 0), ('BrokeredEndpoint("/modules/log/inputs/in")', "log", 3)]
    (_, upstream) = routes.sinks_for(Message())
    assert (upstream.route, upstream.time_to_live) == ("late", 60)


def test_of_equal_routes_the_first_counts() -> None:
    routes = parse_routes({"a": "FROM /* INTO $upstream", "b": "FROM /* INTO $upstream"})
    assert [delivery.route for delivery in routes.sinks_for(Message())] == ["a"]


def test_no_route_means_no_delivery() -> None:
    assert parse_routes({}).sinks_for(Message()) == ()


def test_any_number_of_sources_is_routed() -> None:
    routes = parse_routes({"a": "FROM /messages/* INTO $upstream"})
    assert all(routes.sinks_for(Message(f"/messages/modules/m/outputs/{index}")) for index in range(3000))


def test_a_declared_route_has_the_default_priority_and_the_hubs_own_time_to_live() -> None:
    (found,) = parse_routes({"a": {"route": "FROM /* INTO $upstream", "timeToLiveSecs": 0}})
    assert (found.priority, found.time_to_live) == (DEFAULT_PRIORITY, None)


def test_all_wrong_routes_are_named_at_once() -> None:
    with pytest.raises(RouteError) as caught:
        parse_routes(
            {
                "good": "FROM /* INTO $upstream",
                "typo": "FORM /* INTO $upstream",
                "number": 7,
                "textless": {"priority": 1},
                "urgent": {"route": "FROM /* INTO $upstream", "priority": 10},
                "true": {"route": "FROM /* INTO $upstream", "priority": True},
                "negative": {"route": "FROM /* INTO $upstream", "timeToLiveSecs": -1},
                "spelled": {"route": "FROM /* INTO $upstream", "ttl": 1},
            }
        )
    lines = str(caught.value).splitlines()
    assert [line.split('"')[1] for line in lines] == words("typo number textless urgent true negative spelled")
    assert lines[-1] == 'route "spelled": unknown ttl; there are route, priority, timeToLiveSecs'


def warnings(text: str) -> list[str]:
    return [warning.text for warning in parse_routes({"r": text}).warnings([], [], ["cam", "log"])]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("FROM /messages/modules/*/outputs/x INTO $upstream", 'only a "*" at the end'),
        ("FROM /messages/modules/cma/* INTO $upstream", 'unknown module "cma"; there are cam, log'),
        ("FROM /messages/modules/cam* INTO BrokeredEndpoint('/modules/lgo/inputs/in')", 'unknown module "lgo"'),
        ("FROM /message/* INTO $upstream", "takes from /message/*, where nothing comes from; /messages/*, "),
        ("FROM /* WHERE temp!='x' INTO $upstream", '"temp!" is read as the name of one property'),
        ("FROM /* WHERE key1 INTO $upstream", "the condition is a string, so it never holds"),
        ("FROM /* WHERE is_null($body.a) INTO $upstream", "$body... = null is meant"),
        ("FROM /twinChangeNotifications WHERE twin_change_includes(tags.a) INTO $upstream", "edgeHub knows"),
    ],
)
def test_what_is_allowed_and_hardly_meant_is_warned_about(text: str, warning: str) -> None:
    (found,) = warnings(text)
    assert warning in found


@pytest.mark.parametrize("text", ["FROM /* INTO $upstream", f"FROM /messages/modules/CAM/* WHERE a-b = '1' {LOG}"])
def test_what_is_meant_is_not_warned_about(text: str) -> None:
    assert warnings(text) == []


def test_loose_ends_are_warned_about() -> None:
    routes = parse_routes({"r": f"FROM {CAMERA} {LOG}"})
    outputs, inputs = [("cam", "detections"), ("cam", "frames")], [("log", "in"), ("log", "control")]
    texts = [warning.text for warning in routes.warnings(outputs, inputs, ["cam", "log"])]
    assert texts[0].startswith('no route takes output "frames" of module "cam"')
    assert texts[1].startswith('no route leads to input "control" of module "log"')
    assert len(texts) == 2


# --- any text at all ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "condition",
    ["(" * 10_000 + "true" + ")" * 10_000, "not " * 10_000 + "true", "- " * 10_000 + "1 = 1", "abs(" * 10_000,
     "true or " * 10_000 + "true", "(" * 10_000],
)  # fmt: skip
def test_nesting_has_an_end(condition: str) -> None:
    with pytest.raises(RouteError, match=r"operators or parentheses are|is not closed"):
        route(condition)


def test_what_is_just_not_too_deep_evaluates() -> None:
    assert route("(" * 97 + " or ".join(["key1 = 'x'"] * 200 + ["true"]) + ")" * 97).matches(SEEN)


WORDS = [
    *words("FROM WHERE INTO AND OR NOT SELECT /messages/* /twinChangeNotifications $upstream BrokeredEndpoint"),
    *words("( ) , + - * / % || ?? = != <> < <= > >= { } [ ] ' \" \\ @ é true false null undefined"),
    *words("key1 key2 none $both {$two} $body.n $body.list[0] $body.missing $body.text 3 -4 0x1F 1e400 e5 'a' \"3\""),
    *words("abs power concat substring is_null is_defined as_number twin_change_includes tags.a"),
]
SENTENCES = st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join)
TERMS = st.recursive(
    st.sampled_from(
        words("key1 as_number(key2) none $two $body.n $body.text $body.missing $body.yes true null 3 0 'a'")
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(words("and or = <> < >= + - * / % || ??")), inner).map(
            "({0[0]} {0[1]} {0[2]})".format
        ),
        inner.map("not ({})".format),
        inner.map("- ({})".format),
        st.tuples(st.sampled_from(words("abs exp sqrt floor length lower is_null is_bool as_number")), inner).map(
            "{0[0]}({0[1]})".format
        ),
        st.tuples(st.sampled_from(words("power contains substring concat index_of")), inner, inner).map(
            "{0[0]}({0[1]}, {0[2]})".format
        ),
    ),
    max_leaves=12,
)
MESSAGES = st.builds(
    Message,
    source=st.sampled_from([CAMERA, "/messages", "/twinChangeNotifications", ""]),
    properties=st.dictionaries(st.sampled_from(["key1", "KEY2", "$both"]), st.text(max_size=8)),
    system_properties=st.just(JSON) | st.dictionaries(st.sampled_from(list(JSON)), st.text(max_size=8)),
    body=st.binary(max_size=20)
    | st.dictionaries(
        st.sampled_from(["n", "text", "list"]),
        st.floats() | st.text() | st.booleans() | st.none() | st.lists(st.integers()),
    ).map(lambda found: json.dumps(found).encode()),
)


def parsed(text: str) -> Route | None:
    try:
        return parse_route("r", text)
    except RouteError:
        return None


@settings(deadline=None)
@given(st.text() | SENTENCES)
@example("FROM /* INTO $upstream\x00")
def test_no_text_makes_the_parser_raise_anything_else(text: str) -> None:
    parsed(text)
    parsed(f"FROM /messages/* WHERE {text} INTO $upstream")
    parsed(f"FROM {text} INTO BrokeredEndpoint({text})")


@settings(max_examples=300, deadline=None)
@given(TERMS | SENTENCES, MESSAGES | st.just(SEEN))
def test_evaluation_never_raises(condition: str, message: Message) -> None:
    for source in ("/*", "/twinChangeNotifications"):
        found = parsed(f"FROM {source} WHERE {condition} INTO $upstream")
        assert found is None or found.matches(message) in (True, False)
        assert found is None or Routes([found]).sinks_for(message) is not None


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_numbers_in_strings_compare_like_numbers(left: float, right: float) -> None:
    message = Message(
        properties={"a": repr(left).replace("inf", "Infinity"), "b": repr(right).replace("inf", "Infinity")}
    )
    assert route("as_number(a) < as_number(b)").matches(message) is (left < right)
