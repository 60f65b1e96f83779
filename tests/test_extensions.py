"""What is wrong in a part of ``extensions`` of host.json is said in one form, whatever part it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.errors import SettingError
from edgefn.event_hubs import event_hubs
from edgefn.hubs.options import edge_hub_options
from edgefn.mqtt.options import mqtt_options
from edgefn.operation import twin_options
from edgefn.settings import HostConfig
from edgefn.web.options import ServerOptions, http_options
from edgefn.web.page.options import has_page
from edgefn.web.serving.options import serving_options

ROOT = Path("/app")
PLACE = "/app/host.json: extensions."
READ: dict[str, Callable[[Path, HostConfig], Any]] = {
    "http": http_options,
    "edgeHub": edge_hub_options,
    "mqtt": mqtt_options,
    "twin": twin_options,
    "serving": serving_options,
    "page": lambda root, config: has_page(root, config, ServerOptions()),
}


def said(part: str, declared: object, read: Callable[[Path, HostConfig], Any]) -> list[str]:
    with pytest.raises(SettingError) as caught:
        read(ROOT, HostConfig({"version": "2.0", "extensions": {part: declared}}))
    return str(caught.value).splitlines()


@pytest.mark.parametrize("part", READ)
def test_an_unknown_option_is_said_with_its_place_and_those_that_are_known(part: str) -> None:
    (line,) = said(part, {"colour": 1}, READ[part])
    assert line.startswith(f"{PLACE}{part}.colour: unknown option; known options: ")


@pytest.mark.parametrize(
    ("part", "declared", "lines"),
    [
        ("edgeHub", {"keepAlive": 1}, ["keepAlive: Input should be greater than or equal to 2, found 1"]),
        (
            "http",
            {"maxRequestBodySize": "x", "routePrefix": "{"},
            [
                "routePrefix: it has a { without a }, found '{'",
                "maxRequestBodySize: Input should be a valid integer, unable to parse string as an integer, found 'x'",
            ],
        ),
        (
            "http",
            {"hsts": {"maxage": 1}},
            [
                "hsts.maxage: unknown option; did you mean 'maxAge'?; known options: isEnabled, maxAge,"
                " includeSubDomains, preload, excludedHosts"
            ],
        ),
        ("serving", {"models": {"a": 1}}, ["models.a: Input should be a valid string, found 1"]),
        ("twin", {"reportInterval": "2 s"}, ["reportInterval: should be seconds or HH:MM:SS, found '2 s'"]),
        ("twin", {"reportInterval": "1:2"}, ["reportInterval: should be seconds or HH:MM:SS, found '1:2'"]),
    ],
)
def test_each_fault_is_a_line_with_what_was_found(part: str, declared: object, lines: list[str]) -> None:
    assert said(part, declared, READ[part]) == [f"{PLACE}{part}.{line}" for line in lines]


def test_options_of_event_hubs_that_are_for_the_cloud_are_taken() -> None:
    config = HostConfig({"extensions": {"eventHubs": {"prefetchCount": 300, "inputs": {"a": "b"}}}})
    assert event_hubs(ROOT, config).inputs == {"a": "b"}
