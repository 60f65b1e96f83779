"""Faults 23 to 25: desired properties that come late, in disorder or wrong; lost answers; methods under stress."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgefn.contracts import HubState
from edgefn.twin import TwinReader, Verdict
from tests.faults.box import MODULE, WORK, Box, box, extensions, size
from tests.hubs.edges import edge_on
from tests.hubs.sinks import until
from tests.standin.hubs import running_hub

TOLD = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.twin_trigger("changed")
    @app.edge_hub_output("$return", "changed")
    async def told(changed: dict):
        return changed
"""
"""An output for each change of the desired properties."""
FILES = {
    "functions/work.py": WORK,
    "functions/told.py": TOLD,
    **extensions(twin={"reportInterval": 0.2}, edgeHub={"twinTimeout": size(10, 1)}),
}


def wait_until_decided(there: Box, status: str) -> Mapping[str, Any]:
    """Returns when the host has reported what became of the newest version; the desired part of what it reports."""

    def reported() -> Mapping[str, Any] | None:
        twin = there.hub.control.twin(MODULE)
        found: Mapping[str, Any] = twin["reported"].get("desired", {})
        return found if found.get("version") == twin["desired"]["$version"] else None

    found = there.until(reported, within=size(120, 30))  # four answers may be waited for in vain
    assert found["status"] == status, found
    return dict(found)


def told(there: Box) -> list[dict[str, Any]]:
    rows = there.hub.sql("SELECT body FROM upstream WHERE output = 'changed' ORDER BY number")
    return [json.loads(body) for (body,) in rows]


def test_fault_23_desired_properties_that_change_while_host_or_hub_is_away(tmp_path: Path) -> None:
    with box(tmp_path, FILES) as there:
        set_twin = there.hub.control.set_twin
        set_twin(MODULE, {"n": 1})
        wait_until_decided(there, "applied")

        there.hub.control.fault("refuse-connect", code=3)
        there.hub.control.fault("kill-connections")
        there.until(lambda: not there.host.is_online)
        for n in (2, 3, 4):
            set_twin(MODULE, {"n": n})
        there.hub.control.clear()
        wait_until_decided(there, "applied")

        set_twin(MODULE, {"n": 5, "functions": {"work": {"inputNam": "other"}}})
        refused = wait_until_decided(there, "refused")
        assert "inputNam" in refused["reason"]
        there.give(10)  # what was in force last is, still
        there.until(lambda: len(there.hub.sql("SELECT 1 FROM upstream WHERE output = 'out'")) == 10)

        there.host.kill()
        set_twin(MODULE, {"n": 6, "functions": None})
        there.host.start()
        wait_until_decided(there, "applied")
        there.hub.restart()
        there.until(lambda: there.host.connections == 2)
        set_twin(MODULE, {"n": 7})
        wait_until_decided(there, "applied")

        there.until(lambda: told(there)[-1].get("n") == 7)
        assert [change["n"] for change in told(there) if "n" in change] == [
            1,
            4,
            4,
            6,
            7,
        ]  # the second 4: a new process
        said = Counter(line.partition("version ")[2] for line in there.host.log.splitlines() if "are in force" in line)
        assert set(said.values()) == {1}


async def test_fault_23_patches_that_come_in_disorder_or_not_at_all(tmp_path: Path) -> None:
    dice, versions = random.Random(23), size(2000, 200)
    with running_hub(tmp_path) as hub:
        async with edge_on(hub) as edge:
            applied: dict[int, Mapping[str, Any]] = {}
            late: list[Mapping[str, Any]] = []

            async def accept(document: Mapping[str, Any], version: int) -> Verdict:
                assert version not in applied
                applied[version] = document
                return Verdict(version)

            reader = TwinReader(edge.hub, accept, read=lambda twin: None, decided=lambda verdict: None)

            async def on_desired(patch: Mapping[str, Any]) -> None:
                late.append(patch)
                if len(late) > 5 or patch.get("last"):
                    dice.shuffle(late)
                    lost = 0 if patch.get("last") else 1
                    while len(late) > lost:
                        reader.on_desired(late.pop())
                    late.clear()

            edge.sink.change = on_desired
            reader.start(None, 0)
            reader.on_state(HubState.ONLINE)
            for n in range(versions):
                await edge.set_twin({"n": n, f"p{n % 7}": n, "last": n == versions - 1})
            await until(lambda: bool(applied) and list(applied.values())[-1].get("last"))
            await reader.stop()
            twin = await edge.hub.twin()
            assert applied[twin.version] == {name: twin.desired[name] for name in twin.desired if name != "$version"}
            assert list(applied) == sorted(applied)


def test_fault_24_answers_of_the_twin_that_are_lost(tmp_path: Path) -> None:
    with box(tmp_path, FILES, started=False) as there:
        there.hub.control.set_twin(MODULE, {"n": 1})
        there.hub.control.fault("lose-twin-answers", count=size(4, 1), module=MODULE)
        there.host.start()
        there.give(50)
        there.until(lambda: len(there.hub.sql("SELECT 1 FROM upstream WHERE output = 'out'")) == 50)  # nothing waits
        there.host.wait_for("the twin can not be read")
        wait_until_decided(there, "applied")
        there.hub.control.fault("lose-twin-answers", count=size(4, 1), module=MODULE)
        there.hub.control.set_twin(MODULE, {"n": 2})
        there.host.wait_for("the reported properties can not be written")
        wait_until_decided(there, "applied")
        there.until(lambda: there.is_over("lose-twin-answers"), within=size(120, 30))  # what is reported is sent again
        assert there.host.connections == 1


CALLED = """
    import asyncio
    import edgefn
    app = edgefn.FunctionApp()

    @app.direct_method_trigger("payload", "slow")
    @app.edge_hub_output("ran", "ran")
    async def slow(payload: dict, ran: edgefn.Out[dict]):
        await asyncio.sleep(payload["seconds"])
        ran.set({"n": payload["n"]})
        return {"n": payload["n"]}
"""


def _at_least(count: int, rows: list[Any]) -> list[Any]:
    return rows if len(rows) >= count else []


def test_fault_25_methods_that_are_called_while_busy_twice_or_for_too_long(tmp_path: Path) -> None:
    with (
        box(tmp_path, {"functions/work.py": WORK, "functions/called.py": CALLED}) as there,
        ThreadPoolExecutor() as pool,
    ):

        def call(n: int, seconds: float, patience: float) -> Any:
            payload = {"n": n, "seconds": seconds}
            return there.hub.control.invoke(MODULE, "slow", payload, response_timeout=patience)

        there.until(lambda: there.host.is_online)
        there.hub.control.fault("double-methods", module=MODULE)
        busy = [pool.submit(call, n, 3.0, 30.0) for n in range(5)]
        impatient = pool.submit(call, 5, 3.0, 0.5)
        there.give(size(5000, 200))
        assert impatient.result().status == 504
        outputs = "SELECT 1 FROM upstream WHERE output = 'out'"
        there.until(lambda: len(there.hub.sql(outputs)) > there.given // 10)
        assert not busy[0].done()  # inputs go on while methods run
        assert [(call.result().status, call.result().payload) for call in busy] == [(200, {"n": n}) for n in range(5)]
        quick = call(6, 0.0, 30.0)
        assert (quick.status, quick.payload) == (200, {"n": 6})
        there.until(lambda: len(there.hub.sql(outputs)) == there.given, within=60)
        ran = there.until(lambda: _at_least(7, there.hub.sql("SELECT body FROM upstream WHERE output = 'ran'")))
        assert sorted(json.loads(body)["n"] for (body,) in ran) == list(range(7))  # each once
