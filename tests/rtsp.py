"""A camera for tests: ``python rtsp.py CLIP PORT`` plays a clip for ever at ``rtsp://127.0.0.1:PORT/``, RTP over TCP.

ffmpeg makes the RTP packets, anew from the beginning of the clip for each client; this relays them. Any user and
password will do. Prints ``ready`` when it listens, and ends with its standard input.
"""

from __future__ import annotations

import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
from pathlib import Path


def ffmpeg(clip: str, port: int, *options: str) -> list[str]:
    source = ["ffmpeg", "-v", "error", "-re", "-stream_loop", "-1", "-i", clip, "-an", "-c", "copy"]
    return [*source, "-f", "rtp", *options, f"rtp://127.0.0.1:{port}?rtcpport={port}&pkt_size=1200"]


def describe(clip: str) -> str:
    """What the stream is, as ffmpeg says it, with the place left open."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sdp")
        subprocess.run(ffmpeg(clip, 9, "-t", "0.1", "-sdp_file", str(file)), check=True, timeout=20)
        lines = file.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("c=")]
    kept = ["m=video 0 " + line.split(" ", 2)[2] if line.startswith("m=video") else line for line in kept]
    return "\r\n".join([*kept, "a=control:track", ""])


class Client(socketserver.StreamRequestHandler):
    server: Camera

    def handle(self) -> None:
        self.playing: subprocess.Popen[bytes] | None = None
        with contextlib.suppress(OSError):
            while request := self.rfile.readline():
                if request[:1] == b"$":  # the client's own RTCP, which may hold a line break
                    continue
                headers = {}
                while line := self.rfile.readline().strip():
                    name, _, value = line.decode("latin-1").partition(":")
                    headers[name.strip().lower()] = value.strip()
                self.answer(request.decode("latin-1").split(" ")[0], headers)
        if self.playing is not None:
            self.playing.kill()
            self.playing.wait()

    def answer(self, method: str, headers: dict[str, str]) -> None:
        extra, body, status = "", "", "200 OK"
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = self.server.sdp
            extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP" and "interleaved" in headers.get("transport", ""):
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "SETUP":
            status = "461 Unsupported Transport"
        self.wfile.write(f"RTSP/1.0 {status}\r\nCSeq: {headers.get('cseq', '0')}\r\n{extra}\r\n{body}".encode())
        if method == "PLAY":
            packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            packets.bind(("127.0.0.1", 0))
            packets.settimeout(5)
            self.playing = subprocess.Popen(ffmpeg(self.server.clip, packets.getsockname()[1]))
            threading.Thread(target=self.relay, args=(packets,), daemon=True).start()

    def relay(self, packets: socket.socket) -> None:
        with packets, contextlib.suppress(OSError):
            while packet := packets.recv(65536):
                channel = 1 if 200 <= packet[1] <= 204 else 0
                self.connection.sendall(b"$" + bytes([channel]) + len(packet).to_bytes(2, "big") + packet)


class Camera(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, clip: str, port: int) -> None:
        self.clip, self.sdp = clip, describe(clip)
        super().__init__(("127.0.0.1", port), Client)


if __name__ == "__main__":
    camera = Camera(sys.argv[1], int(sys.argv[2]))
    threading.Thread(target=camera.serve_forever, daemon=True).start()
    os.write(1, b"ready\n")
    sys.stdin.read()
    camera.shutdown()
