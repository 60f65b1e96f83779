"""Probes with an HTTP trigger, over a real socket: the response is what Azure's library and host make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.test_probes import PROBES, load
from tests.web.conftest import served

HTTP = {
    name: probe
    for name, probe in PROBES.items()
    if probe.get("invoke") and any("$http" in str(value) for value in (probe.get("input") or {}).values())
}


async def answer(name: str, folder: Path) -> tuple[int, str, Any]:
    """Status, content type and body of the response to the probe's request."""
    (request,) = (value["$http"] for value in PROBES[name]["input"].values())
    async with served(load(name, folder)) as site:
        response = await site.client.request(request["method"], request["url"].replace("http://localhost", ""))
        return response.status_code, response.headers.get("content-type", ""), response.text


def expected(probe: dict[str, Any]) -> tuple[int, str, str]:
    """What Azure's host answers for what its worker hands over: JSON in a string as JSON, other text as text."""
    returned = probe["invoke"]["return"] or probe["invoke"]["outputs"][0][1]
    if returned["type"] == "http":
        return int(returned["status"]), returned["headers"]["content-type"], returned["body"]
    try:
        return 200, "application/json", json.dumps(json.loads(returned["value"]))
    except ValueError:
        return 200, "text/plain", returned["value"]


@pytest.mark.parametrize("name", [name for name, probe in HTTP.items() if probe["invoke"]["ok"]])
async def test_a_response_is_what_azures_host_makes_of_it(name: str, tmp_path: Path) -> None:
    status, kind, body = await answer(name, tmp_path)
    wanted_status, wanted_kind, wanted_body = expected(HTTP[name])
    read = json.loads if wanted_kind == "application/json" and status == 200 else str
    assert (status, kind.split(";")[0], read(body)) == (wanted_status, wanted_kind, read(wanted_body))


@pytest.mark.parametrize("name", [name for name, probe in HTTP.items() if not probe["invoke"]["ok"]])
async def test_what_fails_there_is_a_500_without_a_body_or_documented(name: str, tmp_path: Path) -> None:
    status, _, body = await answer(name, tmp_path)
    takes_a_body = "generic" in HTTP[name]["invoke"]["error"]  # a request may ask for its body as str or bytes here
    assert (status, body) == (500, "") or (takes_a_body and status in (200, 204))
