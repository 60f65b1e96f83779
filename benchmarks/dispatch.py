"""What the host costs: invocations a second of functions that do nothing, through the whole spine.

    python benchmarks/dispatch.py [--rounds 25] [--invocations 4000] [--processor 0]

Each figure is ``emit`` to outcome, one after the other. The host makes an id for each invocation, writes both log lines
of it (to the null device) and counts all metrics; ``_silent`` is the same with these lines switched off, as a trigger
with many events has them. ``out`` sets one text, which is encoded as for edgeHub and dropped; ``http`` makes a request
of its parts, and a response. The functions of ``async`` are coroutines, all others run in a thread.

The bare peers run in the same process, interleaved with the host: a bare coroutine awaited, and a bare function in
Python's own ThreadPoolExecutor by ``loop.run_in_executor``. Microsoft's library, where it is installed (see
tests/conformance/microsoft.py), runs the same functions in a process of its own, interleaved too, while the host is
idle: its ``invocation_request`` from a ready request to the response, with its one log line written as ours are, in
``_silent`` without. It makes no id and counts nothing, and its messages are plain objects, which cost less than those
of its wire.

Medians over many short rounds; ``cpu_us`` is the processor time of an invocation, all threads together. Hand-overs
between threads vary by a factor where other processes work: ``--processor`` keeps everything on one, and is needed
then. A ratio above 1 means that the host is ahead. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import product
from pathlib import Path

import azure.functions as func
from microsoft_runtime import HEADERS, INSTALL, REQUEST, Peer, peer

from edgefn.contracts import Emit, Event
from edgefn.host import Host
from edgefn.loader import load_app
from edgefn.logs import logging_to
from edgefn.web.http import HttpListener

MODULE = """
import asyncio
import logging
import azure.functions as func
import edgefn
from edgefn.bindings.edge_hub import body_of
from edgefn.contracts import Feed
from edgefn.function import Options

app = edgefn.FunctionApp(func.AuthLevel.ANONYMOUS)

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

class Output:
    def encode(self, value): return body_of(value)
    async def send(self, encoded, event): ...
    def status(self): return {}
    async def close(self): ...

class OutputKind:
    type, options = "hand", Options
    def check(self, binding): ...
    async def open(self, binding): return Output()
    async def close(self): ...

@edgefn.hookimpl
def edgefn_triggers(services):
    return [Kind()]

@edgefn.hookimpl
def edgefn_outputs(services):
    return [OutputKind()]

@app.generic_trigger(arg_name="event", type="handTrigger")
async def no_op_async(event): ...

@app.generic_trigger(arg_name="event", type="handTrigger")
def no_op_sync(event): ...

@app.generic_trigger(arg_name="event", type="handTrigger")
@app.generic_output_binding(arg_name="out", type="hand")
def out_sync(event, out: func.Out[str]): out.set('{"n": 1}')

@app.route("answer", methods=["GET"])
def http_sync(req: func.HttpRequest) -> func.HttpResponse: return func.HttpResponse("ok")
"""
SILENT = "_silent"
KINDS = {"async": "no_op_async", "sync": "no_op_sync", "out": "out_sync", "http": "http_sync"}
"""What is measured on both sides -> the function that it takes."""

Call = Callable[[], Awaitable[object]]


@contextlib.asynccontextmanager
async def calls(folder: Path) -> AsyncIterator[dict[str, Call]]:
    """One invocation of each function of a running host."""
    (folder / "functions").mkdir()
    (folder / "host.json").write_text('{"version": "2.0"}')
    (folder / "functions" / "bench.py").write_text(MODULE)
    host = Host(load_app(folder, environment={}))
    await host.start()
    assert [running.function.errors for running in host.running] == [[]] * len(KINDS)
    await asyncio.sleep(0)  # the listeners begin
    found: dict[str, Call] = {}
    for running in host.running:
        if isinstance(running.listener, HttpListener):
            found[running.function.name] = requests(running.listener)
        elif running.invoker is not None:
            found[running.function.name] = events(running.invoker.emit)
    yield found
    await host.stop()


def events(emit: Emit) -> Call:
    event = Event("1", "a benchmark")
    return lambda: emit(event)


def requests(listener: HttpListener) -> Call:
    async def make() -> func.HttpRequest:
        return func.HttpRequest(
            method=REQUEST["method"], url=REQUEST["url"], headers=HEADERS, params=REQUEST["query"], body=b""
        )

    return lambda: listener.answer(make)


async def timed(call: Call, count: int) -> tuple[float, float]:
    """Calls a second, and processor time of one in microseconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        await call()
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e6


async def measure(rounds: int, count: int, microsoft: Peer | None) -> dict[str, dict[str, float]]:
    async def bare() -> None: ...

    def bare_sync() -> None: ...

    loop = asyncio.get_running_loop()
    lines = logging.getLogger("Function")
    seen: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        async with calls(Path(folder)) as host:
            for _ in range(rounds):
                seen["bare_coroutine"].append(await timed(bare, count))
                seen["bare_executor"].append(await timed(lambda: loop.run_in_executor(None, bare_sync), count // 4))
                for (kind, function), suffix in product(KINDS.items(), ("", SILENT)):
                    times = count if kind == "async" else count // 4
                    lines.setLevel(logging.WARNING if suffix else logging.NOTSET)
                    seen[f"host_{kind}{suffix}"].append(await timed(host[function], times))
                    if microsoft is not None:
                        figures = microsoft.measured(function, times, lines=not suffix)
                        seen[f"microsoft_{kind}{suffix}"].append(figures)
    return {
        name: {
            "per_second": round(statistics.median(rate for rate, _ in figures)),
            "us": round(1e6 / statistics.median(rate for rate, _ in figures), 2),
            "cpu_us": round(statistics.median(cpu for _, cpu in figures), 2),
        }
        for name, figures in seen.items()
    }


def ratios(figures: dict[str, dict[str, float]]) -> dict[str, float]:
    """How far the host is ahead of each peer, by invocations a second."""

    def ahead(ours: str, theirs: str) -> float:
        return round(figures[ours]["per_second"] / figures[theirs]["per_second"], 4)

    found = {
        "async_to_bare_coroutine": ahead("host_async", "bare_coroutine"),
        "sync_to_executor": ahead("host_sync", "bare_executor"),
    }
    for name in figures:
        if name.startswith("host_") and (theirs := name.replace("host", "microsoft")) in figures:
            kind, _, suffix = name.removeprefix("host_").partition("_")
            found["_".join(filter(None, [kind, "to_microsoft", suffix]))] = ahead(name, theirs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--invocations", type=int, default=4_000)
    parser.add_argument("--processor", type=int, help="the number of the one to run on")
    asked = parser.parse_args()
    if asked.processor is not None:
        os.sched_setaffinity(0, {asked.processor})
    with peer() as microsoft:
        with Path(os.devnull).open("w") as nowhere, logging_to(nowhere):
            figures = asyncio.run(measure(asked.rounds, asked.invocations, microsoft))
        version = microsoft and microsoft.version
    for name, row in figures.items():
        print(f"{name:22} {row['per_second']:>10,.0f}/s   {row['us']:8.2f} us   {row['cpu_us']:8.2f} us of processor")
    found = ratios(figures)
    for name, ratio in found.items():
        print(f"{name:32} {ratio:8.3f}")
    print(f"Microsoft's runtime {version}" if version else INSTALL, file=sys.stderr)
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps({**figures, **found}))


if __name__ == "__main__":
    main()
