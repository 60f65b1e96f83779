"""Who this host is to the hub, and how it shows that: from the environment of IoT Edge, or a connection string."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field

from edgefn.errors import SettingError, listing
from edgefn.settings import Settings

VARIABLES = (
    "IOTEDGE_IOTHUBHOSTNAME",
    "IOTEDGE_DEVICEID",
    "IOTEDGE_MODULEID",
    "IOTEDGE_GATEWAYHOSTNAME",
    "IOTEDGE_MODULEGENERATIONID",
    "IOTEDGE_WORKLOADURI",
    "IOTEDGE_APIVERSION",
)
"""What edgeAgent gives each module."""
DEBUG_STRING = "EdgeHubConnectionString"
CONNECTION_STRING = "CONNECTIONSTRING"
CA_FILE = "EdgeModuleCACertificateFile"


@dataclass(frozen=True, slots=True)
class WorkloadKey:
    """The key that the IoT Edge runtime keeps, and signs with on request."""

    uri: str
    generation: str
    api_version: str


@dataclass(frozen=True, slots=True)
class SharedKey:
    """A key out of a connection string."""

    key: bytes = field(repr=False)
    variable: str
    """The setting that holds the connection string."""
    ca_file: str = ""
    """The roots to trust; those of the system when empty."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A module, or a device where ``module`` is empty."""

    iot_hub: str
    device: str
    module: str
    gateway: str
    """The host to connect to; the IoT Hub itself when empty."""
    key: WorkloadKey | SharedKey

    @property
    def name(self) -> str:
        """Also its MQTT client id."""
        return f"{self.device}/{self.module}" if self.module else self.device

    @property
    def host(self) -> str:
        return self.gateway or self.iot_hub

    @property
    def path(self) -> str:
        """As topics begin, and tokens end."""
        return f"devices/{self.device}/modules/{self.module}" if self.module else f"devices/{self.device}"

    @property
    def host_setting(self) -> str:
        """The setting that names ``host``, as errors call it."""
        if isinstance(self.key, WorkloadKey):
            return "IOTEDGE_GATEWAYHOSTNAME"
        return f"{'GatewayHostName' if self.gateway else 'HostName'} in {self.key.variable}"

    @property
    def roots(self) -> str:
        """Where the roots to trust come from, as errors call it."""
        if isinstance(self.key, WorkloadKey):
            return "the trust bundle of the workload API"
        return f"{CA_FILE} {self.key.ca_file}" if self.key.ca_file else f"the system's roots ({CA_FILE} names others)"

    @property
    def key_setting(self) -> str:
        """The settings that make the hub take this identity for what it is, as errors call them."""
        if isinstance(self.key, WorkloadKey):
            return "IOTEDGE_MODULEID and IOTEDGE_MODULEGENERATIONID"
        return f"SharedAccessKey in {self.key.variable}"


def find_identity(settings: Settings) -> Identity | None:
    """The identity that the settings hold, None when they hold none; raises SettingError for half of one.

    The order is the SDK's: the seven variables of IoT Edge, then ``EdgeHubConnectionString``. After them comes
    ``CONNECTIONSTRING``, where it is one of IoT Hub.
    """
    values = {name: settings.get(name) or "" for name in VARIABLES}
    if all(values.values()):
        return _with_topics(_from_environment(values), "IOTEDGE_DEVICEID and IOTEDGE_MODULEID")
    ca_file = settings.get(CA_FILE) or ""
    for variable in (DEBUG_STRING, CONNECTION_STRING):
        text = settings.get(variable) or ""
        if text and (variable == DEBUG_STRING or "HostName=" in text):
            return _with_topics(_from_connection_string(text, variable, ca_file), variable)
    if any(values.values()):
        missing = listing(name for name, value in values.items() if not value)
        there = listing(name for name, value in values.items() if value)
        raise SettingError(
            f"the environment of IoT Edge: {missing} not set, while there is {there}; edgeAgent sets all seven, and "
            "without any of them the local hub is used"
        )
    return None


def _with_topics(identity: Identity, where: str) -> Identity:
    """The identity, where its name can stand in a topic; raises SettingError."""
    if set("+#/") & set(identity.device + identity.module):
        raise SettingError(f"{where}: '{identity.name}' can not be used over MQTT; a name without + # / would be right")
    return identity


def _from_environment(values: Mapping[str, str]) -> Identity:
    iot_hub, device, module, gateway, generation, uri, api_version = (values[name] for name in VARIABLES)
    if not uri.startswith(("unix://", "http://")):
        raise SettingError(f"IOTEDGE_WORKLOADURI: {uri!r} is no workload API; unix:///path/workload.sock is one")
    return Identity(iot_hub, device, module, gateway, WorkloadKey(uri, generation, api_version))


def _from_connection_string(text: str, variable: str, ca_file: str) -> Identity:
    """Never shows any part of the text: it holds a key."""
    right = "HostName=...;DeviceId=...;ModuleId=...;SharedAccessKey=...;GatewayHostName=... would be right"
    parts = dict(part.partition("=")[::2] for part in text.strip().strip(";").split(";"))
    missing = [name for name in ("HostName", "DeviceId", "SharedAccessKey") if not parts.get(name)]
    if missing:
        raise SettingError(f"{variable}: no {listing(missing)} in the connection string; {right}")
    try:
        key = base64.b64decode(parts["SharedAccessKey"], validate=True)
    except binascii.Error:
        raise SettingError(
            f"{variable}: its SharedAccessKey is no base64; copy it whole, with any = at its end"
        ) from None
    return Identity(
        parts["HostName"],
        parts["DeviceId"],
        parts.get("ModuleId", ""),
        parts.get("GatewayHostName", ""),
        SharedKey(key, variable, ca_file),
    )
