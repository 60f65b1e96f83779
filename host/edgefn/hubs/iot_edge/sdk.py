"""Where ``azure.iot.device`` and ``paho`` are touched: a client of the SDK is made, and its MQTT client taken out.

The SDK decides what a client is to the hub: client id, user name, token, TLS, session. What it does with the client
afterwards - reconnecting, renewing, its queues and threads - is where it hangs, goes deaf and loses messages
(docs/hubs.md), and is not begun. Importing this file takes a while: do it in a thread.
"""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from typing import Any

import paho.mqtt.client as mqtt
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient
from azure.iot.device.common.mqtt_transport import MQTTTransport

from edgefn.hubs.iot_edge.credentials import Credentials
from edgefn.hubs.iot_edge.identity import Identity
from edgefn.hubs.options import EdgeHubOptions
from edgefn.mqtt.attempts import check_wanted
from edgefn.mqtt.faults import Cause, Fault

PORT = 8883
LONGEST_DIAL = 5.0
"""Seconds for TCP, and again for TLS."""
TLS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
WRONG_NAME = (62, 64)
WRONG_TIME = (9, 10)
"""OpenSSL's X509_V_ERR_ numbers: host name and address; not yet, and no longer valid."""


def dial(
    identity: Identity, credentials: Credentials, options: EdgeHubOptions, given_up: threading.Event
) -> mqtt.Client:
    """An MQTT client of the SDK that has sent its CONNECT. No thread reads for it: whoever gets it does.

    Blocks for the time that name, TCP and TLS take; raises Fault. No CONNECT leaves once it was ``given_up``.
    """
    check_wanted(given_up)
    client, user = _make_client(identity, credentials)
    client.username_pw_set(user, credentials.token)
    client.max_inflight_messages = 0
    client.manual_ack_set(True)
    client.disable_logger()
    sock = _reached(identity, client, options)
    try:
        check_wanted(given_up)
    except Fault:
        sock.close()
        raise
    client._create_socket = lambda: sock  # type: ignore[method-assign]
    # paho looks after its keep-alive each time it is asked to: a second less makes twice the option a bound
    client.connect(identity.host, PORT, keepalive=max(1, options.keep_alive - 1))
    return client


def reach(identity: Identity, credentials: Credentials, options: EdgeHubOptions) -> str:
    """Opens TLS to the hub as ``dial`` does, and closes it without a CONNECT; the version of TLS.

    Whoever is connected with the same identity stays so. Blocks as ``dial`` does; raises Fault.
    """
    client, _ = _make_client(identity, credentials)
    with _reached(identity, client, options) as sock:
        return sock.version() or "TLS"


def _reached(identity: Identity, client: mqtt.Client, options: EdgeHubOptions) -> ssl.SSLSocket:
    context = _take_over(client)
    context.maximum_version = TLS[options.max_tls]
    try:
        return _opened(identity.host, context, min(LONGEST_DIAL, options.connect_timeout))
    except (OSError, ValueError) as error:
        raise _fault(identity, error) from None


def _opened(host: str, context: ssl.SSLContext, timeout: float) -> ssl.SSLSocket:
    """A socket to the hub; closed where that fails, as paho's own way would not."""
    sock = socket.create_connection((host, PORT), timeout)
    try:
        # answers wait for nothing: 0.5 ms where Nagle's algorithm and delayed acknowledgements make it 44
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def hang_up(client: mqtt.Client) -> None:
    """Closes what ``dial`` has opened."""
    sock = client.socket()
    if sock is not None:
        sock.close()


