"""The MQTT brokers that functions, or the hub, name: their addresses, their ports, their certificates.

No CONNECT is sent: a host that runs with the same client id keeps its connection.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from edgefn.bindings.mqtt import MqttOutputOptions
from edgefn.doctor.lines import Line, of_error, ok
from edgefn.doctor.subject import Subject
from edgefn.errors import SettingError
from edgefn.hubs.mqtt import hub_address
from edgefn.mqtt.address import Address, address_of
from edgefn.mqtt.faults import Fault
from edgefn.mqtt.options import mqtt_options
from edgefn.triggers.mqtt import MqttTrigger


def check_brokers(subject: Subject) -> Iterator[Line]:
    """A line for each broker; none where nothing names one."""
    for address in dict.fromkeys(_named(subject)):
        yield _reached(subject, address)


def _named(subject: Subject) -> Iterator[Address]:
    """What can be read; all else is an error of the app, or of its functions, already."""
    try:
        hub = hub_address(subject.root, subject.config, subject.settings)
    except SettingError:
        hub = None
    if hub is not None:
        yield hub
    for binding in (*subject.bindings("mqttTrigger"), *subject.bindings("mqtt")):
        if isinstance(binding.options, MqttTrigger | MqttOutputOptions):
            yield address_of(binding.options.broker, subject.settings, subject.root)


def sent_to(subject: Subject) -> set[str]:
    """The names of the brokers that outputs send to."""
    named = (each.options.broker for each in subject.bindings("mqtt") if isinstance(each.options, MqttOutputOptions))
    return {address_of(text, subject.settings, subject.root).name for text in named}


def _reached(subject: Subject, address: Address) -> Line:
    from edgefn.mqtt.dialling import reached, token_of

    began = time.monotonic()
    try:
        token_of(address)
        with reached(address, mqtt_options(subject.root, subject.config)):
            took = (time.monotonic() - began) * 1000
    except Fault as fault:
        return of_error("broker", fault)
    trusted = ", and its certificate is trusted" if address.tls else ""
    return ok("broker", f"{address.name} answers{trusted} ({took:.0f} ms)")
