"""Azure Speech's REST interface, on loopback."""

from __future__ import annotations

import http.server
import io
import ssl
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KEY = "0123456789abcdef0123456789abcdef"


def sound(length: float = 0.1, rate: int = 8000) -> bytes:
    """A WAV file of silence."""
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(bytes(2 * int(length * rate)))
    return made.getvalue()


@dataclass
class Asked:
    """A request; names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Service:
    """What it was asked, and what it answers to who has the key."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    status: int = 200
    body: bytes = field(default_factory=lambda: sound(0.4, 24000))
    headers: dict[str, str] = field(default_factory=dict)


class _Handler(http.server.BaseHTTPRequestHandler):
    service: Service

    def do_POST(self) -> None:
        headers = {name.lower(): text for name, text in self.headers.items()}
        body = self.rfile.read(int(headers["content-length"]))
        self.service.asked.append(Asked(self.path, headers, body))
        key = headers.get("ocp-apim-subscription-key")
        status = self.service.status if key == KEY else 401
        answer = self.service.body if status == 200 else f"the key {key}".encode()
        self.send_response(status)
        for name, text in {**self.service.headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@contextmanager
def azure_speech(context: ssl.SSLContext | None = None) -> Iterator[Service]:
    """The service, by TLS where there is a context."""
    service = Service()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if context is None else "https"
    service.url = f"{scheme}://localhost:{server.server_address[1]}/cognitiveservices/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
