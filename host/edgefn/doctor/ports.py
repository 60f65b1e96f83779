"""The port of the web server: free, or taken by whom."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

from edgefn.doctor.lines import Line, note, of_error, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.errors import SettingError
from edgefn.spool.lock import holder_of
from edgefn.web.options import Asked, ServerOptions, server_options

PROC = Path("/proc")
LISTENS = "0A"


def check_port(subject: Subject) -> Line:
    try:
        options = server_options(subject.root, subject.settings, Asked())
    except SettingError as error:
        return of_error("port", error)
    where = f"{options.address}, port {options.port}"
    try:
        _try(options)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _taken(subject, options, where)
        return wrong("port", f"{where}: {error.strerror or error}", "choose others with --address and --port")
    return ok("port", f"{where} is free")


def _try(options: ServerOptions) -> None:
    """Listens for a moment, as the host would; raises OSError."""
    family, *_, where = socket.getaddrinfo(options.address, options.port, type=socket.SOCK_STREAM)[0]
    socket.create_server((str(where[0]), int(where[1])), family=family).close()


def _taken(subject: Subject, options: ServerOptions, where: str) -> Line:
    process = listening(options.port)
    number, _, name = process.partition(" ")
    if process and number == holder_of(subject.state.absolute()):
        return ok("port", f"{where} is that of the host that runs here, process {number}")
    found = f"{where} is taken by {f'process {number} {name}' if process else 'a process of another user'}"
    remedy = "stop that process, or choose another port with --port"
    needed = options.port_is_asked or any(function.trigger_type == "httpTrigger" for function in subject.functions)
    if needed:
        return wrong("port", found, remedy)
    return note("port", found, f"nothing: health and metrics take another one; or {remedy}")


def listening(port: int, proc: Path = PROC) -> str:
    """Number and name of the process that listens on a port; empty where that is not to be seen."""
    wanted = {f"socket:[{inode}]" for inode in _sockets(port, proc)}
    for folder in proc.glob("[0-9]*") if wanted else ():
        try:
            if any(str(link.readlink()) in wanted for link in (folder / "fd").iterdir()):
                return f"{folder.name} ({(folder / 'comm').read_text(encoding='utf-8').strip()})"
        except OSError:
            continue  # it has ended, or is another user's
    return ""


def _sockets(port: int, proc: Path) -> Iterator[str]:
    for table in (proc / "net/tcp", proc / "net/tcp6"):
        for line in table.read_text(encoding="utf-8").splitlines()[1:] if table.exists() else ():
            _, local, _, state, *rest = line.split()
            if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                yield rest[5]
