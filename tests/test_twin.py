"""Which versions of the desired properties are taken: the twin after each connection, patches in their order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from edgefn.contracts import HubState, Twin
from edgefn.desired import merged
from edgefn.errors import ConnectionLost, SettingError
from edgefn.pacing import BackOff
from edgefn.twin import TwinReader, Verdict
from tests.steered import until

ONLINE, OFFLINE = HubState.ONLINE, HubState.OFFLINE


class Cloud:
    """A hub with a twin, which may be slow to answer, or fail to."""

    def __init__(self) -> None:
        self.desired: dict[str, Any] = {"$version": 1, "n": 1}
        self.reads = 0
        self.failures = 0
        self.open = asyncio.Event()
        self.open.set()

    async def twin(self) -> Twin:
        self.reads += 1
        answer = Twin(dict(self.desired))
        await self.open.wait()
        if self.failures:
            self.failures -= 1
            raise ConnectionLost("the answer was lost")
        return answer

    def change(self, **patch: Any) -> dict[str, Any]:
        """Changes the twin; the patch as a hub delivers it."""
        version = self.desired["$version"] + 1
        self.desired = {**merged(self.desired, patch), "$version": version}
        return {**patch, "$version": version}


class Host:
    """What is done with the desired properties; ``n`` of 13 is refused."""

    def __init__(self) -> None:
        self.cloud = Cloud()
        self.taken: list[tuple[int, dict[str, Any]]] = []
        self.verdicts: list[Verdict] = []
        self.reported: list[Twin] = []
        self.reader = TwinReader(
            self.cloud,  # type: ignore[arg-type]
            self._accept,
            self.reported.append,
            self.verdicts.append,
            back_off=lambda: BackOff(0.001, 0.001),
        )

    async def _accept(self, document: Mapping[str, Any], version: int) -> Verdict:
        self.taken.append((version, dict(document)))
        if document.get("n") == 13:
            raise SettingError("n: 13 brings bad luck; 12 would be right")
        if document.get("n") == 14:
            raise LookupError("nobody foresaw this")
        return Verdict(version)

    async def hears(self, *what: HubState | dict[str, Any]) -> None:
        """Lets the hub tell something, and waits until it is worked off."""
        for each in what:
            if isinstance(each, HubState):
                self.reader.on_state(each)
            else:
                self.reader.on_desired(each)
        await self.reader.settled()


@asynccontextmanager
async def following(known: dict[str, Any] | None = None, version: int = 0) -> AsyncIterator[Host]:
    host = Host()
    host.reader.start(known, version)
    try:
        async with asyncio.timeout(10):
            yield host
    finally:
        await host.reader.stop()


async def test_the_whole_twin_is_taken_after_a_connection_and_patches_follow() -> None:
    async with following() as host:
        await host.hears(ONLINE)
        await host.hears(host.cloud.change(m=1), host.cloud.change(n=None))
        assert host.taken == [(1, {"n": 1}), (2, {"n": 1, "m": 1}), (3, {"m": 1})]
        assert [verdict.version for verdict in host.verdicts] == [1, 2, 3]
        assert host.cloud.reads == 1


async def test_nothing_is_taken_before_the_hub_is_there() -> None:
    async with following() as host:
        await host.hears(host.cloud.change(m=1))
        assert (host.taken, host.cloud.reads) == ([], 0)
        await host.hears(ONLINE)
        assert host.taken == [(2, {"n": 1, "m": 1})]


async def test_each_version_is_looked_at_once() -> None:
    async with following() as host:
        patch = host.cloud.change(m=1)
        await host.hears(ONLINE)
        await host.hears(patch, patch)
        await host.hears(OFFLINE, ONLINE)
        await host.hears({"n": 0, "$version": 1})
        assert host.taken == [(2, {"n": 1, "m": 1})]


async def test_what_was_in_force_before_the_start_is_not_taken_again() -> None:
    async with following({"n": 1}, 1) as host:
        await host.hears(ONLINE)
        assert host.taken == []
        assert len(host.reported) == 1


async def test_patches_out_of_order_are_put_in_order() -> None:
    async with following() as host:
        await host.hears(ONLINE)
        second, third = host.cloud.change(a=1), host.cloud.change(a=2)
        host.reader.on_desired(third)
        await host.hears(second)
        assert [version for version, _ in host.taken] == [1, 2, 3]


async def test_a_gap_reads_the_whole_twin() -> None:
    async with following() as host:
        await host.hears(ONLINE)
        host.cloud.change(lost=1)
        await host.hears(host.cloud.change(m=1))
        assert host.taken[1:] == [(3, {"n": 1, "lost": 1, "m": 1})]
        assert host.cloud.reads == 2


async def test_changes_while_the_hub_was_away_are_in_the_twin() -> None:
    async with following() as host:
        await host.hears(ONLINE)
        await host.hears(OFFLINE)
        host.cloud.change(a=1)
        host.cloud.change(b=1)
        await host.hears(ONLINE)
        assert host.taken[1:] == [(3, {"n": 1, "a": 1, "b": 1})]


async def test_a_twin_that_was_made_anew_counts_from_one_again() -> None:
    async with following({"n": 7}, 40) as host:
        await host.hears(ONLINE)
        await host.hears(host.cloud.change(n=2))
        assert host.taken == [(1, {"n": 1}), (2, {"n": 2})]


async def test_a_patch_that_comes_while_the_twin_is_read_is_not_lost() -> None:
    async with following() as host:
        host.cloud.open.clear()
        host.reader.on_state(ONLINE)
        await until(lambda: host.cloud.reads == 1)
        host.reader.on_desired(host.cloud.change(m=1))
        host.cloud.open.set()
        await host.reader.settled()
        assert host.taken == [(1, {"n": 1}), (2, {"n": 1, "m": 1})]


async def test_a_lost_answer_is_asked_for_again() -> None:
    async with following() as host:
        host.cloud.failures = 3
        await host.hears(ONLINE)
        assert (host.cloud.reads, host.taken) == (4, [(1, {"n": 1})])


async def test_a_patch_without_a_version_reads_the_twin() -> None:
    async with following() as host:
        await host.hears(ONLINE)
        host.cloud.change(m=1)
        await host.hears({"m": 1})
        assert host.taken[1:] == [(2, {"n": 1, "m": 1})]


async def test_refused_properties_stay_refused_until_they_change(caplog: pytest.LogCaptureFixture) -> None:
    async with following() as host:
        await host.hears(ONLINE)
        await host.hears(host.cloud.change(n=13))
        await host.hears(host.cloud.change(other=1))
        await host.hears(host.cloud.change(n=12))
        assert [bool(verdict.fault) for verdict in host.verdicts] == [False, True, True, False]
        assert host.verdicts[1] == Verdict(2, "n: 13 brings bad luck; 12 would be right")
        assert host.taken[-1] == (4, {"n": 12, "other": 1})
        assert "Desired properties, version 2, are refused: n: 13 brings bad luck" in caplog.text


async def test_properties_on_which_the_host_fails_are_answered_and_the_next_ones_are_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with following() as host:
        await host.hears(ONLINE)
        await host.hears(host.cloud.change(n=14))
        await host.hears(host.cloud.change(n=2))
        assert [(verdict.version, verdict.fault) for verdict in host.verdicts[-2:]] == [
            (2, "the host failed on it: LookupError: nobody foresaw this"),
            (3, ""),
        ]
    assert "please report it" in caplog.text


async def test_far_more_patches_than_anybody_sends_read_the_twin() -> None:
    async with following() as host:
        patches = [host.cloud.change(n=number) for number in range(1000)]
        host.cloud.change(n=0)
        host.cloud.desired["$version"] = 1001
        host.reader.on_state(ONLINE)
        await host.hears(*patches)
        assert host.taken[-1][0] == 1001
        assert host.cloud.reads >= 1
