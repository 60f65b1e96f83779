"""A plain MQTT client as a module: paho over TLS, with a token of ours. The second judge, besides Microsoft's SDK."""

from __future__ import annotations

import base64
import hashlib
import hmac
import queue
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.standin.hubs import LONGEST, HubProcess

CODES = (
    "Success",
    "Unsupported protocol version",
    "Client identifier not valid",
    "Server unavailable",
    "Bad user name or password",
    "Not authorized",
)
"""Those of a CONNACK, as paho calls them."""


def parts_of(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.split(";"))


def token(parts: Mapping[str, str], *, seconds: float = 3600, key: str = "") -> str:
    """A SharedAccessSignature as a module makes it of its key."""
    scope = f"{parts['HostName']}/devices/{parts['DeviceId']}"
    if "ModuleId" in parts:
        scope += f"/modules/{parts['ModuleId']}"
    resource, end = quote(scope, safe=""), int(time.time() + seconds)
    secret = base64.b64decode(key or parts["SharedAccessKey"])
    digest = hmac.digest(secret, f"{resource}\n{end}".encode(), hashlib.sha256)
    return f"SharedAccessSignature sr={resource}&sig={quote(base64.b64encode(digest), safe='')}&se={end}"


def trusting(hub: HubProcess) -> ssl.SSLContext:
    """TLS as a module does it: the root of the hub, and the name is checked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(hub.folder / "root.pem")
    return context


class Module:
    """One connection of a module. Messages wait in ``came``; with ``manual_ack`` they are acknowledged by ``ack``."""

    def __init__(
        self, hub: HubProcess, name: str, *, clean: bool = False, seconds: float = 3600, manual_ack: bool = False
    ) -> None:
        self._hub = hub
        self.parts = parts_of(hub.debug_env(name)["EdgeHubConnectionString"])
        self.client_id = f"{self.parts['DeviceId']}/{name}"
        self.base = f"devices/{self.parts['DeviceId']}/modules/{name}"
        self.username = f"{self.parts['HostName']}/{self.client_id}/?api-version=2019-10-01"
        self.password = token(self.parts, seconds=seconds)
        self.came: queue.Queue[MQTTMessage] = queue.Queue()
        self.code: int | None = None
        self.session_present: bool | None = None
        self.acks: list[int] = []
        self._connected = threading.Event()
        self._lost = threading.Event()
        self._granted: queue.Queue[list[int]] = queue.Queue()
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            self.client_id,
            clean_session=clean,
            protocol=MQTTProtocolVersion.MQTTv311,
            manual_ack=manual_ack,
            reconnect_on_failure=False,
        )
        self._client.tls_set_context(trusting(hub))
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = lambda _client, _data, message: self.came.put(message)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = lambda _client, _data, number, *_: self.acks.append(number)

    def connect(self) -> int:
        """Gives the code of the CONNACK."""
        self._client.username_pw_set(self.username, self.password)
        self._client.connect(self._hub.address, 8883, keepalive=60)
        self._client.loop_start()
        assert self._connected.wait(LONGEST), "no CONNACK"
        assert self.code is not None
        return self.code

    def subscribe(self, *filters: str) -> None:
        """To its inputs, unless others are named; returns on the SUBACK."""
        for name in filters or (f"{self.base}/inputs/#",):
            self._client.subscribe(name, qos=1)
            self._granted.get(timeout=LONGEST)

    def publish(self, output: str, body: str | bytes, properties: str = "", *, qos: int = 1) -> None:
        """Sends to an output; returns on the PUBACK."""
        topic = f"{self.base}/messages/events/%24.on={output}{f'&{properties}' if properties else ''}"
        self.publish_on(topic, body, qos=qos)

    def publish_on(self, topic: str, body: str | bytes, *, qos: int = 1) -> None:
        information = self._client.publish(topic, body, qos=qos)
        information.wait_for_publish(LONGEST)
        assert information.is_published(), "no PUBACK"

    def send(self, output: str, body: str | bytes) -> int:
        """Without waiting; gives the packet id."""
        return self._client.publish(f"{self.base}/messages/events/%24.on={output}", body, qos=1).mid

    def next(self, within: float = LONGEST) -> MQTTMessage:
        """The next message that comes."""
        return self.came.get(timeout=within)

    def ack(self, message: MQTTMessage) -> None:
        self._client.ack(message.mid, message.qos)

    def wait_until_lost(self, within: float = LONGEST) -> None:
        """Returns when the hub has closed the connection."""
        assert self._lost.wait(within), "the connection is still there"

    def leave(self) -> None:
        """DISCONNECT, which keeps the session unless it is clean."""
        self._client.disconnect()
        self._client.loop_stop()

    def vanish(self) -> None:
        """Ends without a DISCONNECT."""
        sock = self._client.socket()
        if sock is not None:
            sock.shutdown(2)
        self._client.loop_stop()

    def _on_connect(self, _client: Client, _data: Any, flags: Any, reason: Any, _properties: Any) -> None:
        self.code = CODES.index(reason.getName())
        self.session_present = flags.session_present
        self._connected.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._lost.set()

    def _on_subscribe(self, _client: Client, _data: Any, _number: int, reasons: list[Any], _properties: Any) -> None:
        self._granted.put([reason.value for reason in reasons])


@contextmanager
def module(hub: HubProcess, name: str, **options: Any) -> Iterator[Module]:
    """A connected module, which leaves at the end."""
    connected = Module(hub, name, **options)
    assert connected.connect() == 0
    try:
        yield connected
    finally:
        connected.leave()


def connect_packet(client: Module, *, keep_alive: int = 60) -> bytes:
    """CONNECT on the wire, for what no client does by itself."""
    texts = ("MQTT", client.client_id, client.username, client.password)
    name, *fields = (len(text.encode()).to_bytes(2) + text.encode() for text in texts)
    body = name + b"\x04\xc2" + keep_alive.to_bytes(2) + b"".join(fields)
    return b"\x10" + bytes([len(body) % 128 | 128, len(body) // 128]) + body
