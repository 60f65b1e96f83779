"""What the host costs: invocations a second of functions that do nothing, through the whole spine.

    python benchmarks/dispatch.py [--rounds 5] [--invocations 20000]

Each figure is ``emit`` to outcome, one after the other, with both log lines of an invocation written (to the null
device) and all metrics counted. The bare peers run in the same process, interleaved with the host: a bare coroutine
awaited, and a bare function in Python's own ThreadPoolExecutor by ``loop.run_in_executor``. Medians over the rounds;
``cpu_us`` is the processor time of an invocation, all threads together. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from edgefn.contracts import Emit, Event
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.logs import logging_to

MODULE = """
import asyncio
import logging
import edgefn
from edgefn.contracts import Feed
from edgefn.function import Options

app = edgefn.FunctionApp()

class Listener:
    feed = Feed.ENDLESS
    async def listen(self, emit):
        await asyncio.Event().wait()
    def status(self):
        return {}

class Kind:
    type, options, level = "handTrigger", Options, logging.INFO
    def check(self, binding): ...
    def convert(self, binding): return None
    def listener(self, binding): return Listener()
    async def close(self): ...

@edgefn.hookimpl
def edgefn_triggers(services):
    return [Kind()]

@app.generic_trigger(arg_name="event", type="handTrigger")
async def no_op_async(event): ...

@app.generic_trigger(arg_name="event", type="handTrigger")
def no_op_sync(event): ...
"""


@contextlib.asynccontextmanager
async def emits(folder: Path) -> AsyncIterator[dict[str, Emit]]:
    """The ``emit`` of each function of a running host."""
    (folder / "functions").mkdir()
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "functions" / "bench.py").write_text(MODULE)
    host = Host(load_app(folder, environment={}))
    await host.start()
    yield {r.function.name: r.invoker.emit for r in host.running if r.invoker is not None}
    await host.stop()


async def timed(call: Callable[[], Awaitable[object]], count: int) -> tuple[float, float]:
    """Calls a second, and processor time of one in microseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        await call()
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e6


async def measure(rounds: int, count: int) -> dict[str, dict[str, float]]:
    async def bare() -> None: ...

    def bare_sync() -> None: ...

    loop = asyncio.get_running_loop()
    seen: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with emits(Path(folder)) as emit:
            event = Event(1, "a benchmark")
            cases: dict[str, tuple[Callable[[], Awaitable[object]], int]] = {
                "bare_coroutine": (bare, count),
                "host_async": (lambda: emit["no_op_async"](event), count),
                "bare_executor": (lambda: loop.run_in_executor(None, bare_sync), count // 4),
                "host_sync": (lambda: emit["no_op_sync"](event), count // 4),
            }
            for _ in range(rounds):
                for name, (call, times) in cases.items():
                    seen.setdefault(name, []).append(await timed(call, times))
    return {
        name: {
            "per_second": round(statistics.median(rate for rate, _ in figures)),
            "us": round(1e6 / statistics.median(rate for rate, _ in figures), 2),
            "cpu_us": round(statistics.median(cpu for _, cpu in figures), 2),
        }
        for name, figures in seen.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--invocations", type=int, default=20_000)
    asked = parser.parse_args()
    with Path(os.devnull).open("w") as nowhere, logging_to(nowhere):
        figures = asyncio.run(measure(asked.rounds, asked.invocations))
    for name, row in figures.items():
        print(f"{name:16} {row['per_second']:>10,.0f}/s   {row['us']:8.2f} us   {row['cpu_us']:8.2f} us of processor")
    ratio = figures["host_async"]["per_second"] / figures["bare_coroutine"]["per_second"]
    threads = figures["host_sync"]["per_second"] / figures["bare_executor"]["per_second"]
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps({**figures, "async_to_bare_coroutine": round(ratio, 4), "sync_to_executor": round(threads, 3)}))


if __name__ == "__main__":
    main()
