"""``/metrics``: what is there, and that the guide has all of it by its right name."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edgefn import metrics
from edgefn.host import Host
from edgefn.settings import Settings
from edgefn.web.exposition import Exposition
from tests.conftest import AppIn
from tests.web.conftest import ECHO, Serve

PACKAGE = Path(metrics.__file__).parent
DOCS = Path(__file__).parents[2] / "docs"
GUIDE = DOCS / "metrics.md"
ENDINGS = {"counter": "_total", "gauge": "", "histogram": "", "GaugeMetricFamily": ""}
NAME = re.compile(r"`(edgefn_(?:http|video|spool|inbox|hub|mqtt|files|speech|serving|remote|session|twin)_\w+)[`{]")
HOOKS = {"edgefn_session_kinds"}


def exported() -> Iterator[str]:
    """The names of all metrics of the package, as they are exported."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ENDINGS and str(node.args[0].value).startswith("edgefn_"):
                yield f"{node.args[0].value}{ENDINGS[called]}"


def test_the_guide_has_every_metric_and_no_other() -> None:
    table = GUIDE.read_text().partition("## All of them")[2]
    listed = [name for row in table.splitlines() for name in re.findall(r"`(edgefn_\w+)`", row.split(" | ")[0])]
    assert sorted(listed) == sorted(set(exported()))


def test_no_page_names_a_metric_that_is_not_exported() -> None:
    known = {*exported(), *HOOKS}
    wrong = {(page.name, name) for page in DOCS.rglob("*.md") for name in NAME.findall(page.read_text())}
    assert {(page, name) for page, name in wrong if name not in known} == set()


COUNTING = {"drop", "_drop", "_dropped", "skipped", "count_lost", "SpeechError"}
OF_OUTBOX = {"full", "expired", "too_large", "poison", "refused", "dead_letter"}
"""Causes that are keys and values on their way to the counter."""


@pytest.mark.parametrize(
    ("metric", "page", "files", "more"),
    [
        ("edgefn_spool_lost_total", "metrics.md", "spool/*.py", OF_OUTBOX),
        ("edgefn_mqtt_dropped_total", "metrics.md", "mqtt/*.py", set()),
        ("edgefn_video_frames_dropped_total", "bindings/videoFrameTrigger.md", "subscription.py video.py", set()),
        ("edgefn_files_dropped_total", "bindings/file.md", "bindings/file.py bindings/backlog.py", set()),
        ("edgefn_files_skipped_total", "bindings/fileTrigger.md", "triggers/file*.py", set()),
        ("edgefn_speech_dropped_total", "bindings/speech.md", "bindings/speech*.py bindings/backlog.py", set()),
    ],
)
def test_each_cause_that_is_counted_is_in_the_guide(metric: str, page: str, files: str, more: set[str]) -> None:
    called = [
        node
        for pattern in files.split()
        for path in PACKAGE.glob(pattern)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in COUNTING
    ]
    texts = [each.value for node in called for each in node.args[:3] if isinstance(each, ast.Constant)]
    causes = {text for text in texts if isinstance(text, str) and re.fullmatch("[a-z_]+", text)} | more
    (told,) = [line for line in (DOCS / page).read_text().splitlines() if f"`{metric}`" in line and "`cause`" in line]
    assert causes, "where they are counted has moved"
    assert {cause for cause in causes if f"`{cause}`" not in told} == set()


MODULE = {"IOTEDGE_DEVICEID": "box-7", "IOTEDGE_MODULEID": "cam", "IOTEDGE_IOTHUBHOSTNAME": "hub.azure-devices.net"}


async def test_in_a_module_each_metric_says_which_box_it_is_of(app_of: AppIn) -> None:
    app = app_of({"functions/f.py": ECHO})
    app.services = dataclasses.replace(app.services, settings=Settings(MODULE))
    host = Host(app)
    host.app.services.metrics.invocations.labels("f", "ok").inc()
    told = {"iothub": "hub.azure-devices.net", "edge_device": "box-7", "module_name": "cam"}
    exposition = Exposition(host)
    for _ in range(2):
        samples = [
            sample for family in text_string_to_metric_families(exposition.text().decode()) for sample in family.samples
        ]
        assert {sample.name for sample in samples} >= {"edgefn_info", "edgefn_invocations_total", "edgefn_spool_usable"}
        assert [sample for sample in samples if not told.items() <= sample.labels.items()] == []
        assert len({sample.labels["instance_number"] for sample in samples}) == 1


BROKEN = ECHO + "@app.route('b')\n@app.generic_input_binding(arg_name='x', type='nothing')\ndef b(req, x): ...\n"


async def test_states_of_functions_are_metrics_and_times_of_creation_are_not(serve: Serve) -> None:
    site = await serve(BROKEN)
    await site.client.get("/api/echo")
    text = (await site.client.get("/metrics")).text
    assert 'edgefn_function_state{function="echo",state="running"} 1.0' in text
    assert 'edgefn_function_state{function="b",state="error"} 1.0' in text
    assert "edgefn_twin_refused 0.0" in text
    assert 'edgefn_invocation_seconds_count{function="echo"} 1.0' in text
    assert "_created" not in text


VIDEO = "import edgefn\napp = edgefn.FunctionApp()\n" + "".join(
    f"@app.video_frame_trigger('frame', '{source}')\ndef {name}(frame): ...\n"
    for name, source in {"a": "synthetic:?width=64&height=48", "b": "rtsp://user:secret@127.0.0.1:9/x"}.items()
)


async def test_sources_have_their_states_and_no_passwords(serve: Serve) -> None:
    site = await serve(VIDEO)
    wanted, text = {("synthetic:?width=64&height=48", "running"), ("rtsp://127.0.0.1:9/x", "lost")}, ""
    async with asyncio.timeout(30):
        while not wanted <= set(re.findall(r'edgefn_video_source_state{source="(.*?)",state="(.*?)"} 1.0', text)):
            text = (await site.client.get("/metrics")).text
    assert "secret" not in text
