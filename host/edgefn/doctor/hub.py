"""The hub: the environment of IoT Edge or a connection string, the workload API, the gateway and its port.

No CONNECT is sent: a host that runs with the same identity keeps its connection.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

from edgefn.doctor.lines import Line, note, of_error, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.errors import SettingError, listing
from edgefn.hubs.iot_edge.credentials import Credentials, fetch_credentials
from edgefn.hubs.iot_edge.identity import VARIABLES, Identity, WorkloadKey, find_identity
from edgefn.hubs.mqtt import hub_address, prefix_of
from edgefn.hubs.options import EdgeHubOptions, edge_hub_options
from edgefn.mqtt.faults import Fault
from edgefn.settings import Settings

PORT = 8883
PATIENCE = 5.0
"""Seconds for TCP."""
LIFETIME = 60.0
"""Seconds of the token that is signed to see whether it is, and is then thrown away."""


def check_hub(subject: Subject) -> Iterator[Line]:
    """Who the host is to the hub, whether that can be shown, and whether the hub answers."""
    if _options(subject).broker:
        yield _broker(subject)
        return
    try:
        identity = find_identity(subject.settings)
    except SettingError as error:
        yield of_error("hub", error)
        return
    if identity is None:
        yield ok("hub", "the local one, in the host's process: no environment of IoT Edge, no connection string")
        return
    yield _identity(identity)
    yield from _left_over(subject.settings, identity)
    credentials, line = _credentials(identity)
    yield line
    address = _address(identity)
    yield address
    if address.remedy:
        return
    yield _port(identity) if credentials is None else _tls(identity, credentials, _options(subject))


def _broker(subject: Subject) -> Line:
    """A broker as the hub; whether that answers is another check's."""
    try:
        address = hub_address(subject.root, subject.config, subject.settings)
        prefix = prefix_of(subject.root, subject.config)
    except SettingError as error:
        return of_error("hub", error)
    assert address is not None
    return ok("hub", f"the broker {address.name}, under the topics {prefix}/...")


def _identity(identity: Identity) -> Line:
    kind = "module" if identity.module else "device"
    by = "the environment of IoT Edge" if isinstance(identity.key, WorkloadKey) else identity.key.variable
    return ok("hub", f"{kind} {identity.name} of {identity.iot_hub}, by {by}")


def _left_over(settings: Settings, identity: Identity) -> Iterator[Line]:
    """Variables of IoT Edge that do nothing, since they are not all there and a connection string is."""
    there = [name for name in VARIABLES if settings.get(name)]
    if there and not isinstance(identity.key, WorkloadKey):
        found = f"{listing(there)} set, but not all of edgeAgent's variables: {identity.key.variable} is used"
        yield note("hub", found, "unset them, or set all seven to be a module of IoT Edge")


def _credentials(identity: Identity) -> tuple[Credentials | None, Line]:
    began = time.monotonic()
    try:
        credentials = fetch_credentials(identity, LIFETIME)
    except Fault as fault:
        return None, of_error("credentials", fault)
    if not isinstance(identity.key, WorkloadKey):
        return credentials, ok("credentials", f"a key in {identity.key.variable}; trusted are {identity.roots}")
    took = (time.monotonic() - began) * 1000
    signs = f"gave its roots and signed for generation {identity.key.generation} in {took:.0f} ms"
    return credentials, ok("credentials", f"workload API {identity.key.uri}: {signs}")


def _address(identity: Identity) -> Line:
    try:
        found = socket.getaddrinfo(identity.host, PORT, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = f"{identity.host_setting}: '{identity.host}' has no address ({getattr(error, 'strerror', error)})"
        right = (
            "name a host that resolves here, or put it on edgeAgent's network: docker network inspect azure-iot-edge"
        )
        return wrong("gateway", said, right)
    addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
    return ok("gateway", f"{identity.host} is {listing(addresses)}")


def _port(identity: Identity) -> Line:
    """Without credentials there are no roots to check TLS with."""
    where = f"{identity.host}:{PORT}"
    try:
        socket.create_connection((identity.host, PORT), PATIENCE).close()
    except OSError as error:
        return wrong("hub port", f"{where} does not answer ({error.strerror or error})", "let edgeHub run there")
    return note("hub port", f"{where} answers; its certificate was not looked at", "mend the credentials first")


def _tls(identity: Identity, credentials: Credentials, options: EdgeHubOptions) -> Line:
    from edgefn.hubs.iot_edge.sdk import reach

    began = time.monotonic()
    try:
        version = reach(identity, credentials, options)
    except Fault as fault:
        return of_error("hub port", fault)
    took = (time.monotonic() - began) * 1000
    return ok("hub port", f"{identity.host}:{PORT} answers {version}, and its certificate is trusted ({took:.0f} ms)")


def _options(subject: Subject) -> EdgeHubOptions:
    """Wrong ones are an error of the app already."""
    try:
        return edge_hub_options(subject.root, subject.config)
    except SettingError:
        return EdgeHubOptions()
