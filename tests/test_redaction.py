"""Secrets are taken out of text, by pattern and by value; all other text stays as it is."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn import redaction
from edgefn.errors import SettingError
from edgefn.metrics import Metrics
from edgefn.redaction import redact, redacted, secrets_in
from edgefn.web.keys import Keys
from tests.cli.command import environment
from tests.conftest import AppIn

KEY = "q8Zr+Yw/3kPl0s9dJm4Tn7xVb2Lh6Gc1Ua5Ee8Ff0Qo="
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW0ifQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----"

Hold = Callable[..., None]


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Makes texts secret until the test ends."""
    yield lambda *secrets: redaction.hold("test", secrets)
    redaction.hold("test", ())


# --- by pattern --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"HostName=h;DeviceId=cam;SharedAccessKey={KEY};x=1", "HostName=h;DeviceId=cam;SharedAccessKey=***;x=1"),
        (f"Endpoint=sb://n/;SharedAccessKeyName=all;SharedAccessKey={KEY}", "***"),
        (f"AccountName=a;AccountKey={KEY};EndpointSuffix=core", "AccountName=a;AccountKey=***;EndpointSuffix=core"),
        ("SharedAccessSignature sr=hub%2fcam&sig=aB%2b1%3d&se=170000", "SharedAccessSignature ***"),
        ("SharedAccessSignature=sig=aB1;x", "SharedAccessSignature=***;x"),
        ("https://a.blob/c/x.xml?sv=2022&sig=aB%2b1%3d&se=2", "https://a.blob/c/x.xml?sv=2022&sig=***&se=2"),
        ("GET /api/f?code=aB1==&name=x", "GET /api/f?code=***&name=x"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: Bearer ***"),
        ("authorization=Basic dXNlcjpwYXNz, next", "authorization=Basic ***, next"),
        ("{'authorization': 'Bearer abc', 'host': 'h'}", "{'authorization': 'Bearer ***', 'host': 'h'}"),
        ("[(b'authorization', b'Basic dXNlcg==')]", "[(b'authorization', b'Basic ***')]"),
        (f"got bearer {KEY} from h", "got bearer *** from h"),
        (f"the token is {TOKEN}.", "the token is ***."),
        ("x-functions-key: aB1", "x-functions-key: ***"),
        ('{"x-functions-key": "aB1", "n": 1}', '{"x-functions-key": ***, "n": 1}'),
        ("rtsp://admin:pass@10.0.0.7:554/live?channel=1", "rtsp://***@10.0.0.7:554/live?channel=1"),
        ("rtsp://admin:p@ss@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("rtsp://admin:pa/ss@10.0.0.7/live", "rtsp://***@10.0.0.7/live"),
        ("https://ghp_abc@host/x", "https://***@host/x"),
        ("password=hunter2, user=x", "password=***, user=x"),
        ("connect(host, password='a b', port=1)", "connect(host, password=***, port=1)"),
        ('{"password": "a\\"b", "user": "x"}', '{"password": ***, "user": "x"}'),
        ("CAM_PASSWORD = hunter2", "CAM_PASSWORD = ***"),
        ('client_secret="cut off', "client_secret=***"),
        ("Server=s;Uid=u;Pwd=hunter2;", "Server=s;Uid=u;Pwd=***;"),
        (f"key: {PEM} end", "key: -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- end"),
        ("-----BEGIN PRIVATE KEY-----\\nMIIE", "-----BEGIN PRIVATE KEY-----***-----END PRIVATE KEY-----"),
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str, shown: str) -> None:
    assert redact(text).endswith(shown)
    assert KEY not in redact(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Executed 'Functions.token' (Succeeded, Id=0f8fad5b-d9cb-469f-a165-70867728950e, Duration=12ms)",
        "detect  running   9.9/s  p50 11.1 ms  91 invocations  22 dropped (rate 22)  0 errors",
        "'%CAM_PASSWORD%' does not resolve to a value; set CAM_PASSWORD in the environment, under Values in "
        "local.settings.json, or with --set CAM_PASSWORD=...",
        "source=rtsp://cam/live, password=%CAM_PASSWORD%",
        "http://host:8080/a@b",
        "f.py:7: httpTrigger 'req' of function 'get_token': route 'a/{b' can not be read",
        "sorted(found, key=lambda each: each.score)",
        "exit code: 5, code=7, token=None, SharedAccessKeyName=all",
        "the bearer authentication of a key: signed, not secret",
        "-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----",
        "mail a@b.example, see https://b.example",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=300))