def _make_client(identity: Identity, credentials: Credentials) -> tuple[mqtt.Client, str]:
    """The client, and its user name; without connection."""
    quiet = logging.getLogger("azure.iot.device")
    if quiet.level == logging.NOTSET:
        quiet.setLevel(logging.WARNING)
    options: dict[str, Any] = {
        "server_verification_cert": credentials.roots,
        "gateway_hostname": identity.gateway or None,
        "auto_connect": False,
        "connection_retry": False,
    }
    kind = IoTHubModuleClient if identity.module else IoTHubDeviceClient
    try:
        made = kind.create_from_sastoken(credentials.token, **options)
    except (ssl.SSLError, ValueError) as error:
        said = f"{identity.roots}: no certificates that can be used ({error}); certificates in PEM would be right"
        raise Fault(Cause.CERTIFICATE, said) from None
    return _taken_out_of(made)


def _taken_out_of(made: Any) -> tuple[mqtt.Client, str]:
    """The MQTT client of an SDK client, and the user name; ends the thread that waits to ask for a new token."""
    try:
        stages = [made._mqtt_pipeline._pipeline]
        while stages[-1].next is not None:
            stages.append(stages[-1].next)
        transport = stages[-1].transport
        next(stage for stage in stages if hasattr(stage, "_token_update_alarm"))._token_update_alarm.cancel()
        client, user = transport._mqtt_client, transport._username
    except (AttributeError, StopIteration) as error:
        raise _unknown_shape(str(error)) from None
    if not isinstance(transport, MQTTTransport) or not isinstance(client, mqtt.Client):
        raise _unknown_shape(f"{type(transport).__name__}, {type(client).__name__}")
    return client, user


def _take_over(client: mqtt.Client) -> ssl.SSLContext:
    """Gives its TLS, and ends that it connects by itself; for a client that another has made there is no other way."""
    context = getattr(client, "_ssl_context", None)
    known = isinstance(context, ssl.SSLContext) and hasattr(client, "_create_socket")
    if not known or not getattr(client, "_reconnect_on_failure", False):
        raise _unknown_shape("the MQTT client")
    client._reconnect_on_failure = False  # else it answers CONNACK 1 with a connection, made on the event loop
    assert isinstance(context, ssl.SSLContext)
    return context


def _unknown_shape(found: str) -> Fault:
    return Fault(
        Cause.CLIENT,
        f"azure-iot-device is built in a way that is not known here ({found}); azure-iot-device>=2.15.0rc1,<2.16 and "
        "paho-mqtt>=2.2,<3 would be right",
    )


def _fault(identity: Identity, error: OSError | ValueError) -> Fault:
    """What a failed connection says to the person who runs the host."""
    host, setting = f"{identity.host}:{PORT}", identity.host_setting
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(Cause.CERTIFICATE, _certificate(identity, error))
    if isinstance(error, socket.gaierror):
        said = (
            f"{setting}: '{identity.host}' has no address ({error.strerror}); a name that resolves here would be right"
        )
        return Fault(Cause.UNREACHABLE, said)
    if isinstance(error, TimeoutError):
        return Fault(Cause.UNREACHABLE, f"{setting}: {host} does not answer; edgeHub should be running there")
    if isinstance(error, ssl.SSLError):
        return Fault(
            Cause.CERTIFICATE, f"{setting}: no TLS with {host} ({error.reason or error}); edgeHub should answer"
        )
    if isinstance(error, ConnectionRefusedError):
        return Fault(Cause.UNREACHABLE, f"{setting}: nothing listens at {host}; edgeHub should be running there")
    return Fault(Cause.UNREACHABLE, f"{setting}: {host} can not be reached ({error}); edgeHub should be running there")


def _certificate(identity: Identity, error: ssl.SSLCertVerificationError) -> str:
    host, setting = identity.host, identity.host_setting
    if error.verify_code in WRONG_NAME:
        return f"{setting}: the certificate of the hub is not for '{host}'; the `hostname` in IoT Edge's config.toml is"
    if error.verify_code in WRONG_TIME:
        return f"{setting}: the certificate of '{host}': {error.verify_message}; renew it, or look at both clocks"
    return f"{setting}: the certificate of '{host}' is not trusted by {identity.roots} ({error.verify_message})"
