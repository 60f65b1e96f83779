"""What a session needs of the machine, read from its options: files, and what each device is reached by.

A container sees of a machine what its manifest lists, so a device has to be named: ``AUTO`` alone finds the CPU there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgefn.contracts import Asset, Needs
from edgefn.errors import ModelError
from edgefn.sessions.files import find_labels, find_model
from edgefn.sessions.options import OpenVinoOptions
from edgefn.settings import Settings

NAMED = re.compile(r"(?<![-\w])([A-Z]+)(?:\.(\d+))?")
FIRST_RENDER_NODE = 128
RUNTIME = "/opt/altera"
DRIVER_FOLDERS = (RUNTIME, "/etc/OpenCL/vendors", "/opt/Intel/OpenCL/Boards")
LIBRARIES = f"{RUNTIME}/aocl-pro-rte/aclrte-linux64"


@dataclass(frozen=True, slots=True)
class Card:
    """An FPGA card of Intel's, as OpenVINO up to 2020 knew it."""

    mark: str
    """What the path of its bitstreams holds."""
    device: str
    board: str
    bitstream: str


CARDS = (
    Card(
        "a10_vision_design",
        "/dev/aclhddlf_1150_sg10",
        "hddlf_1150_sg1",
        "a10_vision_design_bitstreams/4-0_PL1_FP16_TinyYolo_SSD300.aocx",
    ),
    Card("a10_devkit", "/dev/acla10_ref0", "a10_ref", "a10_devkit_bitstreams/4-0_A10DK_FP16_TinyYolo_SSD300.aocx"),
)
BITSTREAMS = "/opt/intel/computer_vision_sdk/bitstreams"
"""Where the old OpenVINO has them; the folder of the card's is bound."""
ANY = "device AUTO takes what the container is shown, which is the CPU; name the devices, as in AUTO:GPU,CPU"
GONE = (
    "FPGA: OpenVINO no longer supports it, so a function runs where a fallback is declared, or with a kind of session "
    "of your own; the manifest has what the card needs (DLA_AOCX of the settings says which card)"
)


def machine_needs(options: OpenVinoOptions, root: Path, settings: Settings | None) -> Needs:
    """Files and devices of one session; looks where files are, and opens none."""
    devices = [_of_device(name, number, settings) for name, number in named_devices(options.device, options.fallback)]
    is_open = options.device.strip().upper() == "AUTO"
    writes = (options.cache,) if isinstance(options.cache, str) else ()
    files = Needs(reads=tuple(_files(options, root)), writes=writes, notes=(ANY,) if is_open else ())
    return Needs.of_all([*devices, files])


def named_devices(*declared: str | None) -> Iterator[tuple[str, int]]:
    """The devices that device strings name, each with its number: ``AUTO:GPU.1,CPU`` names GPU 1 and CPU 0."""
    for text in declared:
        for name, number in NAMED.findall((text or "").upper()):
            yield name, int(number or 0)


def _of_device(name: str, number: int, settings: Settings | None) -> Needs:
    if name == "GPU":
        return Needs(devices=(f"/dev/dri/renderD{FIRST_RENDER_NODE + number}",), groups=("render",))
    if name == "NPU":
        return Needs(devices=(f"/dev/accel/accel{number}",), groups=("render",))
    if name == "FPGA":
        return _of_card((settings and settings.get("DLA_AOCX")) or "")
    return Needs()


def _of_card(bitstream: str) -> Needs:
    card = next((card for card in CARDS if card.mark in bitstream), CARDS[-1])
    environment: Mapping[str, str] = {
        "DLA_AOCX": bitstream or f"{BITSTREAMS}/{card.bitstream}",
        "CL_CONTEXT_COMPILER_MODE_INTELFPGA": "3",
        "LD_LIBRARY_PATH": f"{LIBRARIES}/board/{card.board}/linux64/lib:{LIBRARIES}/host/linux64/lib",
    }
    folder = environment["DLA_AOCX"].rpartition("/")[0]
    return Needs(
        devices=(card.device,), binds=(*DRIVER_FOLDERS, folder or BITSTREAMS), environment=environment, notes=(GONE,)
    )


def _files(options: OpenVinoOptions, root: Path) -> Iterator[Asset]:
    try:
        model: Path | None = find_model(options.model, root)
    except ModelError:
        model = None
    yield Asset(options.model, model)
    yield from labels_file(options.labels, root)


def labels_file(declared: str | None, root: Path) -> Iterator[Asset]:
    """The labels file that is declared, if any."""
    if declared is not None:
        labels = find_labels(declared, root, root)
        yield Asset(declared, labels if labels is not None and labels.exists() else None)
