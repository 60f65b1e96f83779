"""Traces by OpenTelemetry: which spans there are, in which trace, and what a collector that is away costs."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util._once import Once

from edgefn import span_export, traces
from edgefn.contracts import EdgeMessage
from edgefn.errors import SettingError
from edgefn.loader import App
from edgefn.logs import invocations_in_log_lines, logging_to
from edgefn.settings import Settings, load_host_config
from edgefn.span_export import Outlet, Reason
from edgefn.spans import resource
from edgefn.traces import tracing
from tests.collector import Collector, collecting
from tests.conftest import AppIn
from tests.hubs.sinks import until
from tests.mqtt.mosquitto import broker_in, peer_of
from tests.steered import Steered, steered
from tests.ticks import PLUGIN
from tests.web.conftest import served

HEAD = "import threading, time\nimport azure.functions as func\nimport edgefn\nfrom opentelemetry import trace\n"
HEAD += "app = edgefn.FunctionApp(func.AuthLevel.ANONYMOUS)\nseen = []\ntracer = trace.get_tracer('mine')\n"
ROUTE = 'FROM /messages/modules/edgefn/outputs/found INTO BrokeredEndpoint("/modules/edgefn/inputs/in")'
UP = "FROM /messages/modules/edgefn/outputs/out INTO $upstream"
ON = {"version": "2.0", "telemetryMode": "OpenTelemetry", "extensions": {"edgeHub": {"routes": {"r": ROUTE, "u": UP}}}}
TICK = "@app.generic_trigger(arg_name='tick', type='ticksTrigger', count=1)\n"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"

CHAIN = """
@app.generic_trigger(arg_name='tick', type='ticksTrigger', count=1)
@app.edge_hub_output(arg_name='found', output_name='found')
def first(tick, found):
    found.set({'n': tick})

@app.edge_hub_trigger('m', 'in')
def second(m: edgefn.EdgeMessage):
    seen.append(m)
"""


def as_new_process() -> None:
    """A process has one provider for ever."""
    api._TRACER_PROVIDER, api._TRACER_PROVIDER_SET_ONCE = None, Once()


@pytest.fixture(autouse=True)
def _no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(api, "_TRACER_PROVIDER_SET_ONCE", Once())


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


Traced = Callable[..., App]


@pytest.fixture
def traced(app_of: AppIn, collector: Collector) -> Traced:
    """An app of one module whose host.json asks for traces, which go to the collector."""

    def load(code: str, files: dict[str, str] | None = None, **settings: str) -> App:
        own = {"host.json": json.dumps(ON), "functions/ticks.py": PLUGIN, "functions/f.py": HEAD + code}
        app = app_of({**own, **(files or {})}, **{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.address, **settings})
        assert [*app.errors, *(function.errors for function in app.functions if function.errors)] == []
        return app

    return load


@asynccontextmanager
async def running(app: App) -> AsyncIterator[Steered]:
    """The app, while it runs and its spans are taken; when it has ended, they have arrived."""
    with tracing(app.services):
        async with steered(app) as site:
            yield site


async def run(app: App) -> None:
    """Runs all that ends by itself, with what comes of it."""
    async with running(app) as site:
        await asyncio.wait_for(site.host.wait_for_end(), 20)


# --- spans -------------------------------------------------------------------------------------------------------


async def test_each_invocation_is_a_span_with_what_is_known_of_it(traced: Traced, collector: Collector) -> None:
    code = f"{TICK}def f(tick, context): seen.append(context)\n"
    app = traced(code)
    await run(app)
    span = collector.named("f")
    (context,) = app.manager.get_plugin("functions.f").seen
    assert (span.kind, span.parent, span.error) == ("SERVER", "", None)
    assert span.attributes == {
        "faas.name": "f",
        "faas.trigger": "other",
        "faas.invocation_id": context.invocation_id,
        "edgefn.trigger": "ticksTrigger",
    }
    assert context.trace_context.trace_parent[:53] == f"00-{span.trace}-{span.id}-"
    assert span.resource["service.name"] == app.root.name


def carried(properties: Mapping[str, str]) -> str:
    """The trace and the span that a message carries; the flags are the library's."""
    return properties["traceparent"][3:52]


