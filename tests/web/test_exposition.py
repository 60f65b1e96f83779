"""``/metrics``: what is there, and that the guide has all of it by its right name."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

from edgefn import metrics
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
