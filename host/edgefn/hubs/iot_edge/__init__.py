"""``iotedge``: the hub of IoT Edge, where its environment or a connection string is there.

    settings.py, environment -> identity -> keeper -> credentials (workload), sdk -> connection -> hub -> sink
                                                                         (deliveries: inputs, patches, methods; twins)

Microsoft's SDK makes the client; its pipeline, queues and threads are left out, since they hang, go deaf and lose
messages under the faults in docs/hubs.md. Each connection is a new client: nothing outlives it that could be stale.
"""

from __future__ import annotations

from pathlib import Path

from edgefn.contracts import Hub
from edgefn.hookspecs import hookimpl
from edgefn.hubs.iot_edge.identity import find_identity
from edgefn.hubs.options import edge_hub_options
from edgefn.metrics import Metrics
from edgefn.settings import HostConfig, Settings


@hookimpl
def edgefn_hub(root: Path, state: Path, config: HostConfig, settings: Settings, metrics: Metrics) -> Hub | None:
    identity = find_identity(settings)
    if identity is None:
        return None
    from edgefn.hubs.iot_edge.hub import IotEdgeHub

    return IotEdgeHub(identity, edge_hub_options(root, config), metrics)
