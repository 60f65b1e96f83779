"""A model server on this machine that speaks Open Inference by HTTP, and fails as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson

from edgefn.protocols.open_inference import HEADER_LENGTH, read_call, write_reply
from edgefn.sessions.ports import Tensors
from edgefn.web.serving.catalog import Model
from edgefn.web.serving.open_inference import model_described
from edgefn.web.serving.scores import scored


class FarServer(ThreadingHTTPServer):
    """Serves one model, or other documents; ``mood`` is how it answers."""

    daemon_threads = True

    def __init__(self, tensors: Tensors | None = None, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.model = None if tensors is None else Model("net", tensors)
        self.documents: dict[str, Any] = {}
        self.mood = "well"
        """well, 500, 404, hang, close, drip or babble."""
        self.calls = 0
        self.connections = 0
        self.bodies: list[tuple[dict[str, str], bytes]] = []
        self.leave = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/net"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FarServer

    def setup(self) -> None:
        super().setup()
        self.server.connections += 1

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, body: bytes) -> None:
        self.server.calls += 1
        self.server.bodies.append(({name.lower(): value for name, value in self.headers.items()}, body))
        mood = self.server.mood
        if mood == "hang":
            self.server.leave.wait(60)
        if mood in ("hang", "close"):
            self.close_connection = True
        elif mood == "drip":
            self._drip()
        elif mood == "babble":
            self._send(200, b"<html>")
        elif mood != "well":
            self._send(int(mood), b'{"error": "as it was told"}')
        elif self.server.model is None:
            self._send(200, orjson.dumps(self.server.documents[self.path]))
        elif self.command == "GET":
            self._send(200, orjson.dumps(model_described(self.server.model)))
        else:
            call = read_call(body, self.headers.get(HEADER_LENGTH))
            outputs = scored(self.server.model, call.inputs, list(call.outputs))
            content, length = write_reply("net", "1", call, outputs)
            self._send(200, content, {} if length is None else {HEADER_LENGTH: str(length)})

    def _drip(self) -> None:
        """Sends a reply a byte at a time, and each within any time-out for a piece."""
        for byte in b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(1000000):
            if self.server.leave.wait(0.02):
                return
            try:
                self.wfile.write(bytes([byte]))
            except OSError:
                self.close_connection = True
                return

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def far_server(tensors: Tensors | None = None, port: int = 0) -> Iterator[FarServer]:
    """A server that runs meanwhile."""
    server = FarServer(tensors, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.leave.set()
        server.shutdown()
        server.server_close()
        thread.join()
