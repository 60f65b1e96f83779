"""What is declared about HTTP: in host.json, in the section Host of local.settings.json, on the command line."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from edgefn.errors import SettingError, listing, nearest
from edgefn.extensions import read_extension
from edgefn.function import Options
from edgefn.settings import HostConfig, Settings, read_local
from edgefn.web.replies import header
from edgefn.web.templates import TemplateError, parse_template

log = logging.getLogger("edgefn.web")

MIB = 1024 * 1024
DEFAULT_PORT, MODULE_PORT = 7071, 8080
LOOPBACK = ("127.0.0.1", "::1", "localhost")
MODULE = "IOTEDGE_WORKLOADURI"
URLS = "ASPNETCORE_URLS"
URL = re.compile(r"^http://(\[[^\]]+\]|[^/:\[]+)(?::(\d+))?/?$", re.IGNORECASE)
LOCAL = ("LocalHttpPort", "LocalHttpAddress", "CORS", "CORSCredentials")


class Hsts(Options):
    """``hsts``: the header that makes browsers stay with HTTPS."""

    is_enabled: bool = False
    max_age: str = "30"
    include_sub_domains: bool = False
    preload: bool = False
    excluded_hosts: list[str] = Field(default_factory=list)


class HttpOptions(Options):
    """``extensions.http`` of host.json."""

    route_prefix: str = "api"
    max_concurrent_requests: int = Field(default=-1, ge=-1)
    """Invocations at once; further requests wait. -1 for no limit of its own."""
    max_outstanding_requests: int = Field(default=1000, ge=-1)
    """Requests that run or wait; beyond it 429. -1 for no limit."""
    dynamic_throttles_enabled: bool = False
    custom_headers: dict[str, str] = Field(default_factory=dict)
    hsts: Hsts = Field(default_factory=Hsts)
    max_request_body_size: int = Field(default=100 * MIB, ge=0)
    """Bytes of one body; beyond it 413."""
    max_buffered_body_size: int = Field(default=256 * MIB, ge=0)
    """Bytes of the bodies of all requests that run or wait; beyond it 429."""

    @field_validator("route_prefix")
    @classmethod
    def _prefix(cls, value: str) -> str:
        try:
            parse_template(value)
        except TemplateError as error:
            raise ValueError(str(error)) from None
        return value.strip("/")

    @field_validator("custom_headers")
    @classmethod
    def _headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            try:
                header(name, text)
            except TypeError as error:
                raise ValueError(str(error)) from None
        return value


def http_options(root: Path, config: HostConfig) -> HttpOptions:
    """Reads ``extensions.http``; raises SettingError."""
    options = read_extension(HttpOptions, root, config, "http")
    if options.dynamic_throttles_enabled:
        log.warning(
            "%s: extensions.http.dynamicThrottlesEnabled does nothing here; "
            "maxOutstandingRequests and maxBufferedBodySize are the limits",
            config.at(root, "extensions", "http", "dynamicThrottlesEnabled"),
        )
    if options.hsts.is_enabled:
        log.warning(
            "%s: extensions.http.hsts does nothing without HTTPS; behind a proxy that ends TLS, "
            "name Strict-Transport-Security in customHeaders",
            config.at(root, "extensions", "http", "hsts"),
        )
    return options


# --- the server --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for; None where it says nothing."""

    port: int | None = None
    address: str | None = None
    cors: str | None = None
    cors_credentials: bool = False
    enable_auth: bool = False
    page: bool | None = None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server listens, and whom it answers."""

    address: str = "127.0.0.1"
    port: int = 7071
    """0 for any that is free."""
    port_is_asked: bool = False
    """Whether somebody named the port: then no other will do."""
    origins: tuple[str, ...] = ()
    """Origins that browsers may call from; ``*`` for all."""
    credentials: bool = False
    enforce: bool = False
    """Whether keys are asked for."""
    page: bool | None = None
    """Whether the command line asks for the page, or for none; None where it says nothing."""

    @property
    def is_loopback(self) -> bool:
        return self.address in LOOPBACK or self.address.startswith("127.")


def server_options(root: Path, settings: Settings, asked: Asked) -> ServerOptions:
    """The command line over ``ASPNETCORE_URLS`` over local.settings.json over the defaults.

    They are loopback on a laptop, all addresses in a module. Raises SettingError.
    """
    is_module = settings.get(MODULE) is not None
    local = _local(root / "local.settings.json") | _urls(settings.get(URLS) or "")
    port = asked.port if asked.port is not None else local.get("LocalHttpPort")
    address = asked.address or local.get("LocalHttpAddress") or ("0.0.0.0" if is_module else "127.0.0.1")
    named = asked.cors if asked.cors is not None else local.get("CORS")
    origins = tuple(origin.strip().rstrip("/") for origin in str(named or "").split(",") if origin.strip())
    credentials = asked.cors_credentials or _flag(local.get("CORSCredentials"))
    if credentials and "*" in origins:
        raise SettingError("CORS: credentials need origins that are named; browsers refuse them for '*'")
    found = ServerOptions(
        str(address), _port(port, MODULE_PORT if is_module else DEFAULT_PORT), port is not None, origins, credentials
    )
    enforce = asked.enable_auth or is_module or not found.is_loopback
    return replace(found, enforce=enforce, page=asked.page)


def _urls(declared: str) -> dict[str, Any]:
    """Where the images of Azure Functions are told to listen: ``http://+:8080``, and ``+`` is every address."""
    if not declared.strip():
        return {}
    match = URL.match(declared.strip())
    if match is None:
        raise SettingError(f"{URLS} should be one address like http://+:8080, without TLS; found {declared!r}")
    host = match[1].strip("[]")
    return {"LocalHttpAddress": "0.0.0.0" if host in "+*" else host, "LocalHttpPort": match[2] or 80}


def _local(path: Path) -> dict[str, Any]:
    section = (read_local(path) if path.exists() else {}).get("Host") or {}
    if not isinstance(section, dict):
        raise SettingError(f"{path}: Host should be an object, found {section!r}")
    known = {name.lower(): name for name in LOCAL}
    for name in section:
        if name.lower() not in known:
            more = f"{nearest(name, LOCAL)}; known: {listing(LOCAL)}"
            log.warning("%s: unknown key 'Host.%s' is ignored%s", path, name, more)
    return {known[name.lower()]: value for name, value in section.items() if name.lower() in known}


def _flag(value: Any) -> bool:
    if str(value).lower() not in ("true", "false", "none"):
        raise SettingError(f"local.settings.json: Host.CORSCredentials should be true or false, found {value!r}")
    return str(value).lower() == "true"


def _port(declared: Any, default: int) -> int:
    if declared is None:
        return default
    try:
        port = -1 if isinstance(declared, bool | float) else int(declared)
    except (TypeError, ValueError):
        port = -1
    if not 0 <= port <= 65535:
        raise SettingError(
            f"the port should be a whole number from 0 to 65535 (0: any that is free), found {declared!r}"
        )
    return port
