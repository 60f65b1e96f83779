"""``speech``: what a function gives is said aloud.

    value -> text (by a map) -> sound (from the cache, or made by espeak-ng or Azure Speech) -> player

All of it happens beside the function, in order; while that is slower than the function, texts are dropped as declared.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from edgefn.bindings.backlog import Backlog, WhenFull
from edgefn.bindings.speech_cache import SpeechCache, key_of
from edgefn.bindings.speech_makers import Azure, Espeak, Maker
from edgefn.bindings.speech_players import PROGRAMS, FileSink, Loudspeaker, Player, Silence
from edgefn.bindings.speech_programs import SpeechError
from edgefn.contracts import Asset, Event, Needs, OutputKind, Services
from edgefn.errors import BindingError, SettingError
from edgefn.function import Binding, Options, Seconds, Word
from edgefn.gates.sightings import sightings
from edgefn.hookspecs import hookimpl
from edgefn.redaction import hold
from edgefn.settings import read_json, references
from edgefn.threads import Threads

log = logging.getLogger("edgefn.speech")

MIB = 1024 * 1024
LAST_WISH = 3.0
"""Seconds that what waits gets to be said when the host stops."""
LONGEST_TEXT = 1000
"""Characters: a minute or so."""
REGION = re.compile(r"[a-z0-9-]+", re.IGNORECASE)
OTHERS = "*"
"""The label in a map that stands for all that are not in it."""
NOT_SET = ("", "none", "null")
MEANWHILE = {
    "maker": "only what is cached is said",
    "player": "nothing is heard",
    "cache": "after a restart they are made again",
}
"""What follows while a part of it can not do its work."""
Words = dict[str, str | None]


def _map(value: Any) -> Any:
    """A map that is written as JSON in a text; other texts name a file."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(
                f'is no JSON: {error}; right would be {{"label": "text"}}, or the name of a file'
            ) from None
    return value


