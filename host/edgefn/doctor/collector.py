"""The collector that traces go to, where host.json asks for them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from edgefn.doctor.lines import Line, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.traces import collector

CHECK = "collector"
PATIENCE = 3.0
"""Seconds for it to answer."""
PORTS = {"http": 80, "https": 443}


def check_collector(subject: Subject) -> Iterator[Line]:
    """Whether its port answers; nothing is sent. No line where the app, or what is lacking, keeps traces from it."""
    address = collector(subject.config, subject.settings)
    if address is not None:
        yield _reached(address)


def _reached(address: str) -> Line:
    start = "start it there, or correct OTEL_EXPORTER_OTLP_ENDPOINT; all else runs without it"
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme, 80)
    except ValueError:
        host, port = None, 0
    if not host:
        return wrong(CHECK, f"'{address}' is no address", "set OTEL_EXPORTER_OTLP_ENDPOINT to http://HOST:4318")
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except (OSError, UnicodeError) as error:
        return wrong(CHECK, f"{host}:{port} does not answer ({getattr(error, 'strerror', None) or error})", start)
    return ok(CHECK, f"{host}:{port} answers; traces go there")
