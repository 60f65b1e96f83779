"""What the host tells of itself in the reported properties, and how seldom."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from edgefn import __version__
from edgefn.contracts import HubState, Twin
from edgefn.desired import merged
from edgefn.errors import ConnectionLost
from edgefn.loader import App
from edgefn.pacing import BackOff
from edgefn.reported import Account, Reporter
from edgefn.twin import Verdict
from edgefn.twin_limits import faults_of
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, steered, until

CODE = """
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", real_time=True)
@app.inference_session("net", "stub:answers.json", task="classification")
@app.setting("limit", "LIMIT", default=0.5)
async def detect(frame, net, limit): ...

@app.edge_hub_trigger("m", "in", max_batch=3)
def wrong(m): ...
"""


def app_with(app_of: AppIn, code: str = CODE, **files: str) -> App:
    answers = json.dumps([[[0, "car", 0.9]]])
    return app_of({"host.json": QUICK, "answers.json": answers, "functions/f.py": HEAD + code, **files})


async def test_the_host_tells_what_runs_on_which_devices_and_what_is_wrong(app_of: AppIn) -> None:
    async with steered(app_with(app_of, **{"functions/broken.py": "def f(:"})) as site:
        await until(lambda: site.reported.get("functions", {}).get("detect", {}).get("state") == "running")
        await until(lambda: site.reported["functions"]["detect"]["source"]["state"] == "running")
        told = site.reported
        assert (told["edgefn"]["version"], told["edgefn"]["state"]) == (__version__, "running")
        assert told["desired"] == {"version": 0, "status": "applied"}
        assert told["functions"]["detect"] == {
            "state": "running",
            "source": {"source": "synthetic:?width=64&height=48", "state": "running"},
            "inputs": {
                "net": {"model": "answers.json", "device": "stub"},
                "limit": {"setting": "LIMIT", "from": "default"},
            },
        }
        assert told["functions"]["wrong"]["state"] == "error"
        assert "unknown option 'max_batch' of edgeHubTrigger" in told["functions"]["wrong"]["errors"]
        assert told["errors"].startswith("functions/broken.py:1: SyntaxError")


async def test_what_an_earlier_run_reported_and_is_no_more_is_removed(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await until(lambda: "wrong" in site.reported.get("functions", {}))
        site.hub._twin.change(reported={"mine": 1})
    async with steered(app_with(app_of, CODE.replace("def wrong", "def right"))) as site:
        await until(lambda: "right" in site.reported.get("functions", {}))
        assert "wrong" not in site.reported["functions"]
        assert site.reported["mine"] == 1


async def test_a_change_is_told_and_nothing_is_while_nothing_changes(app_of: AppIn) -> None:
    async with steered(app_with(app_of, CODE.partition("@app.edge")[0])) as site:
        await until(
            lambda: site.reported.get("functions", {}).get("detect", {}).get("source", {}).get("state") == "running"
        )
        before = site.reported["$version"]
        frames = site.function("detect")["invocations"]
        await until(lambda: site.function("detect")["invocations"] > frames + 5)
        assert site.reported["$version"] == before
        await site.desire({"functions": {"detect": {"disabled": True}}})
        await until(lambda: site.reported["functions"]["detect"] == {"state": "disabled"})


async def test_what_happened_while_the_hub_was_away_is_told_afterwards(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await until(lambda: site.reported.get("edgefn", {}).get("state") == "running")
        site.hub.pull()
        await site.host.drain()
        assert site.reported["edgefn"]["state"] == "running"
        site.hub.plug()
        await until(lambda: site.reported["edgefn"]["state"] == "drained")


def account(functions: Mapping[str, Any], in_force: Mapping[str, Any] | None = None, **more: Any) -> Account:
    status = {"state": "running", "functions": functions, "errors": [], **more}
    return Account(lambda: status, lambda: in_force or {})


def figures(state: str = "running", **more: Any) -> dict[str, Any]:
    return {"state": state, "errors": [], "trigger": {}, "inputs": {}, **more}


def test_credentials_are_not_reported() -> None:
    found = account(
        {
            "f": figures(
                errors=["no camera at rtsp://user:secret@box/1"],
                trigger={"source": "rtsp://user:secret@box/1", "state": "lost"},
            )
        },
        in_force={"settings": {"CAMERA": "rtsp://user:secret@box/1"}},
    )
    found.verdict = Verdict(3, "functions.f: found 'rtsp://user:secret@box/1'")
    assert "secret" not in json.dumps(found.document())
    assert found.document()["desired"]["inForce"] == {"settings": {"CAMERA": "rtsp://***@box/1"}}


def test_long_errors_and_large_apps_stay_within_the_limits_of_a_twin() -> None:
    for count in (1, 20, 200, 2000):
        names = [f"function_{number}_with_a_long_name" for number in range(count)]
        found = account({name: figures("error", errors=["x" * 9000]) for name in names})
        found.verdict = Verdict(1, "y" * 9000)
        document = found.document()
        assert len(json.dumps(document)) < 32_768
        assert faults_of(document) == []
        assert document.get("edgefn", {}).get("cut", False) is (count > 20)
        assert document["desired"]["status"] == "refused"


# --- the reporter ------------------------------------------------------------------------------------------------


class Cloud:
    """A hub that keeps what is reported, and may fail to."""

    def __init__(self) -> None:
        self.patches: list[dict[str, Any]] = []
        self.failures = 0
        self.attempts = 0

    async def report(self, patch: Mapping[str, Any]) -> None:
        self.attempts += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionLost("the acknowledgement was lost")
        self.patches.append(dict(patch))

    @property
    def whole(self) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for patch in self.patches:
            document = merged(document, patch)
        return document


class Told:
    """A reporter beside its hub; ``state`` is what there is to be told."""

    def __init__(self, interval: float) -> None:
        self.cloud = Cloud()
        self.state = "running"
        found = Account(lambda: {"state": self.state, "functions": {}, "errors": []}, dict)
        self.reporter = Reporter(self.cloud, found, interval, lambda: BackOff(0.001, 0.001))  # type: ignore[arg-type]


@asynccontextmanager
async def telling(interval: float = 0.001) -> AsyncIterator[Told]:
    told = Told(interval)
    told.reporter.start()
    try:
        async with asyncio.timeout(10):
            yield told
    finally:
        await told.reporter.stop()


async def test_only_differences_are_sent_and_what_is_gone_is_set_to_none() -> None:
    async with telling() as told:
        old = {"edgefn": {"state": "old", "gone": 1}, "functions": {}, "desired": {"version": 7}, "mine": 1}
        told.reporter.read(Twin(reported=old))
        await until(lambda: len(told.cloud.patches) == 1)
        told.state = "drained"
        await until(lambda: len(told.cloud.patches) == 2)
        first, second = told.cloud.patches
        assert (first["edgefn"]["gone"], first["desired"]) == (None, None)
        assert second == {"edgefn": {"state": "drained"}}


async def test_nothing_is_sent_before_it_is_known_what_the_hub_has() -> None:
    async with telling() as told:
        told.reporter.decided(Verdict(1))
        for _ in range(50):
            await asyncio.sleep(0)
        assert told.cloud.attempts == 0
        told.reporter.read(Twin())
        await until(lambda: told.cloud.whole.get("desired") == {"version": 1, "status": "applied"})


async def test_a_report_that_was_lost_is_sent_again() -> None:
    async with telling() as told:
        told.cloud.failures = 3
        told.reporter.read(Twin())
        await until(lambda: told.cloud.whole.get("edgefn", {}).get("state") == "running")
        assert told.cloud.attempts == 4


async def test_many_changes_within_the_interval_are_one_report() -> None:
    async with telling(interval=60) as told:
        told.reporter.read(Twin())
        await until(lambda: len(told.cloud.patches) == 1)
        for number in range(100):
            told.reporter.decided(Verdict(number))
            await asyncio.sleep(0)
        assert told.cloud.attempts == 1


async def test_while_the_hub_is_away_nothing_is_sent() -> None:
    async with telling() as told:
        told.reporter.read(Twin())
        await until(lambda: len(told.cloud.patches) == 1)
        told.reporter.on_state(HubState.OFFLINE)
        told.state = "drained"
        told.reporter.decided(Verdict(1))
        for _ in range(50):
            await asyncio.sleep(0)
        assert told.cloud.attempts == 1