class SpeechOptions(Options):
    """The options of ``speech``."""

    provider: Annotated[Literal["espeak", "azure"], Word] = "espeak"
    voice: str = ""
    """A voice of the provider; default: ``en``, and ``en-US-JennyNeural``."""
    rate: float = Field(default=1.0, ge=0.5, le=2.5)
    """How fast, 1.0 as usual."""
    map: Annotated[Words | str, BeforeValidator(_map)] = Field(default_factory=dict)
    """What is said for a label: a JSON object, or a file with one, relative to the app root."""
    player: Annotated[Literal["auto", "pw-play", "paplay", "aplay", "ffplay", "afplay", "file", "none"], Word] = "auto"
    path: str = ""
    """The folder for ``player`` ``file``, relative to the app root."""
    cache_folder: str = ""
    """Relative to the app root; default: one in the state folder. ``none``: sounds are kept in memory only."""
    cache_files: int = Field(default=1000, ge=1)
    cache_bytes: int = Field(default=128 * MIB, ge=1)
    speech_key: SecretStr | None = Field(default=None, json_schema_extra={"pattern": "^%[^%]+%$"})
    speech_region: str = ""
    endpoint: str = ""
    """The address of the service, where it is not that of the region."""
    timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    """Of making a sound."""
    ttl: Annotated[Seconds, Field(gt=0)] | None = None
    """Seconds after which it is too late to say something."""
    max_waiting: int = Field(default=4, ge=1)
    when_full: WhenFull = "drop_oldest"

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.player == "file" and not self.path.strip():
            raise ValueError("player file needs path, the folder for the sounds")
        if self.provider == "azure":
            self._check_azure()
        return self

    def _check_azure(self) -> None:
        if self.endpoint and not self.endpoint.lower().startswith(("https://", "http://")):
            raise ValueError("endpoint should be an address, https://...")
        if not self.endpoint and not REGION.fullmatch(self.speech_region):
            raise ValueError("provider azure needs speechRegion, such as westeurope, or an endpoint")
        if not self.endpoint and not self.key:
            raise ValueError("provider azure needs speechKey: set it, and name the setting as %SPEECH_KEY%")

    @property
    def key(self) -> str:
        return "" if self.speech_key is None else self.speech_key.get_secret_value()

    @property
    def address(self) -> str:
        region = self.speech_region.lower()
        return self.endpoint or f"https://{region}.tts.speech.microsoft.com/cognitiveservices/v1"

    @property
    def lasting(self) -> tuple[object, ...]:
        """What an output is made for, once."""
        return self.max_waiting, self.when_full, self.cache_folder, self.cache_files, self.cache_bytes


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that is to be said; ``since`` is when it came, on the monotonic clock."""

    text: str
    since: float


class SpeechOutput:
    """What one function says."""

    def __init__(self, binding: Binding, cache: SpeechCache, turn: asyncio.Lock, around: Around) -> None:
        options = _options(binding)
        self._function = binding.function
        self._around = around
        self._cache = cache
        self._turn = turn
        self._threads = Threads(1)
        self._backlog: Backlog[Utterance] = Backlog(options.max_waiting, options.when_full, self._say, self._drop)
        self._syntheses = self._cached = self._spoken = 0
        self._dropped: Counter[str] = Counter()
        self._faults: dict[str, str] = {}
        self._change(*self._parts(binding))

    # --- what it is made of --------------------------------------------------------------------------------------

    def adopt(self, binding: Binding) -> Callable[[], None] | None:
        """Voice, words, player and times change in place; what was said before is still cached."""
        if _options(binding).lasting != self._options.lasting:
            return None
        return partial(self._change, *self._parts(binding))

    def _parts(self, binding: Binding) -> tuple[SpeechOptions, Words, Maker, Player]:
        options = _options(binding)
        words = {label.casefold(): text for label, text in words_of(binding, self._around.root).items()}
        return options, words, self._maker(options), self._player(options)

    def _maker(self, options: SpeechOptions) -> Maker:
        if options.provider == "espeak":
            return Espeak(options.voice, options.rate, options.timeout)
        hold(f"speech of {self._function}", [options.key])
        return Azure(options.address, options.key, options.voice, options.rate, options.timeout, self._run)

    def _player(self, options: SpeechOptions) -> Player:
        if options.player == "none":
            return Silence()
        if options.player == "file":
            return FileSink(self._around.folder(options.path), self._run)
        names = list(PROGRAMS) if options.player == "auto" else [options.player]
        return Loudspeaker(names, self._around.state, self._turn, self._run)

    def _change(self, options: SpeechOptions, words: Words, maker: Maker, player: Player) -> None:
        self._options, self._words, self._maker_, self._player_ = options, words, maker, player
        self._tell("maker", maker.missing())
        self._tell("player", player.missing())

    async def _run(self, call: Callable[[], Any]) -> Any:
        return await self._threads.run(call).future

    # --- an output -----------------------------------------------------------------------------------------------

    def encode(self, value: Any) -> str:
        """The text that is to be said; empty for nothing."""
        label = label_of(value)
        if not label:
            return ""
        text = self._words.get(label.casefold(), self._words.get(OTHERS, label))
        text = (text or "").replace("{label}", label).strip()
        if len(text) > LONGEST_TEXT:
            raise TypeError(f"a text of {len(text)} characters is too long to be said; at most {LONGEST_TEXT}")
        return text

    async def send(self, encoded: str, event: Event) -> None:
        if encoded:
            await self._backlog.put(Utterance(encoded, time.monotonic()))

    def status(self) -> Mapping[str, Any]:
        return {
            "state": "failing" if self._faults else "on",
            **({"fault": "; ".join(self._faults.values())} if self._faults else {}),
            "provider": self._options.provider,
            "voice": self._maker_.voice,
            "player": self._player_.name,
            "spoken": self._spoken,
            "syntheses": self._syntheses,
            "cached": self._cached,
            "dropped": dict(self._dropped),
            "waiting": self._backlog.depth,
            "cache": self._cache.status(),
        }

    async def close(self) -> None:
        """Says what waits, for a limited time."""
        await self._backlog.close(LAST_WISH)
        self._threads.close()

    # --- saying --------------------------------------------------------------------------------------------------

    async def _say(self, utterance: Utterance) -> None:
        ttl, player = self._options.ttl, self._player_
        if ttl is not None and time.monotonic() - utterance.since > ttl:
            self._drop("late")
            return
        part = "maker"
        try:
            sound = await self._sound(utterance.text)
            part = "player"
            await player.play(sound, utterance.text)
        except SpeechError as error:
            self._drop(error.cause)
            self._tell(part, str(error))
            return
        self._tell(part, "")
        self._spoken += 1
        self._around.counters.spoken(self._function)

    async def _sound(self, text: str) -> bytes:
        """The sound of a text, made once in a voice; raises SpeechError."""
        maker = self._maker_
        key = key_of(maker.identity, text)
        turn = self._cache.turn(key)
        async with turn:
            known: bytes | None = await self._run(partial(self._cache.get, key))
            if known is not None:
                self._cached += 1
                return known
            sound = await maker.sound(text)
            self._tell("maker", "")
            self._syntheses += 1
            self._around.counters.made(self._function)
            await self._keep(key, sound)
        return sound

    async def _keep(self, key: str, sound: bytes) -> None:
        try:
            await self._run(partial(self._cache.put, key, sound))
            self._tell("cache", "")
        except OSError as error:
            self._tell("cache", f"sounds can not be kept on disk: {error}")

    def _drop(self, cause: str) -> None:
        self._dropped[cause] += 1
        self._around.counters.dropped(self._function, cause)

    def _tell(self, part: str, fault: str) -> None:
        """Said once, until it is over."""
        known = self._faults.pop(part, "")
        if fault:
            self._faults[part] = fault
        if fault and not known:
            log.warning("%s; function '%s' goes on, and %s", fault, self._function, MEANWHILE[part])
        elif known and not fault:
            log.info("Function '%s' speaks as it should again; this is over: %s", self._function, known)


def label_of(value: Any) -> str:
    """The text that a value is, or the name of the best result in it; empty for None. Raises TypeError."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        found = sightings(value)
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"a {kind} can not be said; right would be a text, or results with name and score") from None
    return max(found, key=lambda each: each.score).name if found else ""


