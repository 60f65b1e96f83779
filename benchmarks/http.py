"""What HTTP costs: an anonymous hello function, beside bare Starlette on uvicorn and Google's functions-framework.

    python benchmarks/http.py [--rounds 5] [--seconds 2] [--connections 16] [--framework PATH]

Each server is a process of its own, on loopback, with one worker, and writes its log to the null device; the load
comes from another one, ``wrk`` where it is installed. The servers take turns in each round. Medians over the rounds:
requests a second, the 99th percentile of the latency, and the processor time that a request costs its server, which
tells more than the first two on a machine that does other things too. ``functions-framework`` is looked for beside
Python and on the PATH, and installed into a virtual environment of its own when it is not there. The last line is one
JSON object.
"""

from __future__ import annotations

import importlib.util
import sys
import sysconfig

if __name__ == "http":  # another script of this folder wants Python's own http, which has the same name
    place = f"{sysconfig.get_path('stdlib')}/http"
    own = importlib.util.spec_from_file_location("http", f"{place}/__init__.py", submodule_search_locations=[place])
    assert own is not None
    assert own.loader is not None
    sys.modules["http"] = importlib.util.module_from_spec(own)
    own.loader.exec_module(sys.modules["http"])

import argparse
import asyncio
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EDGEFN = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
async def hello(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("Hello, world!")
"""
STARLETTE = """
import sys
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

async def hello(request):
    return PlainTextResponse("Hello, world!")

uvicorn.run(Starlette(routes=[Route("/api/hello", hello)]), port=int(sys.argv[1]), access_log=False, log_level="error")
"""
FRAMEWORK = """
import functions_framework

@functions_framework.http
def hello(request):
    return "Hello, world!"
"""
PATH = "/api/hello"
UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Figures:
    """One round of one server."""

    per_second: float
    p99_ms: float
    cpu_us: float


@contextlib.contextmanager
def served(command: Sequence[str], port: int, folder: Path) -> Iterator[int]:
    """A server that answers, by the id of its process group."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port, process)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} has left with {process.returncode}")
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", PATH)
            if connection.getresponse().read() == b"Hello, world!":
                return
        time.sleep(0.1)
    raise SystemExit(f"{process.args!r} does not answer on port {port}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def processor_seconds(group: int) -> float:
    """User and system time of all processes in a group, from /proc; 0 where there is none."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = path.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


# --- load --------------------------------------------------------------------------------------------------------


def loaded(port: int, group: int, seconds: float, connections: int) -> Figures:
    """One measurement."""
    before, began = processor_seconds(group), time.perf_counter()
    run = _by_wrk if shutil.which("wrk") else _by_hand
    count, p99 = run(port, seconds, connections)
    elapsed = time.perf_counter() - began
    return Figures(count / elapsed, p99, (processor_seconds(group) - before) / max(count, 1) * 1e6)


def _by_wrk(port: int, seconds: float, connections: int) -> tuple[int, float]:
    whole = max(1, round(seconds))
    url = f"http://127.0.0.1:{port}{PATH}"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{whole}s", "--timeout", "20s", "--latency", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise SystemExit(f"the load was not answered as it should be:\n{text}")
    count = re.search(r"(\d+) requests in", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    assert count is not None
    assert p99 is not None
    return int(count[1]), float(p99[1]) * UNITS[p99[2]]


def _by_hand(port: int, seconds: float, connections: int) -> tuple[int, float]:
    """In a process of its own, so that it does not share an interpreter with anything."""
    command = [sys.executable, __file__, "--load", str(port), str(seconds), str(connections)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    count, p99 = json.loads(text)
    return count, p99


async def _load(port: int, seconds: float, connections: int) -> tuple[int, float]:
    durations: list[float] = []
    until = time.perf_counter() + seconds
    request = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode()

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(length[1]) if length else 0)
            durations.append(time.perf_counter() - began)
        writer.close()

    await asyncio.gather(*(one() for _ in range(connections)))
    return len(durations), sorted(durations)[int(len(durations) * 0.99)] * 1000


# --- the three ---------------------------------------------------------------------------------------------------


def framework(given: str | None, folder: Path) -> str | None:
    """The command functions-framework; None when it can not be had."""
    beside = Path(sys.executable).parent / "functions-framework"
    found = given or shutil.which("functions-framework") or (str(beside) if beside.exists() else None)
    if found:
        return found
    environment = folder / "framework"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True, capture_output=True, timeout=120)
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "functions-framework"]
        subprocess.run(pip, check=True, capture_output=True, timeout=300)
    except (subprocess.SubprocessError, OSError) as error:
        print(f"functions-framework can not be installed, and is left out: {error}", file=sys.stderr)
        return None
    return str(environment / "bin" / "functions-framework")


def commands(folder: Path, given: str | None) -> dict[str, tuple[list[str], int]]:
    """How each server is started, and its port."""
    for name, text in {"edgefn": EDGEFN, "starlette": STARLETTE, "framework": FRAMEWORK}.items():
        (folder / name).mkdir(exist_ok=True)
        (folder / name / {"edgefn": "function_app.py"}.get(name, "main.py")).write_text(text)
    (folder / "edgefn" / "host.json").write_text('{"version": "2.0"}')
    ports = [free_port() for _ in range(3)]
    found = {
        "edgefn": ([sys.executable, "-m", "edgefn", "start", "--port", str(ports[0])], ports[0]),
        "starlette": ([sys.executable, "main.py", str(ports[1])], ports[1]),
    }
    if command := framework(given, folder):
        found["framework"] = ([command, "--target", "hello", "--host", "127.0.0.1", "--port", str(ports[2])], ports[2])
    return found


def measure(rounds: int, seconds: float, connections: int, given: str | None) -> dict[str, dict[str, float]]:
    seen: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        servers = {
            name: (port, stack.enter_context(served(command, port, folder / name)))
            for name, (command, port) in commands(folder, given).items()
        }
        for number in range(rounds + 1):
            for name, (port, group) in servers.items():
                figures = loaded(port, group, seconds if number else 1.0, connections)
                if number:  # the first round warms up
                    seen.setdefault(name, []).append(figures)
    return {name: _medians(figures) for name, figures in seen.items()}


def _medians(figures: Sequence[Figures]) -> dict[str, float]:
    return {
        name: round(statistics.median(getattr(each, name) for each in figures), 2)
        for name in ("per_second", "p99_ms", "cpu_us")
    }


def ratios(figures: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Requests a second as shares of the peers', and the same by processor time, which noise does not touch."""
    found = {}
    for peer in figures.keys() - {"edgefn"}:
        found[f"to_{peer}"] = round(figures["edgefn"]["per_second"] / figures[peer]["per_second"], 3)
        if figures["edgefn"]["cpu_us"]:
            found[f"to_{peer}_by_cpu"] = round(figures[peer]["cpu_us"] / figures["edgefn"]["cpu_us"], 3)
    return dict(sorted(found.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--framework", help="the command functions-framework")
    parser.add_argument("--load", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        port, seconds, connections = asked.load
        print(json.dumps(asyncio.run(_load(int(port), float(seconds), int(connections)))))
        return
    figures = measure(asked.rounds, asked.seconds, asked.connections, asked.framework)
    for name, row in figures.items():
        rates = f"{row['per_second']:9,.0f}/s   p99 {row['p99_ms']:7.2f} ms"
        print(f"{name:10} {rates}   {row['cpu_us']:7.0f} us of processor")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps({**figures, **ratios(figures), "load": "wrk" if shutil.which("wrk") else "asyncio"}))


if __name__ == "__main__":
    main()
