"""Where the server listens: the command line over local.settings.json over the defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import SettingError
from edgefn.settings import Settings
from edgefn.web.options import Asked, ServerOptions, server_options


def options(
    folder: Path, local: dict[str, Any] | None = None, *, asked: Asked | None = None, **settings: str
) -> ServerOptions:
    if local is not None:
        (folder / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Host": local}))
    return server_options(folder, Settings(settings), asked or Asked())


def test_a_laptop_gets_azures_port_on_loopback_and_a_module_all_addresses(tmp_path: Path) -> None:
    assert options(tmp_path) == ServerOptions("127.0.0.1", 7071)
    assert options(tmp_path, IOTEDGE_WORKLOADURI="unix:///x") == ServerOptions("0.0.0.0", 8080, enforce=True)


def test_the_section_host_counts_and_the_command_line_counts_more(tmp_path: Path) -> None:
    local = {"LocalHttpPort": 8000, "CORS": "http://a,http://b/", "CORSCredentials": True}
    assert options(tmp_path, local) == ServerOptions("127.0.0.1", 8000, True, ("http://a", "http://b"), True)
    asked = Asked(port=9000, cors="http://c", enable_auth=True)
    assert options(tmp_path, local, asked=asked) == ServerOptions("127.0.0.1", 9000, True, ("http://c",), True, True)


def test_the_address_of_an_image_counts_as_azures_images_take_it(tmp_path: Path) -> None:
    assert options(tmp_path, ASPNETCORE_URLS="http://[::1]/") == ServerOptions("::1", 80, True)
    assert options(tmp_path, asked=Asked(port=9000), ASPNETCORE_URLS="http://*:80").port == 9000
    local = {"LocalHttpPort": 8000, "CORS": "http://a"}
    found = options(tmp_path, local, ASPNETCORE_URLS="http://+:8080")
    assert found == ServerOptions("0.0.0.0", 8080, True, ("http://a",), enforce=True)


@pytest.mark.parametrize("urls", ["https://+:443", "8080", "http://+:80;http://+:81"])
def test_an_address_that_can_not_be_served_is_refused(tmp_path: Path, urls: str) -> None:
    with pytest.raises(SettingError, match=r"ASPNETCORE_URLS should be one address like http://\+:8080"):
        options(tmp_path, ASPNETCORE_URLS=urls)


def test_an_unknown_key_of_host_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options(tmp_path, {"LocalHttpProt": 8000})
    assert "unknown key 'Host.LocalHttpProt' is ignored; did you mean 'LocalHttpPort'?" in caplog.text


@pytest.mark.parametrize(
    ("local", "fault"),
    [
        ({"LocalHttpPort": "many"}, "from 0 to 65535"),
        ({"LocalHttpPort": 70_000}, "found 70000"),
        ({"LocalHttpPort": True}, "found True"),
        ({"CORS": "*", "CORSCredentials": True}, "credentials need origins that are named"),
        ({"CORSCredentials": "maybe"}, "should be true or false"),
    ],
)
def test_a_value_that_can_not_be_used_is_named(tmp_path: Path, local: dict[str, Any], fault: str) -> None:
    with pytest.raises(SettingError, match=fault):
        options(tmp_path, local)
