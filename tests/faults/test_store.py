"""Faults 19 and 27: the outbox is at its bounds, the disk is full, the file held or damaged, and the clock jumps."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.faults.box import MODULE, WORK, Box, box, extensions
from tests.faults.disks import checkpoint, damage, held, small_disk

WORKING = {"functions/work.py": WORK}

POLICIES = """
    import azure.functions as func
    import edgefn
    app = edgefn.FunctionApp()

    @app.route("post/{n}", auth_level=func.AuthLevel.ANONYMOUS)
    @app.edge_hub_output("oldest", "oldest", when_full="drop_oldest")
    @app.edge_hub_output("newest", "newest", when_full="drop_newest")
    @app.edge_hub_output("letter", "letter", when_full="dead_letter")
    async def post(req, oldest: func.Out[dict], newest: func.Out[dict], letter: func.Out[dict]) -> str:
        for each in (oldest, newest, letter):
            each.set({"n": int(req.route_params["n"])})
        return "kept"
"""


def test_fault_19_an_outbox_at_its_bound_does_as_each_output_says(tmp_path: Path) -> None:
    options = extensions(spool={"outbox": {"maxMessages": 30}})
    with box(tmp_path, {"functions/post.py": POLICIES, **options}) as there:
        there.hub.kill()
        for n in range(15):
            assert there.host.get(f"/api/post/{n}") == (200, "kept")
        lost = {
            name: there.host.metric("edgefn_spool_lost_total", output=name) for name in ("oldest", "newest", "letter")
        }
        assert lost == {"oldest": 5, "newest": 5, "letter": 5}
        assert there.host.metric("edgefn_spool_lost_total", output="letter", cause="dead_letter") == 5
        assert there.host.stored("outbox") == 30
        assert there.host.ready()[0] == 200
        there.hub.start()
        there.until(lambda: there.count == 30)
        arrived: dict[str, list[int]] = {}
        for output, body in there.hub.sql("SELECT output, body FROM upstream ORDER BY number"):
            arrived.setdefault(output, []).append(json.loads(body)["n"])
        first, last = list(range(10)), list(range(5, 15))
        assert arrived == {"oldest": last, "newest": first, "letter": first}
        assert len(there.host.dead_letters()) == 5


def test_fault_19_an_outbox_that_blocks_stops_the_intake(tmp_path: Path) -> None:
    bounds = {"outbox": {"maxMessages": 40, "whenFull": "block"}, "inbox": {"maxMessages": 60}}
    options = extensions(spool=bounds, edgeHub={"ackTimeout": 300})
    with box(tmp_path, {**WORKING, **options}) as there:
        there.hub.control.fault("lose-pubacks", module=MODULE)
        there.give(500)
        there.until(lambda: there.host.stored("outbox") == 40 and there.host.stored("inbox") == 60)
        assert there.host.metric("edgefn_spool_lost_total") == 0
        before = there.waiting
        assert before >= 500 - 40 - 60 - 1
        assert there.host.ready()[0] == 200
        there.hub.control.clear()
        there.hub.control.fault("kill-connections")
        seen = there.wait_for_all()
        assert seen.holds, seen


def refuses(there: Box, within: float = 20.0) -> str:
    """Returns when the host says that it can not store; the reason."""
    there.until(lambda: there.host.ready()[0] == 503, within=within)
    told = there.host.ready()[1]
    assert told["status"] == "spool unusable"
    assert there.host.metric("edgefn_spool_usable") == 0
    return str(told["reason"])


def heals(there: Box) -> None:
    """Returns when all is as before, and nothing is left over in the spool."""
    seen = there.wait_for_all()
    assert seen.holds, seen
    there.until(lambda: there.host.ready()[0] == 200)
    assert there.host.metric("edgefn_spool_usable") == 1
    there.until(lambda: there.host.stored("inbox") == there.host.stored("outbox") == 0)
    there.until(lambda: there.host.metric("edgefn_spool_messages") == 0)


def test_fault_19_a_disk_that_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32) as disk, box(tmp_path, started=False) as there:
        there.host.state = disk.folder / "state"
        there.host.start()
        there.give(50)
        there.wait_for_all()
        there.hub.control.fault("lose-pubacks", module=MODULE)
        with disk.full():
            there.give(300, filler="x" * 10_000)
            assert "make room on that disk" in refuses(there)
            assert there.waiting > 0
            there.hub.control.clear()
        heals(there)


def test_fault_19_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 32) as disk, box(tmp_path, started=False) as there:
        there.host.state = disk.folder / "state"
        there.host.start()
        there.host.stop()
        disk.read_only(yes=True)
        there.host.start()
        there.give(50)
        assert "make the folder writable for this user, or name another one" in refuses(there)
        assert there.waiting == 50
        disk.read_only(yes=False)
        heals(there)


def test_fault_19_a_file_that_another_process_holds(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        there.until(lambda: there.host.is_online)
        there.hub.control.fault("lose-pubacks", module=MODULE)
        there.give(50)
        there.until(lambda: there.host.stored("outbox") == 50)
        with held(there.host.state / "spool.db"):
            there.hub.control.clear()
            there.hub.control.fault("kill-connections")
            there.until(lambda: there.tally().lost == [])  # what has arrived can not be removed
            there.give(50)
            assert "another process holds the file; end it" in refuses(there)
            assert there.waiting == 50
        heals(there)


@pytest.mark.parametrize(("first", "count"), [(0, 4096), (40_960, 8192)], ids=["head", "middle"])
def test_fault_19_a_file_that_is_damaged_at_the_start(tmp_path: Path, first: int, count: int) -> None:
    with box(tmp_path) as there:
        there.until(lambda: there.host.is_online)
        there.hub.control.fault("lose-pubacks", module=MODULE)
        there.give(200, filler="x" * 1000)
        there.until(lambda: there.host.stored("outbox") == 200)
        there.host.kill()
        checkpoint(there.host.state / "spool.db")
        damage(there.host.state / "spool.db", first, count)
        there.hub.control.clear()
        there.host.start()
        there.host.wait_for("was damaged: it is kept as spool.damaged-")
        assert list(there.host.state.glob("spool.damaged-*.db"))
        there.give(50)
        there.until(lambda: max(there.tally().lost, default=0) < 200 and there.host.stored("outbox") == 0)
        seen = there.tally()
        assert seen.strangers == seen.inversions == 0
        assert seen.lost or first
        assert there.host.ready()[0] == 200


def test_fault_19_a_file_that_is_damaged_while_it_is_used(tmp_path: Path) -> None:
    with box(tmp_path) as there:
        there.give(100)
        there.wait_for_all()
        file = there.host.state / "spool.db"
        there.until(lambda: there.host.stored("inbox") == there.host.stored("outbox") == 0)
        checkpoint(file)
        damage(file, 0, 16_384)
        there.give(100)
        there.host.wait_for("was damaged")
        heals(there)
        assert list(there.host.state.glob("spool.damaged-*.db"))
        assert there.host.runs


# --- the clock -------------------------------------------------------------------------------------------------------

LASTING = """
    import azure.functions as func
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    async def work(m: dict):
        return m

    @app.route("post/{n}", auth_level=func.AuthLevel.ANONYMOUS)
    @app.edge_hub_output("long", "long", ttl=600)
    @app.edge_hub_output("short", "short", ttl=1)
    async def post(req: func.HttpRequest, long: func.Out[dict], short: func.Out[dict]) -> str:
        for each in (long, short):
            each.set({"n": int(req.route_params["n"])})
        return "kept"
