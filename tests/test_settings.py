"""host.json, local.settings.json, the environment over them, and %NAME% in texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefn.errors import SettingError
from edgefn.settings import Settings, load_host_config, load_settings, read_json, seconds_of, timeout
from tests.conftest import AppIn

VALUES = '{{"IsEncrypted": false, "Values": {}}}'


def written(folder: Path, name: str, text: str | bytes) -> Path:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return folder


def refused(folder: Path, name: str, text: str | bytes) -> str:
    """The reason why a file can not be used, without the folder."""
    written(folder, name, text)
    with pytest.raises(SettingError) as caught:
        load_host_config(folder, {}) if name == "host.json" else load_settings(folder, {}, {})
    assert str(caught.value).startswith(f"{folder / name}")
    return str(caught.value).replace(str(folder / name), name)


# --- JSON --------------------------------------------------------------------------------------------------------


def test_comments_trailing_commas_and_a_byte_order_mark_are_read_over(tmp_path: Path) -> None:
    text = '\ufeff{\n// first\n"a": "http://x", /* two\nlines */ "b": [1, 2,],\n}\n'
    assert read_json(written(tmp_path, "a.json", text) / "a.json") == {"a": "http://x", "b": [1, 2]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "host.json:1: no valid JSON: Expecting value"),
        ('{\n "version": "2.0"\n "a": 1}', "host.json:3: no valid JSON: Expecting ',' delimiter"),
        ('{"version": "2.0", /* open', "host.json:1: no valid JSON"),
        ("[]", "host.json: should hold one JSON object, holds a list"),
        (b"\xff\xfe{\x00", "host.json: can not be read: 'utf-8' codec can't decode byte 0xff"),
        ("[" * 100_000, "host.json: no valid JSON"),
        ('{"a": ' + "1" * 5000 + "}", "host.json: no valid JSON: Exceeds the limit"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused_with_its_line(tmp_path: Path, text: str | bytes, reason: str) -> None:
    assert refused(tmp_path, "host.json", text).startswith(reason)


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "host.json").mkdir()
    with pytest.raises(SettingError, match=r"host.json: can not be read: Is a directory; it should be a text file"):
        load_host_config(tmp_path, {})


# --- host.json ---------------------------------------------------------------------------------------------------


def test_without_host_json_there_are_defaults(tmp_path: Path) -> None:
    config = load_host_config(tmp_path, {})
    assert (config.function_timeout, config.functions, config.warnings) == (1800.0, (), ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "host.json: The host.json file is missing the required 'version' property."),
        ('{"version": "3.0"}', "host.json:1: '3.0' is an invalid value for host.json 'version' property."),
        ('{\n"version": 2.0}', "host.json:2: '2.0' is an invalid value for host.json 'version' property."),
        ('{"version": "2.0", "extensions": 3}', "host.json:1: extensions should be an object, found 3"),
        ('{"version": "2.0",\n"functions": "f"}', "host.json:2: functions should be a list of function names"),
        ('{"version": "2.0", "functions": [1]}', "host.json:1: functions should be a list of function names"),
        ('{"version": "2.0",\n"functionTimeout": "soon"}', "host.json:2: functionTimeout should be HH:MM:SS"),
        ('{"version": "2.0", "functionTimeout": "0"}', "host.json:1: functionTimeout should be at least 00:00:01"),
        ('{"version": "2.0", "functionTimeout": true}', "host.json:1: functionTimeout should be HH:MM:SS"),
        ('{"version": "2.0", "functionTimeout": "nan"}', "host.json:1: functionTimeout should be HH:MM:SS"),
    ],
)
def test_a_value_that_host_json_can_not_have_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    assert refused(tmp_path, "host.json", text).startswith(reason)


@pytest.mark.parametrize(
    ("declared", "seconds"),
    [("00:05:00", 300.0), ("1.00:00:00", 86400.0), (5, 5.0), ("-1", None), (-1, None), ("00:00:01.5", 1.5)],
)
def test_a_time_out_is_a_time_span_or_seconds_or_without_limit(declared: object, seconds: float | None) -> None:
    assert timeout(declared, "host.json") == seconds


@given(st.integers(0, 9), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_time_spans_are_those_of_dotnet(days: int, hours: int, minutes: int, seconds: int) -> None:
    expected = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert seconds_of(f"{days}.{hours:02}:{minutes:02}:{seconds:02}") == expected


def test_an_unknown_key_is_a_warning_that_names_the_nearest(tmp_path: Path) -> None:
    config = load_host_config(written(tmp_path, "host.json", '{"version": "2.0",\n"extension": {}, "$schema": ""}'), {})
    assert config.warnings == (
        f"{tmp_path / 'host.json'}:2: unknown key 'extension' is ignored; did you mean 'extensions'?",
    )


def test_a_part_of_extensions_that_is_almost_one_of_edgefns_is_a_warning(tmp_path: Path) -> None:
    parts = '{"edgehub": {}, "spool": {}, "queues": {}, "serviceBus": {}, "mine": {}}'
    written(tmp_path, "host.json", f'{{"version": "2.0",\n"extensions":\n{parts}}}')
    (warning,) = load_host_config(tmp_path, {}).warnings
    assert warning.endswith("host.json:3: unknown part 'extensions.edgehub' is ignored; did you mean 'edgeHub'?")


def test_the_environment_is_laid_over_host_json_without_regard_to_case(tmp_path: Path) -> None:
    written(
        tmp_path, "host.json", '{"version": "2.0", "extensions": {"http": {"routePrefix": "api"}}, "functions": ["a"]}'
    )
    config = load_host_config(
        tmp_path,
        {
            "AzureFunctionsJobHost__Extensions__Http__RoutePrefix": "v1",
            "AzureFunctionsJobHost__Logging__Console__IsEnabled": "true",
            "AZUREFUNCTIONSJOBHOST__functionTimeout": "00:00:07",
            "AzureFunctionsJobHost__functions__1": "b",
        },
    )
    assert config.extension(tmp_path, "http") == {"routePrefix": "v1"}
    assert config.document["logging"] == {"Console": {"IsEnabled": "true"}}
    assert (config.function_timeout, config.functions, config.warnings) == (7.0, ("a", "b"), ())


def test_an_extension_that_is_no_object_is_refused_where_it_is_asked_for(tmp_path: Path) -> None:
    config = load_host_config(written(tmp_path, "host.json", '{"version": "2.0", "extensions": {"http": 3}}'), {})
    with pytest.raises(SettingError, match=r"host.json:1: extensions.http should be an object, found 3"):
        config.extension(tmp_path, "http")


BY_VARIABLE = "AzureFunctionsJobHost__"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("functionTimeout", "soon", ": functionTimeout should be HH:MM:SS"),
        ("version", "3", ": '3' is an invalid value for host.json 'version' property."),
        ("extensions", "none", ": extensions should be an object, found 'none'"),
        ("telemetryMode", "OpenTelemtry", ": telemetryMode should be one of"),
        ("functions__0__name", "f", ": functions should be a list of function names"),
        ("logging__logLevel__Function__detect", "Loud", ": logging.logLevel.Function.detect should be one of"),
        ("retry__strategy", "never", ": retry: there is no strategy 'never'"),
        ("retry", "never", ": retry should be an object, found 'never'"),
        ("extensions__spool", "none", ": extensions.spool should be an object, found 'none'"),
        ("extensions__spool__outbox__maxByte", "5", ": extensions.spool.outbox.maxByte: unknown option; did you"),
        ("extensions__spool__outbox__maxBytes", "much", ": extensions.spool.outbox.maxBytes: Input should be a valid"),
        ("extensions__edgeHub__routes__r", "FROM nowhere", ': extensions.edgeHub.routes: route "r", column 6'),
        ("extensions__edgeHub__broker", "http://site", ": extensions.edgeHub.broker: a broker: the address begins"),
    ],
)
def test_a_value_that_a_variable_gives_is_refused_with_the_variable(
    app_of: AppIn, name: str, value: str, said: str
) -> None:
    variable = f"{BY_VARIABLE}{name}"
    with pytest.raises(SettingError) as refused:
        app_of({}, **{variable: value})
    assert str(refused.value).startswith(f"{variable}{said}")


def test_what_a_variable_says_in_vain_is_a_warning_with_the_variable(app_of: AppIn) -> None:
    names = ("functionTimout", "extensions__edgehub__broker", "logging__logLevels", "logging__logLevel__Function__f")
    app = app_of({"functions/nothing.py": ""}, **{f"{BY_VARIABLE}{name}": "Error" for name in names})
    assert [warning.partition(": ")[0] for warning in app.warnings] == [f"{BY_VARIABLE}{name}" for name in names]


def test_an_object_of_host_json_and_a_variable_is_refused_with_both(app_of: AppIn, tmp_path: Path) -> None:
    host = '{"version": "2.0",\n"retry": {"strategy": "never", "delayInterval": "00:00:01"}}'
    variable = f"{BY_VARIABLE}retry__maxRetryCount"
    with pytest.raises(SettingError) as refused:
        app_of({"host.json": host}, **{variable: "3"})
    assert str(refused.value).startswith(f"{tmp_path / 'host.json'}:2 and {variable}: retry: there is no strategy")


def test_a_function_that_host_json_names_and_there_is_not_is_told_with_its_line(app_of: AppIn, tmp_path: Path) -> None:
    app = app_of({"host.json": '{"version": "2.0",\n"functions": ["g"]}', "functions/nothing.py": ""})
    assert app.errors == [f"{tmp_path / 'host.json'}:2: no function 'g' to run; functions: none"]


def test_a_section_of_local_settings_that_is_almost_one_is_a_note(app_of: AppIn, tmp_path: Path) -> None:
    local = '{"IsEncrypted": false,\n"Value": {"A": "b"}, "Profile": {}}'
    (warning,) = app_of({"functions/nothing.py": "", "local.settings.json": local}).warnings
    said = "unknown section 'Value' is ignored; did you mean 'Values'?"
    assert warning == f"{tmp_path / 'local.settings.json'}:2: {said}"


# --- local.settings.json -----------------------------------------------------------------------------------------


def test_local_settings_are_texts_under_the_environment_under_what_is_given(tmp_path: Path) -> None:
    text = VALUES.format('{"A": "file", "B": "file", "C": "file", "N": 1, "T": true, "X": null}')
    settings = load_settings(written(tmp_path, "local.settings.json", text), {"B": "env", "C": "env"}, {"C": "given"})
    assert {name: settings.get(name) for name in "ABCNTX"} == {
        "A": "file", "B": "env", "C": "given", "N": "1", "T": "true", "X": None,
    }  # fmt: skip
    assert settings.notes == tuple(
        f"Skipping '{name}' from local settings as it's already defined in current environment variables."
        for name in "BC"
    )


def test_sections_of_local_settings_may_be_written_in_any_case(tmp_path: Path) -> None:
    text = '{"isencrypted": false, "values": {"a": "b"}, "connectionStrings": {"c": "d"}}'
    settings = load_settings(written(tmp_path, "local.settings.json", text), {}, {})
    assert (settings.get("a"), settings.get("ConnectionStrings:c")) == ("b", "d")


def test_connection_strings_are_settings_of_their_own(tmp_path: Path) -> None:
    text = (
        '{"IsEncrypted": false, "ConnectionStrings": {"a": "x", "b": {"ConnectionString": "y", "ProviderName": "p"}}}'
    )
    settings = load_settings(written(tmp_path, "local.settings.json", text), {}, {})
    assert settings.values == {"ConnectionStrings:a": "x", "ConnectionStrings:b": "y"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"Values": {"A": "x"}}', "local.settings.json: its values are encrypted"),
        ('{"IsEncrypted": true,\n"Values": {"A": "x"}}', "local.settings.json:1: its values are encrypted"),
        ('{"IsEncrypted": "perhaps"}', "local.settings.json:1: IsEncrypted should be true or false"),
        (VALUES.format("[]").replace("[]", "[1]"), "local.settings.json:1: Values should be an object"),
        (VALUES.format('\n{"A": {"secret": 1}}'), "local.settings.json:2: Values.A should be a text, found a dict"),
        (
            '{"IsEncrypted": false, "ConnectionStrings": {"a": [1]}}',
            "local.settings.json: ConnectionStrings.Connection",
        ),
    ],
)
def test_local_settings_that_can_not_be_used_are_refused_without_their_values(
    tmp_path: Path, text: str, reason: str
) -> None:
    said = refused(tmp_path, "local.settings.json", text)
    assert said.startswith(reason)
    assert "secret" not in said


@pytest.mark.parametrize("text", ["{}", '{"IsEncrypted": "False", "Values": {}}', '{"IsEncrypted": true}'])
def test_a_file_without_values_needs_no_word_on_encryption(tmp_path: Path, text: str) -> None:
    assert load_settings(written(tmp_path, "local.settings.json", text), {}, {}).values == {}


# --- %NAME% ------------------------------------------------------------------------------------------------------


def test_each_name_between_percent_signs_becomes_its_value() -> None:
    settings = Settings({"HOST": "cam", "Port": "554", "EMPTY": ""})
    assert settings.resolve("rtsp://%HOST%:%PORT%/%EMPTY%") == "rtsp://cam:554/"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("%NAM%", "'%NAM%' does not resolve to a value; set NAM in the environment, under Values in"),
        ("100%", "The '%' at position 3 does not have a closing '%'; put a value that holds a %"),
        ("%NAME% 5%", "The '%' at position 8 does not have a closing '%'"),
        ("%%", "'%%' does not resolve to a value"),
    ],
)
def test_a_name_that_is_not_set_and_a_lone_percent_sign_are_refused(text: str, reason: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings({"NAME": "x"}).resolve(text)
    assert str(caught.value).startswith(reason)


@given(st.text(st.characters(exclude_characters="%")))
def test_a_text_without_percent_signs_stays_as_it_is(text: str) -> None:
    assert Settings({}).resolve(text) == text
