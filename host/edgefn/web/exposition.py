"""The metrics of a host as they are asked for: what was counted, and how its functions, sources and twin are now."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from edgefn import __version__
from edgefn.host import Host
from edgefn.ids import new_id
from edgefn.settings import Settings

COUNTED = ("counter", "histogram", "summary")
OF_A_MODULE = {"iothub": "IOTEDGE_IOTHUBHOSTNAME", "edge_device": "IOTEDGE_DEVICEID", "module_name": "IOTEDGE_MODULEID"}
"""Labels that metrics of edgeHub have too: by them boxes are told apart where all of them come together."""


def labels_of(settings: Settings) -> dict[str, str]:
    """The labels of all metrics of a module of IoT Edge, with one for each start; none elsewhere."""
    known = {label: value for label, name in OF_A_MODULE.items() if (value := settings.get(name))}
    return {**known, "instance_number": new_id()} if "edge_device" in known else {}


class Exposition:
    """Something to be collected from, as a registry is."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._labels: Mapping[str, str] = labels_of(host.app.services.settings)

    def text(self) -> bytes:
        """All metrics in Prometheus' form."""
        return generate_latest(self)  # it asks for no more than collect

    def collect(self) -> Iterator[Metric]:
        """All there are, as whose they are. They are made anew for each call, so they may be changed."""
        for metric in self._all():
            if self._labels:
                metric.samples = [each._replace(labels={**each.labels, **self._labels}) for each in metric.samples]
            yield metric

    def _all(self) -> Iterator[Metric]:
        """Without the times at which counters were made: they would be half of all series, and nobody's alert."""
        for metric in self._host.app.services.metrics.registry.collect():
            if metric.type in COUNTED:
                metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
        yield from self._states()

    def _states(self) -> Iterator[Metric]:
        version = GaugeMetricFamily("edgefn_info", "1, with the versions", labels=("version", "python"))
        version.add_metric((__version__, platform.python_version()), 1)
        yield version
        functions = GaugeMetricFamily("edgefn_function_state", "1 for the state it is in", labels=("function", "state"))
        sources = GaugeMetricFamily("edgefn_video_source_state", "1 for the state it is in", labels=("source", "state"))
        found: dict[str, str] = {}
        for running in self._host.running:
            functions.add_metric((running.function.name, running.state), 1)
            told = running.listener.status() if running.listener is not None else {}
            if "source" in told and "state" in told:
                found[str(told["source"])] = str(told["state"])
        for source, state in found.items():
            sources.add_metric((source, state), 1)
        yield functions
        yield sources
        verdict = self._host.operation.verdict
        refused = 1 if verdict is not None and verdict.fault else 0
        yield GaugeMetricFamily("edgefn_twin_refused", "1 while the newest desired properties are refused", refused)