def test_a_module_is_named_as_on_its_device() -> None:
    settings = Settings({"IOTEDGE_MODULEID": "cam", "IOTEDGE_DEVICEID": "box"})
    known = resource(Path("app"), settings).attributes
    assert (known["service.name"], known["device.id"]) == ("cam", "box")


async def test_the_variables_of_opentelemetry_are_its_own(traced: Traced, collector: Collector) -> None:
    code = f"{TICK}def f(tick, context): seen.append(context.trace_context.trace_parent)\n"
    named = {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "site=north"}
    await run(traced(code, **named, OTEL_EXPORTER_OTLP_HEADERS="api-key=k1234567"))
    assert (collector.named("f").resource["service.name"], collector.named("f").resource["site"]) == ("mine", "north")
    assert collector.headers[0]["api-key"] == "k1234567"
    as_new_process()
    app = traced(code, OTEL_TRACES_SAMPLER="always_off")
    await run(app)
    assert int(app.manager.get_plugin("functions.f").seen[0][-2:], 16) & 1 == 0
    assert len(collector.spans) == 1


USER = """
{tick}{define} f(tick):
    with tracer.start_as_current_span('outer'):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

def work():
    with tracer.start_as_current_span('inner'):
        pass
"""


async def test_json_lines_have_the_ids_of_their_trace(traced: Traced, collector: Collector) -> None:
    stream = io.StringIO()
    with logging_to(stream, as_json=True):
        await run(traced(f"import logging\n{TICK}def f(tick): logging.warning('mine')\n"))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    span = collector.named("f")
    told = {line["message"]: (line["trace_id"], line["span_id"]) for line in lines if "trace_id" in line}
    assert set(told.values()) == {(span.trace, span.id)}
    assert [text.partition(" ")[0] for text in told] == ["Executing", "mine", "Executed"]


@pytest.mark.parametrize("define", ["def", "async def"])
async def test_spans_of_user_code_are_below_their_invocation_also_in_its_threads(
    define: str, traced: Traced, collector: Collector
) -> None:
    with invocations_in_log_lines():
        await run(traced(USER.format(tick=TICK, define=define)))
    outer, inner = collector.named("outer"), collector.named("inner")
    assert (outer.parent, inner.parent) == (collector.named("f").id, outer.id)


async def test_an_inference_is_a_span_with_model_and_device(traced: Traced, collector: Collector) -> None:
    code = (
        "@app.generic_trigger(arg_name='tick', type='ticksTrigger', count=1)\n"
        "@app.inference_session('net', 'stub:answers.json', task='classification')\n"
        "async def f(tick, net):\n    seen.append([await net.infer_async(None), net.infer(None), net.status()])\n"
    )
    app = traced(code, {"answers.json": json.dumps([[[0, "car", 0.9]]])})
    await run(app)
    (facts,) = [found[-1] for found in app.manager.get_plugin("functions.f").seen]
    spans = [span for span in collector.spans if span.name == f"infer {facts['model']}"]
    assert [span.parent for span in spans] == [collector.named("f").id] * 2
    assert spans[0].attributes["edgefn.device"] == facts["device"]


async def test_an_error_is_told_without_its_secrets(traced: Traced, collector: Collector) -> None:
    code = f"{TICK}def f(tick):\n    raise ValueError('no luck with hunter2hunter2, AccountKey=abcdefgh')\n"
    await run(traced(code, MY_PASSWORD="hunter2hunter2"))
    span = collector.named("f")
    assert span.error == "ValueError: no luck with ***, AccountKey=***"
    ((name, about),) = span.events
    assert (name, about["exception.type"], about["exception.message"]) == (
        "exception",
        "ValueError",
        "no luck with ***, AccountKey=***",
    )
    assert "functions/f.py" in about["exception.stacktrace"]
    assert "hunter2" not in repr(collector.spans)


