"""``edgefn doctor``: what keeps an app from running here.

Each check is a small function that looks, changes nothing, and gives lines.

subject.py (app, settings, state folder) -> software, functions, hub, brokers, collector, devices, models, servers,
sources (v4l2), folder, waiting, clock, ports, memory -> lines.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from edgefn.doctor.brokers import check_brokers
from edgefn.doctor.clock import check_clock
from edgefn.doctor.collector import check_collector
from edgefn.doctor.devices import check_devices
from edgefn.doctor.folder import check_folder
from edgefn.doctor.functions import check_functions
from edgefn.doctor.heard import check_speech
from edgefn.doctor.hub import check_hub
from edgefn.doctor.lines import Line, State, wrong
from edgefn.doctor.memory import check_memory
from edgefn.doctor.models import check_models
from edgefn.doctor.ports import check_port
from edgefn.doctor.servers import check_servers
from edgefn.doctor.software import check_packages, check_python
from edgefn.doctor.sources import check_sources
from edgefn.doctor.subject import Subject, look_at, without_app
from edgefn.doctor.waiting import check_spool

__all__ = ["Line", "State", "Subject", "examine", "look_at", "without_app"]

Check = Callable[[Subject], Iterable[Line]]

CHECKS: dict[str, Check] = {
    "python": lambda subject: [check_python()],
    "packages": lambda subject: check_packages(),
    "functions": check_functions,
    "hub": check_hub,
    "brokers": check_brokers,
    "collector": check_collector,
    "devices": check_devices,
    "models": check_models,
    "servers": check_servers,
    "sources": check_sources,
    "speech": check_speech,
    "state folder": check_folder,
    "spool": check_spool,
    "port": lambda subject: [check_port(subject)],
    "clock": check_clock,
    "memory": lambda subject: check_memory(),
}


def examine(subject: Subject) -> Iterator[Line]:
    """All lines, in the order in which faults hide each other; blocks for the time-outs of what does not answer."""
    for name, check in CHECKS.items():
        try:
            yield from check(subject)
        except OSError as error:  # what vanished or was closed to us between two looks
            yield wrong(name, f"could not be looked at: {error}", "ask again, as a user that may read it")
