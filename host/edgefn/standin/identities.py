"""Who may connect: modules of this device and leaf devices, their keys, and the tokens made with those."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from urllib.parse import unquote

from edgefn.errors import HubError
from edgefn.standin.packets import NOT_AUTHORIZED, Connect

API_VERSION = "2021-12-07"
"""Of the workload API, as IoT Edge 1.4 and later tell their modules."""

_NAME = re.compile(r"[A-Za-z0-9\-:.+%_#*?!(),=@;$']{1,128}")
_TOKEN = "SharedAccessSignature "


class Refused(Exception):
    """A CONNECT that is answered with a code other than 0."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Identity:
    """A module, or a leaf device where ``module`` is empty."""

    device: str
    module: str
    key: str
    generation: str

    @property
    def client_id(self) -> str:
        return f"{self.device}/{self.module}" if self.module else self.device

    @property
    def name(self) -> str:
        """What commands call it."""
        return self.module or self.device

    def sign(self, text: bytes) -> str:
        """The HMAC of a text by the identity's key, as base64."""
        return base64.b64encode(hmac.digest(base64.b64decode(self.key), text, hashlib.sha256)).decode()


def new_identity(device: str, module: str) -> Identity:
    """An identity with keys of its own; raises HubError for a name that IoT Hub would refuse."""
    for name in filter(None, (device, module)):
        if not _NAME.fullmatch(name):
            raise HubError(f"{name!r}: no name for a module or device; letters, digits, - . _ would be right")
    key = base64.b64encode(secrets.token_bytes(32)).decode()
    return Identity(device, module, key, str(secrets.randbelow(10**18)))


@dataclass(frozen=True, slots=True)
class Gateway:
    """What clients are told of the hub."""

    iot_hub: str
    host_name: str
    workload_uri: str
    trust_bundle: str

    def module_variables(self, identity: Identity) -> dict[str, str]:
        """The environment that the IoT Edge runtime gives a module."""
        return {
            "IOTEDGE_IOTHUBHOSTNAME": self.iot_hub,
            "IOTEDGE_DEVICEID": identity.device,
            "IOTEDGE_MODULEID": identity.module,
            "IOTEDGE_GATEWAYHOSTNAME": self.host_name,
            "IOTEDGE_MODULEGENERATIONID": identity.generation,
            "IOTEDGE_WORKLOADURI": self.workload_uri,
            "IOTEDGE_APIVERSION": API_VERSION,
            "IOTEDGE_AUTHSCHEME": "sasToken",
        }

    def debug_variables(self, identity: Identity) -> dict[str, str]:
        """The environment of a module that is debugged outside of IoT Edge: no workload API."""
        return {
            "EdgeHubConnectionString": self.connection_string(identity),
            "EdgeModuleCACertificateFile": self.trust_bundle,
        }

    def device_variables(self, identity: Identity) -> dict[str, str]:
        """For a device application: what it connects with, and for OpenSSL the root it should trust."""
        return {"CONNECTIONSTRING": self.connection_string(identity), "SSL_CERT_FILE": self.trust_bundle}

    def connection_string(self, identity: Identity) -> str:
        parts = {
            "HostName": self.iot_hub,
            "DeviceId": identity.device,
            "ModuleId": identity.module,
            "SharedAccessKey": identity.key,
            "GatewayHostName": self.host_name,
        }
        return ";".join(f"{name}={value}" for name, value in parts.items() if value)


def token_end(connect: Connect, identity: Identity, iot_hub: str, now: float) -> float:
    """When the token of a CONNECT ends, if user name and token are the identity's; raises Refused with the reason."""
    wanted = f"{iot_hub}/{identity.client_id}/"
    if not connect.username.startswith(f"{wanted}?") or "api-version=" not in connect.username:
        text = f"wrong user name {connect.username!r}; {wanted}?api-version=... would be right"
        raise Refused(NOT_AUTHORIZED, text)
    return _expiry(connect.password, identity, iot_hub, now)


def _expiry(token: str, identity: Identity, iot_hub: str, now: float) -> float:
    """When a token ends, if it is the identity's; its text is never part of an error."""
    fields = dict(pair.partition("=")[::2] for pair in token.removeprefix(_TOKEN).split("&"))
    if not token.startswith(_TOKEN) or not {"sr", "sig", "se"} <= fields.keys() or not fields["se"].isdecimal():
        raise Refused(NOT_AUTHORIZED, "the password is no token; SharedAccessSignature sr=...&sig=...&se=... would be")
    scope = f"{iot_hub}/devices/{identity.device}" + (f"/modules/{identity.module}" if identity.module else "")
    if unquote(fields["sr"]).lower() != scope.lower():
        raise Refused(NOT_AUTHORIZED, f"a token for {unquote(fields['sr'])!r}; one for {scope!r} would be right")
    if float(fields["se"]) <= now:
        raise Refused(NOT_AUTHORIZED, f"the token expired {now - float(fields['se']):.0f} s ago; make a new one")
    signature = identity.sign(f"{fields['sr']}\n{fields['se']}".encode())
    if not hmac.compare_digest(signature.encode(), unquote(fields["sig"]).encode()):
        raise Refused(NOT_AUTHORIZED, "the token is signed with another key; `edgefn hub env` shows the right one")
    return float(fields["se"])