LEAKY = """
{tick}def f(tick):
    about = {{'url': 'http://u:hunter2hunter2@h/x', 'all': ('a', 'hunter2hunter2'), 'n': 1}}
    with tracer.start_as_current_span('ask', attributes=about):
        raise OSError('password=hunter2hunter2')
"""


async def test_what_user_code_writes_into_its_spans_leaves_without_secrets(
    traced: Traced, collector: Collector
) -> None:
    await run(traced(LEAKY.format(tick=TICK), MY_PASSWORD="hunter2hunter2"))
    span = collector.named("ask")
    assert (span.attributes["url"], span.attributes["n"]) == ("http://***@h/x", 1)
    assert (span.error, span.events[0][1]["exception.message"]) == ("OSError: password=***", "password=***")
    assert (span.parent, span.trace) == (collector.named("f").id, collector.named("f").trace)
    assert "hunter2" not in repr(collector.spans)


async def test_attempts_are_one_span(traced: Traced, collector: Collector) -> None:
    code = f"@app.retry(strategy='fixed_delay', max_retry_count='2', delay_interval='00:00:00.001')\n{TICK}"
    await run(traced(f"{code}def f(tick, context):\n    seen.append(1)\n    assert len(seen) > 2\n"))
    assert collector.named("f").attributes["edgefn.retries"] == 2
    assert collector.named("f").error is None


# --- one trace ---------------------------------------------------------------------------------------------------


async def test_functions_that_are_chained_by_messages_are_one_trace(traced: Traced, collector: Collector) -> None:
    app = traced(CHAIN)
    await run(app)
    first, second, send = collector.named("first"), collector.named("second"), collector.named("send found")
    assert {span.trace for span in collector.spans} == {first.trace}
    assert (second.parent, send.parent) == (first.id, first.id)
    assert (second.kind, send.kind) == ("CONSUMER", "PRODUCER")
    about = ("faas.trigger", "messaging.system", "messaging.destination.name", "messaging.operation.type")
    assert [second.attributes[name] for name in about] == ["pubsub", "edgehub", "in", "process"]
    (message,) = app.manager.get_plugin("functions.f").seen
    assert (list(message.properties), carried(message.properties)) == (["traceparent"], f"{first.trace}-{first.id}")
    assert second.attributes["messaging.message.id"] == send.attributes["messaging.message.id"] == message.message_id


@pytest.mark.parametrize(("plugged", "error"), [(True, ""), (False, "NotConnected")])
async def test_sending_what_may_be_lost_is_a_span_too(
    traced: Traced, collector: Collector, plugged: bool, error: str
) -> None:
    app = traced(CHAIN.replace("output_name='found'", "output_name='found', durable=False"))
    with tracing(app.services):
        async with steered(app, cable=plugged) as site:
            await until(lambda: site.host.status()["functions"]["first"]["invocations"] == 1)
    send = collector.named("send found")
    assert (send.parent, send.kind) == (collector.named("first").id, "PRODUCER")
    assert send.attributes.get("error.type", "") == error


async def test_a_message_that_waits_over_a_restart_stays_in_its_trace(traced: Traced, collector: Collector) -> None:
    with tracing((app := traced(CHAIN)).services):
        async with steered(app, cable=False) as site:
            await until(lambda: site.host.status()["spool"]["outbox"]["messages"] == 1)
    as_new_process()
    await run(traced(CHAIN.replace("count=1", "count=0")))
    assert collector.named("second").parent == collector.named("first").id