def test_any_text_can_be_redacted_and_then_has_nothing_more_to_hide(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


FRAGMENTS = (
    *"SharedAccessKey AccountKey api_key password passwd passphrase secret token pwd pass sig code".split(),
    *"SharedAccessSignature Authorization auth x-a-key Basic Bearer eyJabcdefgh rtsp://".split(),
    *("-----BEGIN ", "-----END ", "PRIVATE KEY-----", "abcdefghijklmnop", "12", "***", "None", " ", "\n"),
    *"=:,;?&@./'{}",
    '"',
)


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=15).map("".join))
def test_the_quick_look_at_a_text_misses_nothing(text: str) -> None:
    assert redact(text) == redaction._by_pattern(text)
    assert redact(redact(text)) == redact(text)


@pytest.mark.parametrize("text", ["://", "http://a:", "-----BEGIN PRIVATE KEY-----", "token = ", "'key", "-eyJ", "a@"])
def test_no_text_takes_long(text: str) -> None:
    """Four times the text takes about four times as long; sixteen times it would where a pattern is tried in vain."""
    short, long = (min(taken(text * (size // len(text)) + "@ key= eyJ") for _ in range(3)) for size in (8_000, 32_000))
    assert long < 8 * short + 0.002


def taken(text: str) -> float:
    """Seconds of this thread alone, whatever else the machine does."""
    began = time.thread_time()
    redact(text)
    return time.thread_time() - began


# --- by value ----------------------------------------------------------------------------------------------------

WRITTEN: dict[str, Callable[[str], str]] = {
    "bare": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a URL, small": lambda secret: re.sub("%..", lambda match: match[0].lower(), quote(secret, safe="")),
    "in a path": quote,
    "in JSON": lambda secret: json.dumps({"x": secret}),
    "in JSON as UTF-8": lambda secret: json.dumps({"x": secret}, ensure_ascii=False),
    "repr": repr,
    "base64": lambda secret: base64.b64encode(secret.encode()).decode(),
    "base64 of more": lambda secret: base64.b64encode(f"{secret}@host".encode()).decode(),
    "base64 for URLs": lambda secret: base64.urlsafe_b64encode(secret.encode()).decode(),
}


@pytest.mark.parametrize("secret", [KEY, "hunter2-7", 'a"b\\c\u00fcd?>~', "12345678"])
@pytest.mark.parametrize("form", WRITTEN)
def test_a_secret_that_is_known_is_found_in_whatever_form(hold: Hold, form: str, secret: str) -> None:
    hold(secret)
    text = WRITTEN[form](secret)
    shown = redact(f"before {text} after")
    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert "***" in shown
    assert text not in shown
    assert secret not in shown


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=60), st.text(), st.text())
def test_a_secret_that_is_known_is_never_part_of_a_text(secret: str, before: str, after: str) -> None:
    redaction.hold("property", [secret])
    try:
        assert secret in "***" or secret not in redact(f"{before}{secret}{after}").replace("***", "")
    finally:
        redaction.hold("property", ())


def test_a_secret_within_another_one_leaves_nothing_of_it(hold: Hold) -> None:
    hold("abcdef", "abcdef-123456")
    assert redact("abcdef-123456, abcdef") == "***, ***"


def test_who_names_secrets_anew_names_all_of_them(hold: Hold) -> None:
    hold("first-one", "short")
    assert redact("first-one short") == "*** short"
    hold("second-one")
    assert redact("first-one second-one") == "first-one ***"


def test_texts_in_json_values_are_redacted_and_nothing_else() -> None:
    value: dict[str, Any] = {"a": ["password=x", 1, None], "b": {"c": ("rtsp://u:p@h", True)}, "password=x": 1.5}
    shown = {"a": ["password=***", 1, None], "b": {"c": ["rtsp://***@h", True]}, "password=x": 1.5}
    assert redacted(value) == shown


# --- which settings hold secrets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "secrets"),
    [
        ("CONNECTIONSTRING", f"HostName=h;DeviceId=cam;SharedAccessKey={KEY}", {KEY}),
        ("EdgeHubConnectionString", f"HostName=h;ModuleId=m;SharedAccessKey={KEY};GatewayHostName=g", {KEY}),
        ("ConnectionStrings:db", "Server=s;Uid=u;Pwd=hunter2!", {"hunter2!"}),
        ("ConnectionStrings:other", "who knows what this is", {"who knows what this is"}),
        ("AzureWebJobsStorage", f"AccountName=a;AccountKey={KEY};EndpointSuffix=core", {KEY}),
        ("MY_CONNECTION", "mqtt://user:hunter2!@broker:1883", {"hunter2!"}),
        ("MY_CONNECTION", "mqtt://broker:1883", set()),
        ("EventHub__fullyQualifiedNamespace", "name.servicebus.windows.net", set()),
        ("API_KEY", "0123abcd", {"0123abcd"}),
        ("apikey2", "0123abcd", {"0123abcd"}),
        ("StorageToken", "sv=2022&sig=aB%2B1cd%3D", {"sv=2022&sig=aB%2B1cd%3D", "aB%2B1cd%3D", "aB+1cd="}),
        ("CAM_PASSWORD", "12345678", {"12345678"}),
        ("CLIENT_SECRET", "two words", {"two words"}),
        ("MODEL_XML_PATH", "https://a.blob/m.xml?sv=2022&sig=aB1cdef", {"aB1cdef"}),
        ("INPUT", "rtsp://admin:p%40ssw0rd@cam/live", {"p%40ssw0rd", "p@ssw0rd"}),
        ("INPUT", "rtsp://admin:pa/ssw0rd@cam/live", {"pa/ssw0rd"}),
        ("INPUT", "http://cam:8080/a@b", set()),
        ("API_KEY", "short", set()),
        ("CAM_PASSWORD", "swordfish", set()),
        ("PARTITION_KEY", "deviceId", set()),
        ("MAX_TOKEN", "1000000", set()),
        ("TLS_KEY", "/etc/edgefn/server.pem", set()),
        ("TLS_KEY", "server.key", set()),
        ("DEVICE", "HETERO:GPU,CPU", set()),
        ("KEYBOARD", "de-latin1-nodeadkeys", set()),
        ("PWD", "/home/ada/street", set()),
        ("OLDPWD", "/home/ada", set()),
        ("PWD", "hunter2!", {"hunter2!"}),
        ("CAM_PWD", "/hunter2!", {"/hunter2!"}),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=north, api-id=0123abcd", {"0123abcd"}),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20dTpwdw9=", {"Basic dTpwdw9=", "dTpwdw9="}),
    ],
)
def test_settings_hold_secrets_by_their_names_and_by_what_they_look_like(
    name: str, value: str, secrets: set[str]
) -> None:
    assert secrets_in({name: value}) == secrets