def words_of(binding: Binding, root: Path) -> Words:
    """What is said for labels; raises BindingError where the file of the map can not be used."""
    declared = _options(binding).map
    if not isinstance(declared, str):
        return declared
    if declared.strip().lower() in NOT_SET:
        return {}
    path = root / Path(declared.strip()).expanduser()
    try:
        words = read_json(path)
    except SettingError as error:
        raise BindingError(f"{binding.where()}: map: {error}") from None
    wrong = [label for label, text in words.items() if text is not None and not isinstance(text, str)]
    if wrong:
        raise BindingError(
            f"{binding.where()}: map: {path}: '{wrong[0]}' should have a text, found {words[wrong[0]]!r}"
        )
    return words


class Counters:
    """What is counted of all outputs of this kind."""

    def __init__(self, services: Services) -> None:
        counter = services.metrics.counter
        self._made = counter("edgefn_speech_syntheses", "Sounds that were made of texts", ("function",))
        self._spoken = counter("edgefn_speech_spoken", "Texts that were said", ("function",))
        self._dropped = counter("edgefn_speech_dropped", "Texts that were not said, by cause", ("function", "cause"))

    def made(self, function: str) -> None:
        self._made.labels(function).inc()

    def spoken(self, function: str) -> None:
        self._spoken.labels(function).inc()

    def dropped(self, function: str, cause: str) -> None:
        self._dropped.labels(function, cause).inc()


@dataclass(frozen=True, slots=True)
class Around:
    """What all outputs of a host have around them."""

    root: Path
    state: Path
    counters: Counters

    def folder(self, path: str) -> Path:
        return self.root / Path(path.strip()).expanduser()


class SpeechOutputKind:
    """The binding type ``speech``. Outputs with the same cache share it, and the loudspeaker."""

    type = "speech"
    options = SpeechOptions

    def __init__(self, services: Services) -> None:
        self._around = Around(services.root, services.state, Counters(services))
        self._caches: dict[object, SpeechCache] = {}
        self._turn = asyncio.Lock()

    def check(self, binding: Binding) -> None:
        declared = binding.declared.get("speechKey")
        if declared and not references(declared):
            raise BindingError(
                f"{binding.where()}: speechKey is written out; put the key into a setting, and name that: %SPEECH_KEY%"
            )
        words_of(binding, self._around.root)

    def needs(self, binding: Binding) -> Needs:
        """The sound card, the file of the map, and the folders that it fills."""
        options = _options(binding)
        heard = options.player not in ("file", "none")
        written = (options.path.strip() if options.player == "file" else "", options.cache_folder.strip())
        reads = options.map.strip() if isinstance(options.map, str) else ""
        made = ["espeak-ng"] if options.provider == "espeak" else []
        programs = made + ["alsa-utils"] * heard
        return Needs(
            devices=("/dev/snd",) if heard else (),
            groups=("audio",) if heard else (),
            reads=(Asset(reads, self._around.folder(reads)),) if reads.lower() not in NOT_SET else (),
            writes=tuple(path for path in written if path.lower() not in NOT_SET),
            notes=(f"to be heard, build the image with PACKAGES='{' '.join(programs)}'",) if programs else (),
        )

    async def open(self, binding: Binding) -> SpeechOutput:
        return SpeechOutput(binding, self._cache(_options(binding)), self._turn, self._around)

    def _cache(self, options: SpeechOptions) -> SpeechCache:
        declared = options.cache_folder.strip()
        folder: Path | None = self._around.folder(declared) if declared else self._around.state / "speech"
        if declared.lower() in ("none", "null"):
            folder = None
        asked = (folder, options.cache_files, options.cache_bytes)
        return self._caches.setdefault(asked, SpeechCache(*asked))

    async def close(self) -> None:
        """Its outputs are closed by their functions."""


def _options(binding: Binding) -> SpeechOptions:
    assert isinstance(binding.options, SpeechOptions)
    return binding.options


@hookimpl
def edgefn_outputs(services: Services) -> Sequence[OutputKind]:
    return [SpeechOutputKind(services)]
