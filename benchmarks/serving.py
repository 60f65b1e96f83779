"""What serving costs: JPEG pictures scored by a served model, beside a server that is written for that alone.

    python benchmarks/serving.py [--rounds 5] [--seconds 1.5] [--connections 4] [--model sample/light-classifier.xml]

The model is served by Open Inference over HTTP and over gRPC (a host of edgefn whose function has it), and by 35 lines
on Starlette that know one model and one protocol, check nothing and count nothing. Each server is a process of its own;
the load is another one, with connections that stay open and ask anew when they are answered. The ways take turns in
each round. Medians over the rounds: requests a second, and the median of the latency. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEADER = "inference-header-content-length"
EDGEFN = """
import edgefn
app = edgefn.FunctionApp()

@app.direct_method_trigger("payload", "score")
@app.inference_session("net", "{model}", cache=False)
def score(payload, net: edgefn.Session):
    return None
"""
STARLETTE = """
import asyncio, json, queue, struct, sys
import cv2, numpy as np, openvino, uvicorn
from openvino.preprocess import PrePostProcessor
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

core = openvino.Core()
model = core.read_model(sys.argv[2])
prepared = PrePostProcessor(model)
prepared.input().tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
prepared.input().model().set_layout(openvino.Layout("NCHW"))
prepared.input().preprocess().convert_element_type(openvino.Type.f32)
compiled = core.compile_model(prepared.build(), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
height, width = compiled.inputs[0].shape[1:3]
free = queue.SimpleQueue()
for _ in range(compiled.get_property("NUM_STREAMS") + 2):
    free.put(compiled.create_infer_request())

def score(body, length):
    jpeg = body[length + 4 :]
    picture = cv2.resize(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), (width, height))
    request = free.get()
    try:
        request.infer({0: picture[None]})
        return [{"name": p.any_name, "shape": list(p.shape), "datatype": "FP32", "data": t.data.ravel().tolist()}
                for p, t in zip(compiled.outputs, request.output_tensors)]
    finally:
        free.put(request)

async def infer(request):
    body = await request.body()
    outputs = await asyncio.to_thread(score, body, int(request.headers["inference-header-content-length"]))
    return JSONResponse({"model_name": "net", "model_version": "1", "outputs": outputs})

app = Starlette(routes=[Route("/v2/models/net/infer", infer, methods=["POST"])])
uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="error")
"""

Ask = Callable[[], None]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def picture() -> bytes:
    """A frame of the sample clip as JPEG."""
    import cv2

    done, frame = cv2.VideoCapture(str(ROOT / "sample" / "street.mp4")).read()
    assert done
    return bytes(cv2.imencode(".jpg", frame)[1])


def by_http(port: int, jpeg: bytes) -> Callable[[], Ask]:
    size = len(jpeg) + 4
    tensor = {"name": "image", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    body = head + len(jpeg).to_bytes(4, "little") + jpeg

    def connect() -> Ask:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

        def ask() -> None:
            connection.request("POST", "/v2/models/net/infer", body, {HEADER: str(len(head))})
            reply = connection.getresponse()
            content = reply.read()
            assert reply.status == 200, content

        return ask

    return connect


def by_grpc(port: int, jpeg: bytes) -> Callable[[], Ask]:
    import grpc
    import numpy as np

    from edgefn.protocols import open_inference_grpc

    call = open_inference_grpc.write_call("net", "", {"image": np.array([jpeg], object)}, [])

    def connect() -> Ask:
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)])
        stub = channel.unary_unary(f"/{open_inference_grpc.SERVICE}/ModelInfer")
        return lambda: stub(call, timeout=30)

    return connect


WAYS = {"http": by_http, "grpc": by_grpc, "starlette": by_http}


def load(way: str, port: int, seconds: float, connections: int) -> tuple[float, float]:
    """Requests a second, and the median of the latency in milliseconds."""
    connect, durations = WAYS[way](port, picture()), []
    until = time.perf_counter() + seconds

    def one() -> None:
        ask = connect()
        while (began := time.perf_counter()) < until:
            ask()
            durations.append(time.perf_counter() - began)

    threads = [threading.Thread(target=one) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(durations) / (time.perf_counter() - began), statistics.median(durations) * 1000


def loaded(way: str, port: int, seconds: float, connections: int) -> tuple[float, float]:
    """The same in a process of its own, tried again until the server answers."""
    for _ in range(60):
        command = [sys.executable, __file__, "--load", way, str(port), str(seconds), str(connections)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
        if ended.returncode == 0:
            rate, median = json.loads(ended.stdout)
            return rate, median
        time.sleep(0.5)
    raise SystemExit(f"{way} does not answer:\n{ended.stderr}")


def measure(rounds: int, seconds: float, connections: int, model: Path) -> dict[str, dict[str, float]]:
    web, rpc, peer = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        folder = Path(temporary)
        serving = {"http": True, "grpcPort": rpc, "models": {"net": "score.net"}}
        (folder / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"serving": serving}}))
        (folder / "function_app.py").write_text(EDGEFN.format(model=model))
        (folder / "peer.py").write_text(STARLETTE)
        stack.enter_context(running([sys.executable, "-m", "edgefn", "start", "--port", str(web)], folder))
        stack.enter_context(running([sys.executable, "peer.py", str(peer), str(model)], folder))
        ports = {"http": web, "grpc": rpc, "starlette": peer}
        seen: dict[str, list[tuple[float, float]]] = {way: [] for way in ports}
        for number in range(rounds + 1):
            for way, port in ports.items():
                figures = loaded(way, port, seconds if number else 0.3, connections)
                if number:  # the first round warms up
                    seen[way].append(figures)
    return {way: _medians(figures) for way, figures in seen.items()}


def _medians(figures: Sequence[tuple[float, float]]) -> dict[str, float]:
    rates, medians = zip(*figures, strict=True)
    return {"per_second": round(statistics.median(rates), 1), "p50_ms": round(statistics.median(medians), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--model", type=Path, default=ROOT / "sample" / "light-classifier.xml")
    parser.add_argument("--load", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.load:
        way, port, seconds, connections = asked.load
        print(json.dumps(load(way, int(port), float(seconds), int(connections))))
        return
    figures = measure(asked.rounds, asked.seconds, asked.connections, asked.model.resolve())
    for way, row in figures.items():
        print(f"{way:10} {row['per_second']:8,.0f}/s   p50 {row['p50_ms']:6.2f} ms")
    peer = figures["starlette"]["per_second"]
    ratios = {f"{way}_to_starlette": round(figures[way]["per_second"] / peer, 3) for way in ("http", "grpc")}
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps({**figures, **ratios}))


if __name__ == "__main__":
    main()
