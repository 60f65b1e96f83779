"""Microsoft's own runtime library as a peer: the same functions, called as its worker calls them.

Run in a process of its own, by a Python that has the library, so that neither side's logging or threads touch the
other's; ``Peer`` talks to it by lines, one measurement at a time. A measured call is ``invocation_request`` of the
library with a request that was made beforehand: it reads the inputs, makes the context, calls, and makes the response.
The messages of the protocol are plain Python objects; nothing is read from or written to a wire.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests" / "conformance"))

from microsoft import INSTALL, NAMED, RUNTIMES, Runtime, interpreter, invocation_of, refusal

__all__ = ["INSTALL", "NAMED", "Peer", "peer"]

MODULE = """
import azure.functions as func

app = func.FunctionApp(func.AuthLevel.ANONYMOUS)

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
HEADERS = {"host": "localhost:7071", "user-agent": "benchmark", "accept": "*/*"}
REQUEST = {
    "method": "GET",
    "url": "http://localhost:7071/api/answer?n=1",
    "headers": HEADERS,
    "query": {"n": "1"},
    "params": {},
    "body": {"bytes": ""},
}


class Peer:
    """The process that has the library."""

    def __init__(self, process: subprocess.Popen[str], python: str) -> None:
        self._process = process
        self._python = python
        self.version: str = self._read()

    def measured(self, function: str, count: int, *, lines: bool) -> tuple[float, float]:
        """Calls a second, and processor time of one in microseconds; ``lines``: whether its log line is written."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([function, count, lines]) + "\n")
        self._process.stdin.flush()
        rate, cpu = self._read()
        return rate, cpu

    def _read(self) -> Any:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            return json.loads(line)
        raise SystemExit(f"{self._python} can not run Microsoft's library; {INSTALL}")


@contextlib.contextmanager
def peer() -> Iterator[Peer | None]:
    """The library in a process that lasts as long; None where it is not installed."""
    python = interpreter()
    if python is None:
        yield None
        return
    pipe = subprocess.PIPE
    with subprocess.Popen([python, __file__], stdin=pipe, stdout=pipe, text=True) as process:
        yield Peer(process, python)
        assert process.stdin is not None
        process.stdin.close()


# --- in that process ---------------------------------------------------------------------------------------------


async def serve(root: Path) -> None:
    """Answers each line ``[function, count, lines]`` with ``[calls a second, microseconds of processor]``."""
    from azure_functions_runtime.version import VERSION

    runtime = Runtime(importlib.import_module(RUNTIMES[0]), root)
    assert await runtime.start() is None
    requests = {
        name: invocation_of(
            function.function_id, {"req": {"http": REQUEST}} if name == "http_sync" else {"event": {"string": "1"}}
        )
        for name, function in (await runtime.indexed()).items()
    }
    for request in requests.values():
        assert refusal(await runtime.invoke(request)) is None
    answer(f"{VERSION} on Python {sys.version.split()[0]}")
    for line in sys.stdin:
        name, count, lines = json.loads(line)
        logging.disable(logging.NOTSET if lines else logging.CRITICAL)
        answer(await timed(runtime, requests[name], count))


async def timed(runtime: Runtime, request: Any, count: int) -> tuple[float, float]:
    invoke = runtime.library.invocation_request
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        await invoke(request)
    return count / (time.perf_counter() - wall), (time.process_time() - cpu) / count * 1e6


def answer(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        logging.basicConfig(stream=nowhere, level=logging.INFO)
        (Path(folder) / "function_app.py").write_text(MODULE)
        sys.path.insert(0, folder)
        asyncio.run(serve(Path(folder)))


if __name__ == "__main__":
    main()
