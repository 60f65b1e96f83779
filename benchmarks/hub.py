"""Messages to the hub through spool and adapter, beside Microsoft's SDK alone; and input -> function -> output.

    python benchmarks/hub.py [--rounds 5] [--messages 3000] [--inputs 3000]

A stand-in edgeHub (`edgefn hub start`) runs as a process of its own, with TLS, and stores each message before it
acknowledges it. Rounds alternate between both clients, each in this process with one event loop:

- ``edgefn``: the outbox stores a message (commit), the sender hands it to the adapter, the hub acknowledges;
- ``sdk``: ``IoTHubModuleClient.send_message_to_output`` and nothing else: a message is lost when the process ends.

``window`` messages are on their way at once. Latency is from the call to the acknowledgement, ``cpu_us`` the processor
time of a message in this process. For both the same
bodies and the same number of messages; the figures are medians over the rounds. ``chain`` is a whole host as a
process of its own: edgeHub's one unacknowledged input a module, inbox, an async function, outbox, upstream; its rate
from the first to the last message in the hub's database. Prints the load, and one JSON object last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "host"), str(ROOT)]

from edgefn.contracts import EdgeMessage, HubState, Outgoing  # noqa: E402
from edgefn.hubs.iot_edge.hub import IotEdgeHub  # noqa: E402
from edgefn.hubs.iot_edge.identity import find_identity  # noqa: E402
from edgefn.hubs.options import EdgeHubOptions  # noqa: E402
from edgefn.ids import new_id  # noqa: E402
from edgefn.metrics import Metrics  # noqa: E402
from edgefn.settings import Settings  # noqa: E402
from edgefn.spool import Spool, SpoolOptions  # noqa: E402
from tests.faults.box import Box, HostProcess  # noqa: E402
from tests.hubs.sinks import RecordingSink  # noqa: E402
from tests.standin.hubs import HubProcess, running_hub  # noqa: E402

WINDOWS, SIZES = (1, 20), {"256B": 256, "10KB": 10_240}
CHAIN = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "in")
    @app.edge_hub_output("$return", "out")
    async def work(m: dict):
        return m
"""

Send = Callable[[bytes], Awaitable[None]]


class Acknowledged(IotEdgeHub):
    """The adapter, which tells when a message of an id is acknowledged."""

    waiting: dict[str, asyncio.Future[None]]

    def publish(self, message: EdgeMessage) -> Awaitable[None]:
        sent = asyncio.ensure_future(super().publish(message))
        sent.add_done_callback(lambda done: self._acknowledged(done, message.message_id))
        return sent

    def _acknowledged(self, done: asyncio.Future[None], message_id: str) -> None:
        if not done.cancelled() and done.exception() is None:
            self.waiting.pop(message_id).set_result(None)


async def timed(send: Send, body: bytes, window: int, messages: int) -> dict[str, float]:
    """Messages a second, latency and processor time of one, with so many on their way at once."""
    latencies: list[float] = []
    left = iter(range(messages))

    async def loop() -> None:
        for _ in left:
            began = time.perf_counter()
            await send(body)
            latencies.append(time.perf_counter() - began)

    began, used = time.perf_counter(), time.process_time()
    await asyncio.gather(*(loop() for _ in range(window)))
    took = time.perf_counter() - began
    latencies.sort()
    return {
        "per_s": messages / took,
        "p50_ms": latencies[len(latencies) // 2] * 1000,
        "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
        "cpu_us": (time.process_time() - used) / messages * 1e6,
    }


async def clients(hub: HubProcess, state: Path, rounds: int, messages: int) -> dict[str, Any]:
    """The figures of both clients, by size and window."""
    from azure.iot.device import Message
    from azure.iot.device.aio import IoTHubModuleClient

    identity = find_identity(Settings(hub.env("ours")))
    assert identity is not None
    ours = Acknowledged(identity, EdgeHubOptions(), Metrics())
    ours.waiting = {}
    spool = Spool(state, SpoolOptions(), ours, Metrics())
    await spool.open()
    await spool.begin([])
    sink = RecordingSink()
    await ours.start(sink)
    while ours.state is not HubState.ONLINE:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    os.environ.update(hub.env("bare"))
    bare = IoTHubModuleClient.create_from_edge_environment()
    await bare.connect()

    async def edgefn_sends(body: bytes) -> None:
        name = new_id()
        ours.waiting[name] = done = asyncio.get_running_loop().create_future()
        await spool.outbox.put([Outgoing(EdgeMessage(body, message_id=name, output_name="out"))])
        await done

    async def sdk_sends(body: bytes) -> None:
        message = Message(body, message_id=new_id(), content_type="application/json", content_encoding="utf-8")
        await bare.send_message_to_output(message, "out")

    ways: dict[str, Send] = {"edgefn": edgefn_sends, "sdk": sdk_sends}
    seen: dict[str, dict[str, list[dict[str, float]]]] = {}
    for number in range(rounds + 1):
        for size, length in SIZES.items():
            for window in WINDOWS:
                for way, send in ways.items():
                    count = messages if window > 1 else messages // 3
                    found = await timed(send, b'"' + b"x" * (length - 2) + b'"', window, count)
                    if number:  # the first round warms up
                        seen.setdefault(f"{size} window {window}", {}).setdefault(way, []).append(found)
    await spool.close()
    await ours.stop()
    await bare.shutdown()
    return {case: _medians(ways_of) for case, ways_of in seen.items()}


def _medians(ways: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        way: {name: round(statistics.median(found[name] for found in several), 2) for name in several[0]}
        for way, several in ways.items()
    }
    figures["ratio_to_sdk"] = round(figures["edgefn"]["per_s"] / figures["sdk"]["per_s"], 2)
    return figures


def chain(hub: HubProcess, folder: Path, inputs: int) -> dict[str, float]:
    """Messages a second through a host: input, inbox, function, outbox, upstream."""
    host = HostProcess(folder, hub, {"functions/work.py": CHAIN})
    try:
        host.start()
        there = Box(hub, host)
        hub.sql("SELECT 1")
        before = hub.sql("SELECT coalesce(max(number), 0) FROM upstream")[0][0]
        there.give(inputs)
        hub.control.wait_for_upstream(inputs, within=300, after=before)
        first, last = hub.sql("SELECT min(time), max(time) FROM upstream WHERE number > ?", before)[0]
    finally:
        host.close()
    return {"inputs": inputs, "per_s": round(inputs / (last - first), 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--inputs", type=int, default=3000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_hub(Path(folder), "--max-upstream", "4000000000") as hub:
        figures = asyncio.run(clients(hub, Path(folder) / "state", asked.rounds, asked.messages))
        for case, found in figures.items():
            print(case, json.dumps(found))
        through = chain(hub, Path(folder) / "app", asked.inputs)
    print("chain", json.dumps(through))
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    ratios = {case: found["ratio_to_sdk"] for case, found in figures.items()}
    print(json.dumps({"ratio_to_sdk": ratios, "chain_per_s": through["per_s"], "cases": figures}))


if __name__ == "__main__":
    main()
