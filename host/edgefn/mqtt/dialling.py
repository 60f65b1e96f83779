"""A client of paho for MQTT 5 that has sent its CONNECT. No thread reads for it: whoever gets it does.

Importing this file takes a while, and dialling blocks: do both in a thread.
"""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgefn.mqtt.address import Address
from edgefn.mqtt.attempts import check_wanted
from edgefn.mqtt.faults import Cause, Fault
from edgefn.mqtt.options import MqttOptions

LONGEST_DIAL = 5.0
"""Seconds for TCP, and again for TLS."""
METHOD = "K8S-SAT"
"""The authentication method of Azure IoT Operations for service account tokens."""
WRONG_NAME = (62, 64)
WRONG_TIME = (9, 10)
"""OpenSSL's X509_V_ERR_ numbers: host name and address; not yet, and no longer valid."""


@dataclass(frozen=True, slots=True)
class Dialled:
    """A client, and the token that it has shown."""

    client: mqtt.Client
    token: bytes = b""


def dial(
    address: Address, client_id: str, options: MqttOptions, given_up: threading.Event, *, clean_start: bool
) -> Dialled:
    """Blocks for the time that name, TCP and TLS take; raises Fault. Files are read anew each time.

    No CONNECT leaves once it was ``given_up``.
    """
    check_wanted(given_up)
    token = token_of(address)
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=mqtt.MQTTv5,
        manual_ack=True,
        reconnect_on_failure=False,
    )
    client.max_inflight_messages = 0
    if address.user:
        client.username_pw_set(address.user, address.password or None)
    sock = reached(address, options)
    client._create_socket = lambda: sock  # type: ignore[method-assign]  # paho's own way leaves it open when TLS fails
    keep_alive = address.keep_alive or options.keep_alive
    try:
        check_wanted(given_up)
        client.connect(
            address.host,
            address.port,
            keepalive=max(1, keep_alive - 1),  # paho looks after it when it is asked to: twice the option is a bound
            clean_start=clean_start,
            properties=_properties(address, options, token),
        )
    except BaseException:
        sock.close()
        raise
    return Dialled(client, token)


def _properties(address: Address, options: MqttOptions, token: bytes) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    expiry = options.session_expiry if address.session_expiry is None else address.session_expiry
    properties.SessionExpiryInterval = int(expiry)
    properties.ReceiveMaximum = options.receive_maximum
    if options.max_packet_size is not None:
        properties.MaximumPacketSize = options.max_packet_size
    if token:
        properties.AuthenticationMethod = METHOD
        properties.AuthenticationData = token
    return properties


def token_of(address: Address) -> bytes:
    """What the token file holds at present, empty where there is none to be read; raises Fault."""
    if not address.token:
        return b""
    try:
        found = Path(address.token).read_bytes().strip()
    except OSError as error:
        raise Fault(
            Cause.REFUSED, f"{address.token}: no token ({error.strerror}); the pod's volume should hold it"
        ) from None
    if not found or len(found) > 65_535:
        raise Fault(
            Cause.REFUSED, f"{address.token}: {len(found)} bytes are no token; the pod's volume should hold one"
        )
    return found


def reached(address: Address, options: MqttOptions) -> socket.socket:
    """A socket to the broker, with TLS where that is asked for; raises Fault."""
    timeout = min(LONGEST_DIAL, options.connect_timeout)
    context = _context(address) if address.tls else None
    try:
        sock = socket.create_connection((address.host, address.port), timeout)
    except (OSError, UnicodeError) as error:
        raise Fault(Cause.UNREACHABLE, f"{address.name}: {_unreachable(address, error)}") from None
    try:
        # answers wait for nothing: Nagle's algorithm and delayed acknowledgements make 44 ms of 0.5
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock if context is None else context.wrap_socket(sock, server_hostname=address.host)
    except (OSError, ValueError) as error:
        sock.close()
        raise Fault(Cause.CERTIFICATE, f"{address.name}: {_no_tls(address, error)}") from None
    except BaseException:
        sock.close()
        raise


def hang_up(dialled: Dialled) -> None:
    """Closes what ``dial`` has opened."""
    sock = dialled.client.socket()
    if sock is not None:
        sock.close()


def _context(address: Address) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=address.ca or None)
    except (OSError, ValueError) as error:
        right = "PEM of the broker's authority would be right"
        said = f"{address.ca}: no certificates that can be used ({_reason(error)}); {right}"
        raise Fault(Cause.CERTIFICATE, said) from None
    if address.cert:
        try:
            context.load_cert_chain(address.cert, address.key or None, password=lambda: "")
        except (OSError, ValueError) as error:
            files = f"{address.cert}, {address.key}" if address.key else address.cert
            right = "PEM, and a key without a password, would be right"
            said = f"{files}: no certificate and key that can be used ({_reason(error)}); {right}"
            raise Fault(Cause.CERTIFICATE, said) from None
    return context


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or error)


def _unreachable(address: Address, error: OSError | UnicodeError) -> str:
    """What a failed connection says to the person who runs the host."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"'{address.host}' has no address ({_reason(error)}); a name that resolves here would be right"
    if isinstance(error, TimeoutError):
        return "no answer; a broker should be running there"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there; a broker should be running"
    return f"can not be reached ({error}); a broker should be running there"


def _no_tls(address: Address, error: OSError | ValueError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f"no TLS ({_reason(error)}); a broker with TLS should answer, or mqtt:// be said"
    if error.verify_code in WRONG_NAME:
        return f"the certificate of the broker is not for '{address.host}'; a name that it is for would be right"
    if error.verify_code in WRONG_TIME:
        return f"the certificate of the broker: {error.verify_message}; renew it, or look at both clocks"
    roots = address.ca or "the system's authorities"
    said = f"the certificate of the broker is not trusted by {roots} ({error.verify_message})"
    return f"{said}; name that of its authority in ca"
