"""Where a broker is, and who the host is to it: ``mqtt://user:password@host:1883``, ``mqtts://host?ca=ca.pem``.

Files stand in the query: ``ca`` (certificates of authorities in PEM; without it those of the system), ``cert`` and
``key`` (of this client), ``token`` (a file with a Kubernetes service account token). ``clientId`` is the identity that
the broker knows the host by; without it one is made, and kept in the state folder. ``aio:`` is the environment of Azure
IoT Operations, which is also taken when nothing is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from edgefn.contracts import Asset
from edgefn.errors import SettingError, listing, nearest
from edgefn.function import SPELLED
from edgefn.settings import Settings

SETTING = "MQTT_BROKER"
"""The setting that names the broker of bindings that name none."""
AIO = "aio:"
HOSTNAME = "AIO_BROKER_HOSTNAME"
PORTS = {"mqtt": 1883, "mqtts": 8883}
FILES = ("ca", "cert", "key", "token")
QUERY = {"ca": "ca", "cert": "cert", "key": "key", "token": "token", "clientId": "client_id"}
VARIABLES = (
    *(SETTING, HOSTNAME, "AIO_BROKER_TCP_PORT", "AIO_MQTT_USE_TLS", "AIO_TLS_CA_FILE", "AIO_TLS_CERT_FILE"),
    *("AIO_TLS_KEY_FILE", "AIO_SAT_FILE", "AIO_MQTT_CLIENT_ID", "AIO_MQTT_SESSION_EXPIRY", "AIO_MQTT_KEEP_ALIVE"),
    "AIO_MQTT_CLEAN_START",
)
"""The settings that may say which broker it is."""
EXAMPLE = "mqtt://host:1883 or mqtts://host:8883?ca=ca.pem would be right"


@dataclass(frozen=True, slots=True)
class Address:
    """One broker, for one identity. Files are absolute, or empty."""

    host: str
    port: int
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""
    token: str = ""
    client_id: str = ""
    session_expiry: int | None = None
    keep_alive: int | None = None
    """Seconds; None for what host.json says."""
    clean_start: bool = False
    """Whether the first connection of a run forgets what the broker kept."""

    @property
    def name(self) -> str:
        """How logs, statuses and the outbox name it; without secrets, the same whenever the host runs."""
        scheme = "mqtts" if self.tls else "mqtt"
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{user}{host}:{self.port}"


def address_of(text: str, settings: Settings, root: Path) -> Address:
    """The broker that a binding or host.json names, or the settings where it names none; raises SettingError."""
    if text.strip().lower() == AIO or not (text or settings.get(SETTING)):
        if not settings.get(HOSTNAME):
            raise SettingError(f"no broker: neither {SETTING} nor {HOSTNAME} is set; {EXAMPLE}")
        return _of_environment(settings, root)
    named = text or settings.get(SETTING) or ""
    return _of_environment(settings, root) if named.strip().lower() == AIO else parsed(named, root)


def parsed(text: str, root: Path) -> Address:
    """Reads an address; raises SettingError, which shows no password."""
    try:
        url = urlsplit(text.strip())
        port, host = url.port, url.hostname
    except ValueError:  # its text would quote what it takes for a port, which may be a part of a password
        raise SettingError(
            f"a broker: the address can not be read; {EXAMPLE}, with %2F for a / in a password"
        ) from None
    if url.scheme not in PORTS:
        hint = nearest(url.scheme, PORTS) if "://" in text else ""
        raise SettingError(f"a broker: the address begins with neither mqtt:// nor mqtts://{hint}; {EXAMPLE}")
    shown = f"{url.scheme}://{host or ''}"
    if not host or url.path not in ("", "/") or url.fragment:
        wrong = "no host" if not host else "something after the host and port"
        raise SettingError(f"the broker {shown}: there is {wrong}; {EXAMPLE}")
    if url.password is not None and not url.username:
        raise SettingError(f"the broker {shown}: a password without a user; {EXAMPLE}")
    query: dict[str, Any] = dict(_query(url.query, shown, tls=url.scheme == "mqtts"))
    user, password = unquote(url.username or ""), unquote(url.password or "")
    known = Address(host, port or PORTS[url.scheme], url.scheme == "mqtts", user, password, **query)
    return _with_files(known, root, {name: f"{name} of the broker {shown}" for name in FILES})


def _query(text: str, shown: str, *, tls: bool) -> Iterator[tuple[str, str]]:
    for name, value in parse_qsl(text, keep_blank_values=True):
        if name not in QUERY:
            raise SettingError(
                f"the broker {shown}: '{name}' is not known{nearest(name, QUERY)}; known: {listing(QUERY)}"
            )
        if name in ("ca", "cert", "key") and not tls:
            raise SettingError(f"the broker {shown}: {name} is for TLS; mqtts:// would be right")
        if not value:
            raise SettingError(f"the broker {shown}: {name} names nothing; leave it out, or name it")
        yield QUERY[name], value


def _of_environment(settings: Settings, root: Path) -> Address:
    """The broker of Azure IoT Operations, by the names of its own SDKs."""
    get = settings.get
    known = Address(
        host=get(HOSTNAME) or "aio-broker",
        port=_number(settings, "AIO_BROKER_TCP_PORT", 18883, 65535),
        tls=_truth(settings, "AIO_MQTT_USE_TLS", True),
        ca=get("AIO_TLS_CA_FILE") or "",
        cert=get("AIO_TLS_CERT_FILE") or "",
        key=get("AIO_TLS_KEY_FILE") or "",
        token=get("AIO_SAT_FILE") or "",
        client_id=get("AIO_MQTT_CLIENT_ID") or "",
        session_expiry=_number(settings, "AIO_MQTT_SESSION_EXPIRY", 3600, 2**32 - 1),
        keep_alive=_number(settings, "AIO_MQTT_KEEP_ALIVE", 60, 65535),
        clean_start=_truth(settings, "AIO_MQTT_CLEAN_START", False),
    )
    names = ("AIO_TLS_CA_FILE", "AIO_TLS_CERT_FILE", "AIO_TLS_KEY_FILE", "AIO_SAT_FILE")
    return _with_files(known, root, dict(zip(FILES, names, strict=True)))


def _with_files(known: Address, root: Path, names: Mapping[str, str]) -> Address:
    """The address with absolute paths; what is there is looked at when it is connected to, since it may come later."""
    if known.key and not known.cert:
        raise SettingError(f"{names['key']}: a key without a certificate; name the certificate too")
    files: dict[str, Any] = {
        name: str(root / Path(path).expanduser()) for name in FILES if (path := getattr(known, name))
    }
    return replace(known, **files)


def files_of(address: Address, root: Path) -> Iterator[Asset]:
    """The files of an address, by their paths from the app root where they lie there."""
    for name in FILES:
        if text := getattr(address, name):
            path = Path(text)
            declared = path.relative_to(root) if path.is_relative_to(root) else path
            yield Asset(declared.as_posix(), path if path.exists() else None)


def _number(settings: Settings, name: str, default: int, most: int) -> int:
    text = settings.get(name)
    if not text:
        return default
    if not text.strip().isdecimal() or not 0 < int(text) <= most:
        raise SettingError(f"{name}: found '{text}'; a whole number from 1 to {most} would be right")
    return int(text)


def _truth(settings: Settings, name: str, default: bool) -> bool:
    text = settings.get(name)
    if text is None:
        return default
    if text.strip().lower() not in SPELLED:
        raise SettingError(f"{name}: found '{text}'; true or false would be right")
    return SPELLED[text.strip().lower()]