async def test_a_message_that_is_passed_on_carries_the_invocation_that_sends_it(
    traced: Traced, collector: Collector
) -> None:
    code = "@app.edge_hub_trigger('m', 'in')\n@app.edge_hub_output('$return', 'out')\n"
    async with running(traced(f"{code}def f(m: edgefn.EdgeMessage):\n    return m\n")) as site:
        properties = {"traceparent": PARENT, "tracestate": "vendor=1", "line": "7"}
        await site.host.operation.sink.on_input(EdgeMessage(b"1", properties, input_name="in"))
        await asyncio.wait_for(site.host.app.services.spool.idle(), 20)
    span = collector.named("f")
    assert (span.trace, span.parent) == (TRACE, SPAN)
    (line,) = (site.host.app.services.state / "upstream.jsonl").read_text().splitlines()
    sent = json.loads(line)["properties"]
    assert carried(sent) == f"{TRACE}-{span.id}"
    assert (sent["tracestate"], sent["line"]) == ("vendor=1", "7")


async def test_a_batch_links_to_what_sent_its_messages(traced: Traced, collector: Collector) -> None:
    code = "@app.edge_hub_trigger('m', 'in', cardinality='many')\ndef f(m: list[edgefn.EdgeMessage]): ...\n"
    app = traced(code)
    event = app.kinds.triggers["edgehubtrigger"].manual(app.functions[0].trigger, "1")  # type: ignore[attr-defined]
    one = EdgeMessage(b"1", {"traceparent": PARENT})
    event.value[:] = [one, EdgeMessage(b"2"), EdgeMessage(b"3", {"traceparent": "what is this?"})]
    async with running(app) as site:
        (each,) = [each for each in site.host.running if each.function.name == "f"]
        assert (await each.emit(event)).ok
    span = collector.named("f")
    assert (span.parent, span.links) == ("", [SPAN])
    assert span.attributes["messaging.batch.message_count"] == 3


async def test_a_request_goes_on_the_trace_of_who_asked(traced: Traced, collector: Collector) -> None:
    code = (
        "@app.route('ask/{what}')\ndef f(req: func.HttpRequest):\n    return func.HttpResponse('', status_code=404)\n"
    )
    app = traced(code)
    with tracing(app.services):
        async with served(app) as site:
            await site.client.get("/api/ask/me?code=hunter2hunter2", headers={"traceparent": PARENT})
    span = collector.named("f")
    assert (span.kind, span.trace, span.parent) == ("SERVER", TRACE, SPAN)
    known = {"faas.trigger": "http", "http.request.method": "GET", "url.scheme": "http", "url.path": "/api/ask/me"}
    known |= {"http.route": "/api/ask/{what}", "http.response.status_code": 404}
    assert known.items() <= span.attributes.items()
    assert "hunter2" not in repr(span)


