"""Where frames come from: the cameras of this machine with their formats, and what ``videoFrameTrigger`` names."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from edgefn.doctor.lines import Line, State, note, of_error, ok, wrong
from edgefn.doctor.nodes import may_use, mount, refusal
from edgefn.doctor.subject import Subject
from edgefn.doctor.v4l2 import read_camera
from edgefn.errors import SourceError, listing
from edgefn.function import Binding
from edgefn.source_addresses import PICTURES, Address, SourceKind, recognise
from edgefn.triggers.video_frame import VideoFrameTrigger

DEV = Path("/dev")
PATIENCE = 5.0
"""Seconds for a stream's server to answer."""
PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
"""Of streams whose server is asked; who sends udp:// and tcp:// is not known here."""


def check_sources(subject: Subject, dev: Path = DEV) -> Iterator[Line]:
    """A line a camera that is there, and one a source that functions name."""
    named = list(_named(subject))
    wanted = {address.target for _, address in named if isinstance(address, Address)}
    cameras = sorted(dev.glob("video[0-9]*"))
    yield from (_camera(path, str(path) in wanted) for path in cameras)
    if not cameras:
        yield ok("cameras", f"none: there is no {dev}/video*")
    for binding, address in named:
        if isinstance(address, SourceError):
            yield of_error("sources", f"{binding.where()}: {address}")
        else:
            yield _source(f"{binding.where()}: {address.shown}", address, cameras)


def _named(subject: Subject) -> Iterator[tuple[Binding, Address | SourceError]]:
    """Each source once, with the first binding that names it."""
    seen: set[str] = set()
    for binding in subject.bindings("videoFrameTrigger"):
        options = binding.options
        if isinstance(options, VideoFrameTrigger) and options.source not in seen:
            seen.add(options.source)
            try:
                yield binding, recognise(options.source, subject.root)
            except SourceError as error:
                yield binding, error


def _camera(path: Path, is_wanted: bool) -> Line:
    state = State.WRONG if is_wanted else State.NOTE
    if not may_use(path):
        return Line(state, "cameras", *refusal(path))
    try:
        camera = read_camera(path)
    except OSError as error:
        found = f"{path} does not answer as a camera ({error.strerror})"
        return Line(state, "cameras", found, "unplug it and plug it in again, or name another one")
    if camera.formats:
        return ok("cameras", f"{path}: {camera.name}: {', '.join(camera.formats)}")
    if is_wanted:
        remedy = "name another one: cameras often have a second file, for metadata"
        return wrong("cameras", f"{path}: {camera.name} gives no pictures", remedy)
    return ok("cameras", f"{path}: {camera.name}, gives no pictures itself")


def _source(where: str, address: Address, cameras: list[Path]) -> Line:
    match address.kind:
        case SourceKind.CAMERA:
            return _named_camera(where, Path(address.target), cameras)
        case SourceKind.STREAM:
            return _stream(where, address.target)
        case SourceKind.FILE:
            return _file(where, Path(address.target))
        case SourceKind.FOLDER:
            return _folder(where, Path(address.target))
        case SourceKind.SYNTHETIC:
            return ok("sources", f"{where} is drawn")


def _named_camera(where: str, path: Path, cameras: list[Path]) -> Line:
    if path.exists():
        return ok("sources", f"{where} is {path}")
    there = listing(str(camera) for camera in cameras)
    remedy = f"plug it in, or name another one, cameras here: {there}; in a module: {mount(str(path))}"
    return wrong("sources", f"{where}: there is no {path}", remedy)


def _stream(where: str, url: str) -> Line:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS.get(parts.scheme.lower())
    except ValueError:
        return wrong("sources", f"{where}: its address can not be read", "give rtsp://host:port/path")
    if not host or parts.scheme.lower() not in PORTS:
        return note("sources", f"{where} was not asked", "see that somebody sends there")
    try:
        socket.create_connection((host, port), PATIENCE).close()
    except (OSError, UnicodeError) as error:
        found = f"{where}: {host}:{port} does not answer ({getattr(error, 'strerror', None) or error})"
        return wrong("sources", found, "check the address, the camera's power, and the network between")
    return ok("sources", f"{where}: {host}:{port} answers")


def _file(where: str, path: Path) -> Line:
    if not os.access(path, os.R_OK):
        return wrong("sources", f"{where} is not readable for this user", f"chmod a+r {path}")
    if path.stat().st_size == 0:
        return wrong("sources", f"{where} is empty", "copy it again, whole")
    return ok("sources", f"{where} is {path}")


def _folder(where: str, path: Path) -> Line:
    if not os.access(path, os.R_OK | os.X_OK):
        return wrong("sources", f"{where} is not readable for this user", f"chmod a+rx {path}")
    count = sum(each.suffix.lower() in PICTURES for each in path.iterdir())
    if not count:
        return wrong("sources", f"{where} holds no pictures", f"put some there: {listing(sorted(PICTURES))}")
    return ok("sources", f"{where} holds {count} pictures")