"""


class MachineClock:
    """The clock of all processes that are started from now on; it may be set, and goes on from there."""

    def __init__(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
        if not libraries:
            absent("Debian's package faketime is not installed")
        self._file = file
        self.set(0)
        monkeypatch.setenv("LD_PRELOAD", str(libraries[0]))
        monkeypatch.setenv("FAKETIME_TIMESTAMP_FILE", str(file))
        monkeypatch.setenv("FAKETIME_CACHE_DURATION", "1")  # looks each second
        monkeypatch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")

    def set(self, ahead: int) -> None:
        """So many seconds ahead of the real time."""
        self._file.write_text(f"{ahead:+d}\n")


@pytest.mark.long
@pytest.mark.parametrize("hours", [1, -1])
def test_fault_27_a_clock_that_jumps_by_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Messages wait for the hub meanwhile, and the host starts anew; then it jumps back while both are connected."""
    clock = MachineClock(tmp_path / "clock", monkeypatch)
    options = extensions(edgeHub={"keepAlive": 3})
    with box(tmp_path, {"functions/lasting.py": LASTING, **options}) as there:
        there.give(10)
        there.wait_for_all()
        there.hub.kill()
        for n in range(20):
            assert there.host.get(f"/api/post/{n}") == (200, "kept")
        clock.set(3600 * hours)
        jumped = time.monotonic()
        there.until(lambda: time.monotonic() > jumped + 2.5)  # the short ones are worth nothing now, and no others
        there.host.restart()
        there.hub.start()
        query = "SELECT body FROM upstream WHERE output = 'long' ORDER BY number"
        there.until(lambda: [json.loads(body)["n"] for (body,) in there.hub.sql(query)] == list(range(20)))
        there.until(lambda: there.host.metric("edgefn_spool_lost_total", output="short", cause="expired") == 20)
        assert there.host.metric("edgefn_spool_lost_total") == 20
        connections = there.host.connections
        clock.set(0)
        if hours < 0:  # its token is past its end for the hub
            there.until(lambda: there.host.connections > connections)
        there.give(10)
        there.until(lambda: there.count == 40)
        assert there.host.is_online
        assert there.hub.sql("SELECT count(*) FROM upstream WHERE output = 'short'") == [(0,)]
