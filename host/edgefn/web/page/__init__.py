"""The page of the host at ``/``: what runs, what it sees, what it sends, and the buttons of a laptop.

Bulletin (once a second, while somebody reads) -> events        Films (while somebody watches) -> pictures
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from edgefn.host import Host
from edgefn.web.page.acts import Acts
from edgefn.web.page.bulletin import Bulletin
from edgefn.web.page.films import Films
from edgefn.web.page.history import History
from edgefn.web.page.snapshot import Snapshot
from edgefn.web.page.streams import Parts, Streaming, events, pictures

PATH = "/admin/page/"
FILES = f"{PATH}files/"
"""What is under it holds nothing of the host, and needs no key."""
READERS = 16
"""Streams at once; beyond it 503."""
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}

MayAct = Callable[[Request], bool]


class Page:
    """The page of one host. ``may_act`` says whose requests may change something."""

    def __init__(self, host: Host, may_act: MayAct) -> None:
        self._may_act = may_act
        self._history = History(host)
        self._snapshot = Snapshot(host)
        self._bulletin = Bulletin(self._snapshot.sections)
        self._films = Films(host.sights, host.app.services.metrics)
        self._acts = Acts(host, may_act, self._bulletin.soon)
        self._streams: set[Streaming] = set()
        self._files = {file.name: file.read_bytes() for file in resources.files(__name__).joinpath("files").iterdir()}

    def routes(self) -> list[Route]:
        """Its routes but for ``/`` itself."""
        streams = [
            Route(f"{FILES}{{name}}", self._file),
            Route(f"{PATH}events", self._events),
            Route(f"{PATH}pictures", self._pictures),
        ]
        return [*streams, *self._acts.routes(PATH)]

    def start(self) -> None:
        """Keeps history from now on."""
        self._history.start()

    async def stop(self) -> None:
        """Ends all streams, so that the server can close."""
        for stream in list(self._streams):
            await stream.end()
        await self._bulletin.stop()
        await self._history.stop()

    def home(self) -> Response:
        """The page itself, without anything of the host in it."""
        return self._sent("page.html")

    async def _file(self, request: Request) -> Response:
        name = request.path_params["name"]
        return self._sent(name) if name in self._files else Response(status_code=404)

    def _sent(self, name: str) -> Response:
        return Response(self._files[name], media_type=TYPES[name.rpartition(".")[2]], headers=HEADERS)

    async def _events(self, request: Request) -> Response:
        access = {"may_act": self._may_act(request), "local": self._snapshot.is_local}
        return self._streaming("text/event-stream", events(self._bulletin, self._history, access))

    async def _pictures(self, request: Request) -> Response:
        functions = dict.fromkeys(request.query_params.getlist("function"))
        return self._streaming("application/octet-stream", pictures(self._films, [*functions][:READERS]))

    def _streaming(self, kind: str, parts: Parts) -> Response:
        if len(self._streams) >= READERS:
            return JSONResponse({"error": f"{READERS} streams are open already; close another page"}, 503)
        return Streaming(kind, parts, self._streams, HEADERS)
