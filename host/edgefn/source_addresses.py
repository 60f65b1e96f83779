"""What the option ``source`` means: a camera, a stream, a file, a folder or the drawn street. Opens nothing."""

from __future__ import annotations

import enum
import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from edgefn.errors import SourceError, listing, nearest
from edgefn.redaction import redact

LINUX = sys.platform == "linux"
CAM = "cam"
"""The first camera, as ``0`` is."""
SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "tcp")
PICTURES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
CLIPS = frozenset({".mp4", ".mkv", ".avi", ".mov", ".m4v", ".webm", ".ts", ".mpg", ".mpeg", ".wmv", ".flv"})
URL = re.compile(r"^([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
SECRET = re.compile(r"([?&][^=&#]*(?:pass|pwd|token|secret|key|sig|auth)[^=&#]*=)[^&#]*", re.IGNORECASE)


class SourceKind(enum.StrEnum):
    CAMERA = "camera"
    STREAM = "stream"
    FILE = "file"
    FOLDER = "folder"
    SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Address:
    """Where frames come from, as the option ``source`` tells."""

    kind: SourceKind
    target: str = field(repr=False)
    """What is opened; it may hold credentials, so it is never shown."""
    shown: str = field(compare=False)
    """The source as declared, without credentials and other secrets."""

    @property
    def live(self) -> bool:
        """Whether its frames come whether or not somebody takes them, and it is opened again when it is lost."""
        return self.kind in (SourceKind.CAMERA, SourceKind.STREAM)


def recognise(value: str, root: Path) -> Address:
    """Tells by its value what a source is; a file that is named ``cam`` is written ``./cam``.

    Relative paths start at ``root``, or else at the working directory.

    Opens nothing. Raises SourceError for a scheme that is not known, for wrong parameters of ``synthetic:``, and for a
    file or folder that is not there. A camera or stream that is not there is no error: it may come.
    """
    value = value.strip()
    shown = redact(without_credentials(value))
    if (value.isascii() and value.isdigit()) or value.lower() == CAM:
        number = "0" if value.lower() == CAM else value
        return Address(SourceKind.CAMERA, f"/dev/video{int(number)}" if LINUX else number, shown)
    if value.startswith("/dev/"):
        return Address(SourceKind.CAMERA, value, shown)
    if value.lower().startswith("synthetic:"):
        synthetic_parameters(value)
        return Address(SourceKind.SYNTHETIC, value, shown)
    if match := URL.match(value):
        scheme = match[1].lower()
        if scheme not in SCHEMES:
            known = listing(f"{name}://" for name in SCHEMES)
            raise SourceError(f"{shown}: unknown scheme '{scheme}://'; known are {known}, or synthetic:, or a path")
        return Address(SourceKind.STREAM, scheme + value[len(scheme) :], shown)  # FFmpeg knows small letters alone
    return _on_disk(value, root)


def finite(address: Address) -> bool:
    """Whether a source ends by itself when it is played once."""
    if address.kind is SourceKind.SYNTHETIC:
        return synthetic_parameters(address.target).frames is not None
    return not address.live


def without_credentials(url: str) -> str:
    """The URL without user and password, and with ``***`` for the values of parameters that look like secrets."""
    return SECRET.sub(r"\1***", CREDENTIALS.sub("", url))


def _on_disk(value: str, root: Path) -> Address:
    places = list(dict.fromkeys((root / value, Path.cwd() / value)))
    for path in places:
        try:
            kind = SourceKind.FOLDER if path.is_dir() else SourceKind.FILE if path.exists() else None
        except OSError as error:  # no name of a file, or the way there is barred
            raise SourceError(f"{redact(value)}: can not be looked for: {error.strerror or error}") from None
        if kind is not None:
            return Address(kind, str(path), redact(value))
    beside = [each for path in places for each in _clips_in(path.parent)]
    there = f"there are {listing(sorted(set(beside)))}" if beside else "there are no clips beside it"
    looked = " and ".join(str(path) for path in places)
    raise SourceError(f"{value}: there is no such file or folder, looked for {looked}; {there}{nearest(value, beside)}")


def _clips_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if path.suffix.lower() in CLIPS]
    except (OSError, ValueError):
        return []


@dataclass(frozen=True, slots=True)
class SyntheticParameters:
    """The parameters of ``synthetic:?name=value&...``: pixels, frames a second, and after how many frames it ends."""

    width: int = 640
    height: int = 360
    fps: float = 15.0
    seed: int = 1
    frames: int | None = None


LIMITS: Mapping[str, tuple[Callable[[str], float], float, float]] = {
    "width": (int, 16, 7680),
    "height": (int, 16, 4320),
    "fps": (float, 0.1, 1000),
    "seed": (int, 0, 2**31),
    "frames": (int, 1, 2**31),
}


def synthetic_parameters(value: str) -> SyntheticParameters:
    """Reads ``synthetic:?width=640&...``; raises SourceError that lists the known parameters."""
    rest = value.partition(":")[2].lstrip("/")
    if rest and not rest.startswith("?"):
        raise SourceError(f"{value}: '{rest}' is not understood; write synthetic: or synthetic:?{_known(LIMITS)}")
    found: dict[str, float] = {}
    for name, text in parse_qsl(rest[1:], keep_blank_values=True):
        if name not in LIMITS:
            raise SourceError(f"{value}: unknown parameter '{name}'; known are {_known(LIMITS)}{nearest(name, LIMITS)}")
        read, least, most = LIMITS[name]
        try:
            number = read(text)
        except ValueError:
            number = math.nan
        if not least <= number <= most:
            raise SourceError(
                f"{value}: {name} is '{text}'; it takes {least:g} to {most:g}, known are {_known(LIMITS)}"
            )
        found[name] = number
    return SyntheticParameters(**found)  # type: ignore[arg-type]


def _known(names: Iterable[str]) -> str:
    return "&".join(f"{name}=" for name in names)
