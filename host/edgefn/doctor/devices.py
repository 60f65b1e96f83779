"""Accelerators: what OpenVINO finds, what sessions ask for, and the device files below that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from edgefn.doctor.lines import Line, State, of_error, ok
from edgefn.doctor.models import Session, sessions
from edgefn.doctor.nodes import may_use, mount, refusal
from edgefn.doctor.subject import Subject
from edgefn.errors import ModelError, listing
from edgefn.sessions.devices import DeviceError, choose

DEV = Path("/dev")
NODES = {"GPU": ("dri", "renderD*"), "NPU": ("accel", "accel*")}
DRIVERS = {"GPU": "intel-opencl-icd and libze-intel-gpu1", "NPU": "intel-driver-compiler-npu and intel-level-zero-npu"}


def check_devices(subject: Subject, present: Mapping[str, str] | None = None, dev: Path = DEV) -> Iterator[Line]:
    """What there is, and a line for each device that sessions ask for."""
    if present is None:
        try:
            present = _present()
        except ModelError as error:
            yield of_error("devices", error)
            return
    yield ok("devices", listing(f"{name} ({full})" for name, full in present.items()))
    seen: set[tuple[str, str | None]] = set()
    for session in sessions(subject):
        options = session[1]
        if (options.device, options.fallback) not in seen:
            seen.add((options.device, options.fallback))
            yield from _asked(session, present, dev)


def _present() -> Mapping[str, str]:
    from edgefn.sessions.openvino import present_devices

    return present_devices()


def _asked(session: Session, present: Mapping[str, str], dev: Path) -> Iterator[Line]:
    binding, options = session
    state = State.WRONG
    try:
        choice = choose(options.device, list(present))
    except DeviceError as error:
        if options.fallback is not None and _is_there(options.fallback, present):
            state = State.NOTE
        line = of_error("devices", f"{binding.where()}: {error}", state)
        used = f"nothing, if the fallback '{options.fallback}' will do" if state is State.NOTE else "declare a fallback"
        yield Line(state, "devices", line.found, f"{used}, or declare another device; {line.remedy}")
        yield from _nodes(options.device, state, present, dev)
        return
    if choice.note:
        remedy = f"add it, or declare '{choice.device}', which is used"
        yield of_error("devices", f"{binding.where()}: {choice.note}; {remedy}", State.NOTE)
        yield from _nodes(options.device, State.NOTE, present, dev)
        return
    yield ok("devices", f"{binding.where()}: {options.device} is {choice.device}")


def _is_there(device: str, present: Mapping[str, str]) -> bool:
    try:
        choose(device, list(present))
    except DeviceError:
        return False
    return True


def _nodes(device: str, state: State, present: Mapping[str, str], dev: Path) -> Iterator[Line]:
    """Why a GPU or NPU that is asked for is not found: no device file, no permission, or no driver."""
    for kind, (folder, pattern) in NODES.items():
        if kind in device.upper() and not any(name.startswith(kind) for name in present):
            yield _why(kind, state, sorted((dev / folder).glob(pattern)), dev / folder)


def _why(kind: str, state: State, nodes: list[Path], folder: Path) -> Line:
    if not nodes:
        remedy = f"on the machine itself the kernel's driver makes it; in a module: {mount(str(folder))}"
        return Line(state, "devices", f"{kind}: there is no {folder}", remedy)
    refused = [node for node in nodes if not may_use(node)]
    if refused:
        return Line(state, "devices", *refusal(refused[0]))
    found = f"{kind}: {listing(map(str, nodes))} is there and may be used, but OpenVINO finds no device"
    return Line(state, "devices", found, f"install the user-space driver: {DRIVERS[kind]}")