async def test_mqtt_carries_the_trace_as_a_user_property(
    traced: Traced, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> None:
    code = "@app.mqtt_trigger('m', 'in/#')\n@app.mqtt_output('$return', 'out')\ndef f(m: str):\n    return m\n"
    with broker_in(tmp_path_factory.mktemp("broker")) as broker, peer_of(broker, "out") as peer:
        async with running(traced(code, MQTT_BROKER=broker.address)) as site:
            await until(lambda: "online" in repr(site.host.status()["brokers"]))
            peer.publish("in/1", "x", UserProperty=[("traceparent", PARENT)])
            await until(lambda: peer.bodies == ["x"])
    span = collector.named("f")
    assert (span.parent, span.attributes["messaging.system"], span.attributes["messaging.destination.name"]) == (
        SPAN,
        "mqtt",
        "in/1",
    )
    assert carried(dict(peer.messages[0].properties.UserProperty)) == f"{TRACE}-{span.id}"
    assert collector.named("send out").parent == span.id


# --- the collector is away ---------------------------------------------------------------------------------------


async def test_a_collector_that_is_away_holds_up_nothing_and_is_told_once(
    traced: Traced, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.answer = 400
    code = f"{TICK.replace('count=1', 'count=3000')}async def f(tick): ...\n"
    quick = {"OTEL_BSP_MAX_QUEUE_SIZE": "64", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "32"}
    app = traced(code, **quick, OTEL_EXPORTER_OTLP_HEADERS="api-key=k1234567")
    await run(app)
    assert app.services.metrics.function("f").counts["ok"] == 3000
    lost = [
        sample.value
        for family in app.services.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "edgefn_spans_lost_total"
    ]
    assert sum(lost) == 3000
    told = [(record.name, record.getMessage()) for record in caplog.records if record.levelno >= logging.WARNING]
    said = [(name, text.split(": ")[0]) for name, text in told if "the event loop" not in text]  # on a busy machine
    assert said == [("edgefn.traces", "Traces do not leave")]
    assert "k1234567" not in caplog.text


def test_what_is_told_is_when_it_begins_and_when_it_ends(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    class Exporter:
        def export(self, spans: Any) -> Any:
            logging.getLogger("opentelemetry.exporter.test").error("connection refused.")
            logging.getLogger("opentelemetry.exporter.test").error("tried for too long.")
            return next(results)

    from opentelemetry.sdk.trace.export import SpanExportResult as Result

    results = iter([Result.FAILURE] * 3 + [Result.SUCCESS] * 2 + [Result.FAILURE])
    metrics = app_of({}).services.metrics
    reason = Reason()
    outlet = Outlet(Exporter(), metrics, reason)  # type: ignore[arg-type]
    caplog.set_level(logging.INFO)
    for _ in range(6):
        outlet.export([ReadableSpan("f", resource=Resource({}))])
    reason.close()
    assert [record.getMessage() for record in caplog.records] == [
        "Traces do not leave: connection refused; lost spans are counted in edgefn_spans_lost_total",
        "Traces leave again; 3 spans were lost",
        "Traces do not leave: connection refused; lost spans are counted in edgefn_spans_lost_total",
    ]


# --- off, and wrong ----------------------------------------------------------------------------------------------


def test_without_telemetry_mode_nothing_of_it_is_imported(app_of: AppIn) -> None:
    app = app_of({"functions/ticks.py": PLUGIN, "functions/f.py": "import edgefn\napp = edgefn.FunctionApp()\n"})
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom edgefn.host import Host\n"
        "from edgefn.loader import load_app\nfrom edgefn.traces import tracing\n"
        f"app = load_app(Path({str(app.root)!r}), environment={{}})\n"
        "async def run():\n    host = Host(app)\n    await host.start()\n    await host.stop()\n"
        "with tracing(app.services):\n    asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


async def test_without_telemetry_mode_messages_are_as_they_were(app_of: AppIn) -> None:
    off = json.dumps({**ON, "telemetryMode": "ApplicationInsights"})
    app = app_of({"host.json": off, "functions/ticks.py": PLUGIN, "functions/f.py": HEAD + CHAIN})
    await run(app)
    (message,) = app.manager.get_plugin("functions.f").seen
    assert (message.properties, app.services.traces.spans) == ({}, None)


async def test_an_app_that_has_a_provider_of_its_own_gets_the_spans(app_of: AppIn, collector: Collector) -> None:
    provider, exporter = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    api.set_tracer_provider(provider)
    code = f"{HEAD}{TICK}def f(tick): ...\n"
    files = {"host.json": json.dumps(ON), "functions/ticks.py": PLUGIN, "functions/f.py": code}
    await run(app_of(files, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address))
    assert [span.name for span in exporter.get_finished_spans()] == ["f"]
    assert collector.spans == []


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"},
            "setting OTEL_EXPORTER_OTLP_PROTOCOL should be one of http/protobuf, grpc; found 'http/json'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "host.json:1: telemetryMode OpenTelemetry: the exporter otlp_proto_grpc is not installed; "
            "right would be: pip install opentelemetry-exporter-otlp-proto-grpc",
        ),
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "there is no exporter 'zipkin'; exporters: console, none, otlp"),
        ({"OTEL_TRACES_EXPORTER": "none"}, ""),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "zipkin"}, ""),
    ],
)
async def test_what_is_lacking_is_an_error_of_the_app_which_runs(
    settings: dict[str, str], said: str, app_of: AppIn
) -> None:
    code = f"{HEAD}{TICK}def f(tick): seen.append(tick)\n"
    files = {"host.json": json.dumps(ON), "functions/ticks.py": PLUGIN, "functions/f.py": code}
    app = app_of(files, **settings)
    assert said in "\n".join(app.errors)
    assert bool(app.errors) == bool(said)
    await run(app)
    assert app.manager.get_plugin("functions.f").seen == [0]


