"""Traces by OpenTelemetry: whether they are asked for, what they need, and how long they last.

    host.json "telemetryMode": "OpenTelemetry" -> tracing(services) -> Traces.spans -> spans.py, which knows the library

``Traces.spans`` is None where nobody asked; an invocation then asks for nothing else, and nothing of OpenTelemetry is
imported. The variables ``OTEL_*`` are the library's own.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import TYPE_CHECKING

from edgefn.errors import SettingError, listing, nearest

if TYPE_CHECKING:
    from edgefn.contracts import Services, TriggerKind
    from edgefn.function import Function
    from edgefn.settings import HostConfig, Settings
    from edgefn.spans import FunctionSpans, Spans

log = logging.getLogger("edgefn.traces")

PREFIX = "OTEL_"
GROUP = "opentelemetry_traces_exporter"
"""The entry points by which exporters are found."""
PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
"""The exporters of OTLP, by the protocol."""
USUAL = {"otlp_proto_http": "http://localhost:4318", "otlp_proto_grpc": "http://localhost:4317"}
"""Where they send, unless they are told."""
INSTALL = {"otlp_proto_grpc": "pip install opentelemetry-exporter-otlp-proto-grpc"}
EXTRA = "pip install 'edgefn[otel]'"


class Traces:
    """The spans of a host, while they are taken."""

    def __init__(self) -> None:
        self.spans: Spans | None = None

    def of(self, function: Function, kind: TriggerKind) -> FunctionSpans | None:
        """What makes the spans of a function's invocations; None where nobody asked for any."""
        return None if self.spans is None else self.spans.of(function, kind)


def lacking_for_traces(settings: Settings, where: str = "host.json") -> Iterator[str]:
    """An error for each thing without which traces could not leave: a package, a word that is known.

    ``where`` is where they are asked for.
    """
    if _is_disabled(settings):
        return
    try:
        version("opentelemetry-sdk")
    except PackageNotFoundError:
        yield f"{where}: telemetryMode OpenTelemetry: the OpenTelemetry SDK is not installed; right would be: {EXTRA}"
        return
    from edgefn.spans import provider_of_app

    if provider_of_app() is not None:
        return
    try:
        exporters = exporter_names(settings)
    except SettingError as error:
        yield str(error)
        return
    for name in exporters:
        if not entry_points(group=GROUP, name=name):
            yield f"{where}: telemetryMode OpenTelemetry: {_missing(name)}"


def exporter_names(settings: Settings) -> list[str]:
    """Which exporters the variables of OpenTelemetry ask for; none for ``none``. Raises SettingError."""
    asked = [name.strip() for name in (settings.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    return [_of_protocol(settings) if name == "otlp" else name for name in asked if name not in ("none", "")]


def collector(config: HostConfig, settings: Settings) -> str | None:
    """The address that traces go to by OTLP; None where none do, or where that is up to the app."""
    if not config.is_traced or _is_disabled(settings) or any(lacking_for_traces(settings)):
        return None
    from edgefn.spans import provider_of_app

    exporter = next((name for name in exporter_names(settings) if name in USUAL), None)
    if exporter is None or provider_of_app() is not None:
        return None
    told = map(settings.get, ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"))
    return next(filter(None, told), USUAL[exporter])


def _of_protocol(settings: Settings) -> str:
    names = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    name = next((name for name in names if settings.get(name)), names[1])
    protocol = settings.get(name) or "http/protobuf"
    if protocol not in PROTOCOLS:
        hint = nearest(protocol, PROTOCOLS)
        raise SettingError(f"setting {name} should be one of {listing(PROTOCOLS)}; found '{protocol}'{hint}")
    return PROTOCOLS[protocol]


def _missing(name: str) -> str:
    if name in PROTOCOLS.values():
        return f"the exporter {name} is not installed; right would be: {INSTALL.get(name, EXTRA)}"
    known = sorted({"otlp", "none", *(entry.name for entry in entry_points(group=GROUP))})
    hint = nearest(name, known)
    return f"setting OTEL_TRACES_EXPORTER: there is no exporter '{name}'{hint}; exporters: {listing(known)}"


def _is_disabled(settings: Settings) -> bool:
    return (settings.get("OTEL_SDK_DISABLED") or "").strip().lower() == "true"


@contextlib.contextmanager
def tracing(services: Services) -> Iterator[None]:
    """Takes spans and sends them while it lasts, where host.json asks for it; at the end what is left gets a moment.

    What is missing is an error of the app, which runs without traces.
    """
    settings = services.settings
    if not services.config.is_traced or _is_disabled(settings) or any(lacking_for_traces(settings)):
        yield
        return
    from edgefn.spans import open_spans

    address = collector(services.config, settings)
    with _in_environment({name: text for name, text in settings.values.items() if name.startswith(PREFIX)}):
        try:
            spans = open_spans(services.root, settings, services.metrics, exporter_names(settings))
        except ValueError as error:
            log.error("Traces are not taken: %s; mend the setting %s... that says so", error, PREFIX)
            yield
            return
        log.info("Traces are taken, and go to %s", address or "where the app, or OTEL_TRACES_EXPORTER, sends them")
        services.traces.spans = spans
        try:
            yield
        finally:
            services.traces.spans = None
            spans.close()


@contextlib.contextmanager
def _in_environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Where the library looks for them, whether they came from there, from local.settings.json or by --set."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, text in before.items():
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text
