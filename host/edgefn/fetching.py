"""What lies at an address that a stranger named: only from hosts that are allowed, and never from this network.

A name is resolved once. Each of its addresses has to be a public one, and the connection goes to the address that was
looked at, so that a name which changes its mind meanwhile (DNS rebinding) gains nothing. Each redirect is looked at in
the same way.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from edgefn.errors import EdgefnError, listing
from edgefn.timely import Timely

Address = IPv4Address | IPv6Address
PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
MOST = 4
"""Redirects that are followed."""
CHUNK = 1 << 16
PLAIN = "/?%:@!$&'()*+,;=~"
"""What stays as it is in a path and a query."""
TRANSLATED = ip_network("64:ff9b::/96")
OTHERS = tuple(map(ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10", "168.63.129.16/32")))
"""Not of the Internet, though Python takes them for it: old and local forms of IPv4; Azure's own to its machines."""


class NotFetched(EdgefnError):
    """An address that is not allowed, or does not answer with what is wanted."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """Where things may be fetched from, and how much of them."""

    hosts: Sequence[str]
    """Names of hosts; ``*.example.com`` for all below one. Nothing is fetched from others, by whatever redirect."""
    limit: int
    """Bytes at most."""
    timeout: float = 10.0
    """Seconds for all of it."""
    may_reach: Callable[[Address], bool] = lambda address: is_public(address)
    """Whether a connection may go to an address."""

    def fetch(self, url: str) -> bytes:
        """What is at the address, on the calling thread. Raises NotFetched, whose text is fit for the caller."""
        deadline = time.monotonic() + self.timeout
        for _ in range(MOST + 1):
            try:
                content, url = self._get(self._allowed(url), url, deadline)
            except (OSError, http.client.HTTPException, ValueError) as error:  # a name, or a redirect, that is none
                raise NotFetched(f"url: can not be fetched: {type(error).__name__}") from None
            if content is not None:
                return content
        raise NotFetched(f"url: leads from one address to the next; {MOST} redirects are followed")

    def _allowed(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise NotFetched("url: is none; https://host/path would be right") from None
        if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
            raise NotFetched("url: should be http or https, with a host and without a user")
        host = parts.hostname.lower().rstrip(".")
        if not any(_is_of(host, allowed.strip().lower()) for allowed in self.hosts):
            raise NotFetched(f"url: nothing is fetched from '{host}'; hosts: {listing(self.hosts)}")
        return parts

    def _get(self, parts: SplitResult, url: str, deadline: float) -> tuple[bytes | None, str]:
        """The content, or None and the address that the answer leads to."""
        host, port = str(parts.hostname), parts.port or PORTS[parts.scheme]
        connection = http.client.HTTPConnection(host, port)
        try:
            sock = self._connected(host, port, deadline)
            if parts.scheme == "https":
                sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
            connection.sock = Timely(sock, deadline)
            target = quote(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}", safe=PLAIN)
            connection.request("GET", target, headers={"Accept": "*/*", "Connection": "close"})
            response = connection.getresponse()
            if response.status in REDIRECTS and (location := response.getheader("location")):
                return None, urljoin(url, location)
            if response.status != 200:
                raise NotFetched(f"url: answers {response.status}; 200 would be right")
            return self._content(response), url
        finally:
            connection.close()

    def _connected(self, host: str, port: int, deadline: float) -> socket.socket:
        """A connection to one of the addresses of the host, all of which have been looked at."""
        found = [str(where[0]) for *_, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
        if not all(self.may_reach(ip_address(address.partition("%")[0])) for address in found):
            raise NotFetched(f"url: '{host}' is in a private network; a public address would be right")
        reason: OSError = ConnectionError()
        for address in found:
            try:
                return socket.create_connection((address, port), _left(deadline))
            except OSError as error:
                reason = error
        raise reason

    def _content(self, response: http.client.HTTPResponse) -> bytes:
        content = bytearray()
        while chunk := response.read1(CHUNK):
            content += chunk
            if len(content) > self.limit:
                raise NotFetched(f"url: holds more than {self.limit} bytes")
        return bytes(content)


def is_public(address: Address) -> bool:
    """Whether it is an address of the Internet, also where one of IPv4 is wrapped into one of IPv6."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not any(address in others for others in OTHERS)


def _is_of(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
