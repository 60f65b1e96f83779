"""What one invocation sends by several outputs is stored as a whole, whatever triggered it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgefn.host import Host
from edgefn.loader import App

AppIn = Callable[..., App]
PLUGIN = """
import edgefn
from edgefn.function import Options

FAILURES = []

class Refusing:
    def encode(self, value):
        return value

    async def send(self, encoded, event):
        if FAILURES:
            FAILURES.pop()
            raise ConnectionError("the siren does not answer")

    def adopt(self, binding):
        return None

    def status(self):
        return {}

    async def close(self):
        pass

class RefusingKind:
    type, options = "siren", Options

    def check(self, binding):
        pass

    def convert(self, binding):
        return None

    async def open(self, binding):
        return Refusing()

    async def close(self):
        pass

@edgefn.hookimpl
def edgefn_outputs(services):
    return [RefusingKind()]
"""
FUNCTION = """
import edgefn
from functions import siren
app = edgefn.FunctionApp()
siren.FAILURES.extend([None] * {failures})

@app.function_name("watch")
{retry}
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&frames=4")
@app.generic_output_binding("siren", type="siren")
@app.edge_hub_output("seen", "seen")
@app.edge_hub_output("found", "found"{gate})
def watch(frame: edgefn.VideoFrame, found, seen, siren):
    found.set({{"frame": frame.id}})
    seen.set({{"frame": frame.id}})
    siren.set("on")
"""
RETRY = '@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")'


async def run(app: App) -> dict[str, Any]:
    """Plays the clip to its end; the status of the function."""
    host = Host(app)
    await host.start()
    await host.wait_for_end()
    status: dict[str, Any] = host.status()["functions"]["watch"]
    await host.stop()
    return status


def sent(state: Path) -> list[tuple[str, int]]:
    lines = map(json.loads, (state / "upstream.jsonl").read_text().splitlines())
    return [(line["output"], line["body"]["frame"]) for line in lines]


def files(failures: int, *, retry: str = "", gate: str = "") -> dict[str, str]:
    code = FUNCTION.format(failures=failures, retry=retry, gate=gate)
    return {"functions/siren.py": PLUGIN, "functions/watch.py": code}


async def test_an_invocation_whose_last_output_fails_has_sent_nothing(app_of: AppIn, tmp_path: Path) -> None:
    status = await run(app_of(files(1)))
    assert sent(tmp_path / ".edgefn") == [(name, frame) for frame in (1, 2, 3) for name in ("found", "seen")]
    assert status["failed"] == 1
    assert status["outputs"]["found"]["published"] == 3


async def test_one_that_is_tried_again_sends_once(app_of: AppIn, tmp_path: Path) -> None:
    status = await run(app_of(files(2, retry=RETRY)))
    assert sent(tmp_path / ".edgefn") == [(name, frame) for frame in range(4) for name in ("found", "seen")]
    assert status["failed"] == 0


@pytest.mark.parametrize("gate", [", interval=3600", ", rate='1/minute'"])
async def test_what_did_not_leave_does_not_count_for_the_next_one(app_of: AppIn, tmp_path: Path, gate: str) -> None:
    await run(app_of(files(1, gate=gate)))
    assert [frame for name, frame in sent(tmp_path / ".edgefn") if name == "found"] == [1]
