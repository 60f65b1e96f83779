"""The workload API: what a module asks for the root certificate, and to sign its tokens."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn.standin.certificates import Certificates
from edgefn.standin.clients import Clients
from edgefn.standin.faults import Faults
from edgefn.standin.identities import Identity, new_identity

WORKLOAD_MODE = 0o666
"""Of the socket, as IoT Edge has it: a module may run as any user of its container. Who may come to the socket is said
by the folder that it is in, which is for this user only.
"""


class Workload:
    """Answers as IoT Edge's own does; see ``routes``."""

    def __init__(self, certificates: Certificates, clients: Clients, faults: Faults) -> None:
        self._certificates = certificates
        self._clients = clients
        self._faults = faults

    def routes(self) -> list[Route]:
        return [
            Route("/trust-bundle", self._trust_bundle),
            Route("/modules/{module}/genid/{generation}/sign", self._sign, methods=["POST"]),
        ]

    async def _trust_bundle(self, _request: Request) -> Response:
        return await self._faulty() or JSONResponse({"certificate": self._certificates.trust_bundle})

    async def _sign(self, request: Request) -> Response:
        if faulty := await self._faulty():
            return faulty
        module, generation = request.path_params["module"], request.path_params["generation"]
        client = self._clients.find(f"{self._clients.device}/{module}")
        if client is None or client.identity.generation != generation:
            return _refused(404, f"there is no module {module} of generation {generation}; `edgefn hub env` makes one")
        try:
            data = _data_of(await request.body())
        except ValueError as error:
            return _refused(
                400, f'{error}; {{"keyId": "primary", "algo": "HMACSHA256", "data": base64}} would be right'
            )
        return JSONResponse({"digest": self._signer(client.identity).sign(data)})

    def _signer(self, identity: Identity) -> Identity:
        wrong = self._faults.strike("wrong-signature")
        return new_identity(identity.device, identity.module) if wrong else identity

    async def _faulty(self) -> Response | None:
        """The answer of a fault that holds, after the wait of one that makes it slow."""
        if fault := self._faults.strike("workload-hang"):
            await fault.over.wait()
        if fault := self._faults.strike("workload-slow"):
            await asyncio.sleep(fault.number("by"))
        refuses = self._faults.strike("workload-503") or self._faults.find("workload-gone")
        return _refused(503, "as asked for") if refuses else None


def _refused(status: int, text: str) -> Response:
    return JSONResponse({"message": text}, status)


def _data_of(body: bytes) -> bytes:
    """What is to be signed; raises ValueError."""
    asked: Any = orjson.loads(body)
    if not isinstance(asked, dict) or not isinstance(asked.get("data"), str):
        raise ValueError("no data to sign")
    if str(asked.get("algo", "HMACSHA256")).upper() != "HMACSHA256":
        raise ValueError(f"no algorithm {asked['algo']!r}")
    try:
        return base64.b64decode(asked["data"], validate=True)
    except binascii.Error:
        raise ValueError("the data is no base64") from None
