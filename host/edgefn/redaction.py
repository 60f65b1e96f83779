"""Takes secrets out of text that leaves: log lines, statuses, errors, answers of the admin endpoints.

    by pattern   what looks like a secret, wherever it comes from: ``SharedAccessKey=...``, ``Authorization: ...``
    by value     what a setting or a file of keys holds, also bare: as it is, URL-encoded, in JSON, as base64

Process-wide, as logging is: what one app of the process holds is secret in every line. Most lines hold nothing, and
cost less than 2 us (``benchmarks/redaction.py``): they are only asked for the values and for a few words.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, unquote

MASK = "***"
SHORTEST = 6
"""Characters; what is shorter is found by its pattern only, since it would be found in everything."""
LONGEST_WORD = 15

# --- what settings hold ------------------------------------------------------------------------------------------

CERTAIN = re.compile(r"(?:password|passwd|passphrase|pwd|secret|credentials?)[_-]?\d*$", re.IGNORECASE)
FOLDERS = ("PWD", "OLDPWD")
"""Where the shell says in which folder it is, and was."""
LIKELY = re.compile(r"(?:key|token|authorization|signature)[_-]?\d*$", re.IGNORECASE)
"""Names that sometimes are of something else: a count of tokens, the name of a field, the file of a key."""
CONNECTION = re.compile(
    r"connection(?:_?string)?s?[_-]?\d*$|^connectionstrings[:_]|^azurewebjobsstorage$", re.IGNORECASE
)
PART = re.compile(r"(?:key|signature|password|pwd|secret|token|sig)$|^code$", re.IGNORECASE)
"""Names inside of a value: of a connection string, of the query of an address."""
PAIR = re.compile(r"(?:^|[?&\s])([^=&?\s]+)=([^&\s]*)")
CREDENTIALS = re.compile(r"://[^/?#\s:@]*:(?:([^/?#\s]*)|(?!\d+[/?#])(\S*))@")
"""User and password of an address; the password may hold a / that should have been encoded."""
HEADERS = re.compile(r"^OTEL_EXPORTER_OTLP_(?:\w+_)?HEADERS$", re.IGNORECASE)
"""``name=value,name=value`` for a collector of OpenTelemetry; one of the values may be a key."""
FILE = re.compile(r"(?:(?:[.~]{0,2}|[\w.-]+|[A-Za-z]:)[\\/][^=+]*|[\w-]+)\.\w{1,8}")


def secrets_in(settings: Mapping[str, str]) -> set[str]:
    """The secrets that settings hold: values by their names, and parts of connection strings and of addresses."""
    return {secret for name, value in settings.items() for secret in _secrets_of(name, value)}


def is_secret(name: str, value: str) -> bool:
    """Whether a setting is, or holds, a secret; by its name also a short one, which no text could be searched for."""
    if not value.strip() or value.startswith("$"):
        return False  # nothing, or a reference to what is filled in elsewhere
    if next(_secrets_of(name, value), None) is not None or redact(value) != value:
        return True
    return CERTAIN.search(name) is not None and not (name in FOLDERS and value.startswith("/"))


def _secrets_of(name: str, value: str) -> Iterator[str]:
    parts = [part for part in _parts(value) if _is_telling(part)]
    yield from parts
    if HEADERS.search(name):
        yield from filter(_is_telling, _header_values(value))
    elif CONNECTION.search(name):
        if not parts and "://" not in value and _is_telling(value):
            yield value  # as a whole, since nobody knows which part it is
    elif CERTAIN.search(name) and not (name in FOLDERS and value.startswith("/")):
        if _is_telling(value):
            yield value
    elif LIKELY.search(name) and _is_telling(value) and not _is_other(value):
        yield value


def _parts(value: str) -> Iterator[str]:
    """The secret ones of ``Name=value;...`` and of ``?name=value&...``, and the password of an address."""
    for piece in value.split(";"):
        name, _, text = piece.partition("=")
        if PART.search(name.strip()):
            yield text.strip()
    for name, text in PAIR.findall(value):
        if PART.search(name):
            yield text
            yield unquote(text)
    for match in CREDENTIALS.finditer(value):
        password = match[1] or match[2] or ""
        yield password
        yield unquote(password)


def _header_values(value: str) -> Iterator[str]:
    """Each value, and what follows a scheme in it, as in ``authorization=Bearer%20...``."""
    for pair in value.split(","):
        text = unquote(pair.partition("=")[2].strip())
        yield from dict.fromkeys((text, text.rpartition(" ")[2]))


def _is_telling(value: str) -> bool:
    """Whether a text stands for itself in a line: it is neither short nor a word, which would be found in prose."""
    is_word = value.isalpha() and len(value) <= LONGEST_WORD and (value[1:].islower() or value.isupper())
    return len(value) >= SHORTEST and not is_word


def _is_other(value: str) -> bool:
    """Whether a value is rather a number, a name or the file of a key."""
    is_name = value.isalpha() and len(value) <= LONGEST_WORD
    return value.isdecimal() or is_name or FILE.fullmatch(value) is not None


# --- by value ----------------------------------------------------------------------------------------------------


class Held:
    """The secrets of this process, in all the forms in which a line may have them."""

    def __init__(self) -> None:
        self._of: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()
        self.forms: tuple[str, ...] = ()
        """Longest first, so that a part of another one leaves nothing of it."""

    def hold(self, owner: str, secrets: Iterable[str]) -> None:
        """Keeps these secrets out of all text, in place of those that the owner named before."""
        with self._lock:
            self._of[owner] = frozenset(secret for secret in secrets if len(secret) >= SHORTEST)
            every = frozenset[str]().union(*self._of.values())
            self.forms = tuple(sorted({form for secret in every for form in _forms(secret)}, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    yield secret
    encoded = quote(secret, safe="", errors="surrogatepass")
    yield encoded
    yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
    yield quote(secret, errors="surrogatepass")
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    whole = secret.encode("utf-8", "surrogatepass")
    whole = whole[: len(whole) // 3 * 3]  # what follows it in a longer text changes the rest
    if len(whole) >= SHORTEST:
        yield base64.b64encode(whole).decode()
        yield base64.urlsafe_b64encode(whole).decode()


HELD = Held()


# --- by pattern --------------------------------------------------------------------------------------------------

VALUE = r"""(?:b?"(?:[^"\\\n]|\\.)*"?|b?'(?:[^'\\\n]|\\.)*'?|[^\s"'<>()\[\]{},;&]+)"""
KEYS = r"""
    shared_?access_?(?:key|signature) | (?:account|access|primary|secondary|master|instrumentation|subscription)_?key
    | (?:api|functions|subscription|account|access)[_-]?key | passw(?:or)?d | passphrase | secret | token
"""
NOT_ONE = r"(?!None\b|True\b|False\b|%\w+%|\.\.\.|\*\*\*)"
"""What stands in the place of a value, and is none; ``%NAME%`` only names a setting."""

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.VERBOSE | re.DOTALL), replacement)
    for pattern, replacement in (
        # a private key in PEM; one that is cut off, to the end
        (
            r"-----BEGIN\ ([A-Z ]*)PRIVATE\ KEY-----.*?(?:-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)",
            rf"-----BEGIN \1PRIVATE KEY-----{MASK}-----END \1PRIVATE KEY-----",
        ),
        # a header: scheme and value
        (
            r"""(authorization(?:["']?\s*[:=]\s*|["']\s*,\s*)(?:b(?=["']))?["']?)
                ((?:basic|bearer|digest|negotiate|sharedaccesssignature)\s+)?[^\s"',;]+""",
            rf"\1\2{MASK}",
        ),
        (r"\b(bearer\s+)[\w.~+/=-]{16,}", rf"\1{MASK}"),
        (r"\b(sharedaccesssignature\s+)[^\s\"';,]+", rf"\1{MASK}"),
        (r"(?<![\w-])(?-i:eyJ)[\w-]{6,}\.[\w-]{6,}(?:\.[\w-]*)?", MASK),
        # Name=value; "name": "value"; X-Name-Key: value
        (rf"((?:{KEYS})[\"']?\s*=\s*){NOT_ONE}{VALUE}", rf"\1{MASK}"),
        # but not what our errors say of a function of such a name: function 'get_token': ...
        (rf"((?<!function\ )[\"'][\w.-]*(?:{KEYS}|\bpwd|\bsig)[\"']\s*[:,]\s*){NOT_ONE}{VALUE}", rf"\1{MASK}"),
        (rf"(\w-(?:key|token|secret|password)\s*:\s*){NOT_ONE}{VALUE}", rf"\1{MASK}"),
        # parts of connection strings and queries
        (rf"(;\s*(?:pwd|pass)\s*=\s*){VALUE}", rf"\1{MASK}"),
        (r"(\bsig=|[?&](?:code|sig|signature|key|[\w.-]*[_-]key|pass|pwd|auth)=)[^&\#\s\"'<>(),;]+", rf"\1{MASK}"),
        # user and password of an address; a password may hold a / that should have been encoded
        (
            r"(://)(?:[^/?\#\s\"'<>]{0,300}|[^/\s:@\"'<>]{0,300}:(?!\d+[/?\#])[^\s\"'<>]{0,300})@",
            rf"\1{MASK}@",
        ),
    )
)
WORDS = ("key", "pass", "sig", "token", "secret", "auth", "bearer", "eyj", "@", "pwd", "code=")
"""One of these, in small letters, is part of whatever a pattern finds."""
ENDS = "key password passwd passphrase pass pwd secret token sig signature code auth".split()
SUSPICIOUS = re.compile(
    "|".join(
        (
            *(rf"""{name}(?:["']\s*[=:,]|\s*=)""" for name in ENDS),
            *(rf"-{name}\s*:" for name in ("key", "token", "secret", "password")),
            r"""authorization["']?\s*[=:,]""",
            r"bearer\s",
            r"sharedaccesssignature\s",
            r"eyj[\w-]{6,4000}\.",
            r"private key-----",
            r"://\S{0,600}@",
        )
    )
)
"""As much of the patterns as can be looked for quickly, in small letters; each part begins with one that is known."""


def hold(owner: str, secrets: Iterable[str]) -> None:
    """Keeps these secrets out of all text from now on, in place of those that the same owner named before."""
    HELD.hold(owner, secrets)


def redact(text: str) -> str:
    """The text with ``***`` in the place of each secret, and with escapes for letters that UTF-8 does not have, which
    neither a file nor JSON takes.
    """
    if not text.isascii():
        text = text.encode(errors="backslashreplace").decode()
    for form in HELD.forms:
        if form in text:
            text = text.replace(form, MASK)
    small = text.lower()
    for word in WORDS:
        if word in small:
            return _by_pattern(text) if SUSPICIOUS.search(small) else text
    return text


def _by_pattern(text: str) -> str:
    for pattern, replacement in PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redacted(value: Any) -> Any:
    """A JSON value with ``***`` in the place of each secret in its texts; names of objects stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {name: redacted(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    return value
