"""Variables of the environment: the guides name those that the host reads, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from edgefn.settings import KNOWN_KEYS
from tests.test_docs import ROOT

FAMILIES = r"(?:AIO|AZUREML|CL|DLA|EDGEFN|IOTEDGE|MQTT|OTEL|PYTHON|WEBSITE)_[A-Z_]+|OPENCV_FFMPEG_[A-Z_]+"
AZURES = r"AzureWebJobs\w+|EdgeHubConnectionString|EdgeModuleCACertificateFile|ASPNETCORE_URLS|CONNECTIONSTRING|TZ"
IN_CODE = re.compile(rf'"({FAMILIES}|{AZURES})"')
IN_GUIDES = re.compile(rf"`\$?({FAMILIES}|{AZURES})\b")
OURS = {
    "EDGEFN_DEMO_FOLDER": "a demo hands it over to itself",
    "IOTEDGE_AUTHSCHEME": "edgefn hub env prints it, as edgeAgent sets it",
    "OPENCV_FFMPEG_LOGLEVEL": "set for OpenCV, unless somebody else has",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "OpenTelemetry's; edgefn doctor looks at it",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "OpenTelemetry's; edgefn doctor looks at it",
}
"""Read or set, and nothing that a user of the host has to know, with the reason."""
OF_LIBRARIES = re.compile("OTEL_|OPENCV_FFMPEG_CAPTURE_OPTIONS|PYTHON_IMAGE|AzureWebJobs_|PYTHON_ENABLE_DEBUG_LOGGING")
"""Named in guides, and read by libraries, by builds, put together, or said not to be read."""


def in_code() -> set[str]:
    return {name for path in (ROOT / "host").rglob("*.py") for name in IN_CODE.findall(path.read_text("utf-8"))}


def guides() -> str:
    pages: list[Path] = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return "\n".join(page.read_text("utf-8") for page in pages)


def test_each_variable_that_the_host_reads_is_in_a_guide() -> None:
    text = guides()
    assert {name for name in in_code() - OURS.keys() if not re.search(rf"\b{name}\b", text)} == set()
    assert OURS.keys() <= in_code(), "these are read no more"


def test_no_guide_names_a_variable_that_nobody_reads() -> None:
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "host").rglob("*.py"))
    named = {name for name in IN_GUIDES.findall(guides()) if not OF_LIBRARIES.match(name)}
    assert {name for name in named if not re.search(rf"\b{name}\b", code)} == set()


def test_the_guide_has_each_key_of_host_json() -> None:
    text = (ROOT / "docs" / "azure-functions.md").read_text("utf-8")
    assert {key for key in KNOWN_KEYS if not re.search(rf"`[\w.]*\b{key}\b[\w.]*`", text)} == set()