def test_a_missing_extra_is_named(app_of: AppIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise traces.PackageNotFoundError(name)

    monkeypatch.setattr(traces, "version", version)
    app = app_of({"host.json": json.dumps(ON)})
    assert app.errors == [
        f"{app.root / 'host.json'}:1: telemetryMode OpenTelemetry: the OpenTelemetry SDK is not installed; "
        "right would be: pip install 'edgefn[otel]'"
    ]


def test_a_setting_that_the_library_refuses_is_said(app_of: AppIn, caplog: pytest.LogCaptureFixture) -> None:
    app = app_of({"host.json": json.dumps(ON)}, OTEL_BSP_MAX_QUEUE_SIZE="1", OTEL_BSP_MAX_EXPORT_BATCH_SIZE="5")
    with tracing(app.services):
        assert app.services.traces.spans is None
    assert "Traces are not taken: max_export_batch_size must be less than or equal to max_queue_size" in caplog.text


def test_the_environment_asks_for_traces_too(folder: Callable[..., Any]) -> None:
    root = folder({})
    assert not load_host_config(root, {}).is_traced
    assert load_host_config(root, {"AzureFunctionsJobHost__telemetryMode": "openTelemetry"}).is_traced


async def test_spans_that_are_left_at_the_end_are_told_and_do_not_hold_it_up(
    traced: Traced, collector: Collector, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(span_export, "PATIENCE", 0.05)
    monkeypatch.setattr(span_export, "LAST_WISH", 0.05)
    collector.answers.clear()
    code = f"{TICK.replace('count=1', 'count=40')}async def f(tick): ...\n"
    await run(traced(code, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="10"))
    collector.answers.set()
    assert re.search(r"\d+ spans had not left when the host ended, and are lost", caplog.text)


def test_a_telemetry_mode_that_there_is_not_is_refused_with_its_line(folder: Callable[..., Any]) -> None:
    root = folder({"host.json": '{"version": "2.0",\n "telemetryMode": "OpenTelemtry"}'})
    with pytest.raises(SettingError, match=r"host.json:2: telemetryMode should be one of .*; found 'OpenTelemtry'"):
        load_host_config(root, {})


class Failing(SpanProcessor):
    """A processor of an app's own that fails on each span: at its start, or at its end."""

    def __init__(self, step: str) -> None:
        self._step = step

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        if self._step == "start":
            raise LookupError("a processor that fails")

    def on_end(self, span: Any) -> None:
        if self._step == "end":
            raise LookupError("a processor that fails")


@pytest.mark.parametrize("step", ["start", "end"])
async def test_a_processor_of_the_app_that_fails_costs_the_span_and_no_invocation(
    app_of: AppIn, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Failing(step))
    api.set_tracer_provider(provider)
    files = {"host.json": json.dumps(ON), "functions/ticks.py": PLUGIN, "functions/f.py": HEAD + CHAIN}
    app = app_of(files)
    async with running(app) as site:
        seen = site.module().seen
        await until(lambda: len(seen) == 1)
        await app.services.spool.idle()
        figures = [site.function(name) for name in ("first", "second")]
        assert [(each["invocations"], each["failed"]) for each in figures] == [(1, 0), (1, 0)]
    assert len(seen) == 1
    assert "for traces: LookupError: a processor that fails" in caplog.text
