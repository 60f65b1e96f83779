"""The served models of one host: made of what host.json says, started and stopped with the web server."""

from __future__ import annotations

import logging

from edgefn.host import Host
from edgefn.web.keys import Keys
from edgefn.web.options import ServerOptions
from edgefn.web.serving.catalog import Catalog
from edgefn.web.serving.desk import Desk
from edgefn.web.serving.grpc import GrpcServer
from edgefn.web.serving.http import ServingOverHttp
from edgefn.web.serving.options import served_at, serving_options

log = logging.getLogger("edgefn.web")


class Serving:
    """Serves the models of one host; raises SettingError when host.json declares it wrongly."""

    def __init__(self, host: Host, keys: Keys, server: ServerOptions) -> None:
        services = host.app.services
        self._options = serving_options(services.root, services.config)
        catalog = Catalog(host, self._options.models, self._options.max_pixels)
        self._desk = Desk(catalog, self._options.max_concurrent_requests, services.metrics)
        needed = keys if server.enforce and self._options.auth_level != "anonymous" else None
        port, address = self._options.grpc_port, self._options.address or server.address
        self.grpc = (
            GrpcServer(
                *(self._desk, needed, address, port),
                *(self._options.max_request_bytes, self._options.max_concurrent_requests),
                served_at(services.root, services.config)("grpcPort"),
            )
            if port is not None
            else None
        )
        self._grace = host.grace
        self.http = ServingOverHttp(self._desk, needed, self._options.max_request_bytes) if self._options.http else None

    async def start(self, url: str) -> None:
        """Takes requests; ``url`` is that of the web server. Raises SettingError when the port is taken."""
        if not self._options.is_on:
            return
        self._desk.open()
        for note in self._desk.catalog.notes():
            log.warning("%s", note)
        names = ", ".join(self._desk.catalog.served()) or "none yet"
        if self.http is not None:
            log.info("Models are served at %s/v2: %s", url, names)
        if self.grpc is not None:
            await self.grpc.start()
            log.info("Models are served by gRPC on port %d: %s", self.grpc.port, names)

    async def stop(self) -> None:
        """Takes no request any more."""
        if self.grpc is not None:
            await self.grpc.stop(self._grace)
        self._desk.close()