def test_secrets_of_settings_are_held_before_the_app_is_imported(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    code = "import os\nraise ValueError('no camera at ' + 'zx81-spectrum')"
    app = app_of({"functions/f.py": code}, CAM_TOKEN="zx81-spectrum")
    assert "no camera at" in app.errors[0]
    assert redact(app.errors[0]).endswith("ValueError: no camera at ***")
    assert "zx81" not in repr(app.services.settings)


def test_function_keys_are_held_until_they_are_renewed(tmp_path: Path) -> None:
    keys = Keys(tmp_path)
    keys.open(["hello"])
    listed = [key["value"] for scope in ("keys", "systemkeys") for key in keys.listed(scope) or ()]
    listed += [key["value"] for key in keys.listed("", "hello") or ()]
    assert len(listed) == 3
    assert redact(" ".join(listed)) == "*** *** ***"
    keys.put("systemkeys", "", "mine", "a-new-one-1")
    keys.put("", "hello", "default", "a-new-one-2")
    assert redact("a-new-one-1 a-new-one-2") == "*** ***"


# --- where they could leave --------------------------------------------------------------------------------------


def test_our_own_errors_are_without_secrets() -> None:
    assert str(SettingError("x: password=hunter2 is wrong; y")) == "x: password=*** is wrong; y"


def test_the_last_error_of_a_function_is_without_secrets() -> None:
    figures = Metrics().function("f")
    figures.last_error = f"ValueError: no answer to {TOKEN}"
    assert (figures.last_error, figures.status()["last_error"]) == ("ValueError: no answer to ***",) * 2


def test_what_a_crash_leaves_on_the_standard_error_is_without_secrets() -> None:
    code = (
        "import sys, types, edgefn.cli as cli\n"
        "def run_start(asked): raise RuntimeError('password=hunter2')\n"
        "start = types.ModuleType('edgefn.cli.start')\n"
        "start.Start, start.run_start = dict, run_start\n"
        "sys.modules['edgefn.cli.start'] = start\n"
        "cli.main(['start'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment({}))
    assert ended.returncode == 1
    assert ended.stderr.endswith("RuntimeError: password=***\n")
    assert "hunter2" not in ended.stderr


def test_letters_that_neither_a_file_nor_json_takes_are_escaped() -> None:
    assert redact("no file \udcff of \xe9") == "no file \\udcff of \xe9"
