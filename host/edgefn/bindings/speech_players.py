"""Where a sound goes: to a loudspeaker by a program that plays it, into a folder, or nowhere."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from edgefn.bindings.patterns import STAMP
from edgefn.bindings.shelf import Shelf
from edgefn.bindings.speech_programs import Run, SpeechError, first_of, output_of
from edgefn.bindings.wav import seconds
from edgefn.errors import listing

PROGRAMS: Mapping[str, Sequence[str]] = {
    "pw-play": (),
    "paplay": (),
    "aplay": ("-q",),
    "ffplay": ("-nodisp", "-autoexit", "-loglevel", "error"),
    "afplay": (),
}
"""Programs that play a file, with their options; in the order in which they are tried."""
PATIENCE = 10.0
"""Seconds beyond the length of a sound that playing it may take."""
MANY, MANY_BYTES = 100, 256 * 1024 * 1024
SPOKEN = re.compile(r"\d{8}T\d{6}\.\d{6}Z-.*\.wav")
LONGEST_NAME = 60


class Player(Protocol):
    """Takes sounds, one after the other."""

    @property
    def name(self) -> str: ...

    def missing(self) -> str:
        """What has to be there and is not; empty when all is."""

    async def play(self, sound: bytes, text: str) -> None:
        """Returns when the sound has been heard; raises SpeechError."""


class Silence:
    """Nobody listens."""

    name = "none"

    def missing(self) -> str:
        return ""

    async def play(self, sound: bytes, text: str) -> None:
        """Nothing is played."""


class Loudspeaker:
    """The programs of this machine; of several the first that can. One sound at a time, whoever speaks."""

    def __init__(self, names: Sequence[str], folder: Path, turn: asyncio.Lock, run: Run) -> None:
        self._names = list(names)
        self._folder = folder
        self._turn = turn
        self._run = run
        self.name = names[0] if len(names) == 1 else "auto"

    def missing(self) -> str:
        if first_of(self._names):
            return ""
        return f"there is no program that plays sounds, looked for {listing(self._names)}; apt install alsa-utils"

    async def play(self, sound: bytes, text: str) -> None:
        there = [name for name in self._names if first_of([name])]
        if not there:
            raise SpeechError("no_player", self.missing())
        async with self._turn:
            try:
                with tempfile.TemporaryDirectory(dir=self._folder, prefix="speech-") as folder:
                    path = Path(folder) / "sound.wav"
                    await self._run(partial(path.write_bytes, sound))
                    await self._first_that_plays(there, path, seconds(sound) + PATIENCE)
            except OSError as error:
                raise SpeechError(
                    "not_played", f"{self._folder}: can not be written to: {error}; name another folder"
                ) from None

    async def _first_that_plays(self, names: Sequence[str], path: Path, within: float) -> None:
        for name in names:
            try:
                await _played(name, path, within)
            except SpeechError:
                if name == names[-1]:
                    raise
            else:
                self._names = [name, *(other for other in self._names if other != name)]
                return


async def _played(name: str, path: Path, within: float) -> None:
    try:
        _, complaint = await output_of([name, *PROGRAMS[name], str(path)], b"", within)
    except SpeechError as error:
        raise SpeechError("not_played", str(error)) from None
    if "audio open failed" in complaint:  # ffplay says that it went well
        raise SpeechError("not_played", f"{name}: audio open failed; is there a loudspeaker, and may this user use it?")


class FileSink:
    """A folder with the newest sounds, as files that are named by their texts."""

    name = "file"

    def __init__(self, folder: Path, run: Run) -> None:
        self._folder = folder
        self._shelf = Shelf(folder, SPOKEN, MANY, MANY_BYTES)
        self._run = run

    def missing(self) -> str:
        return ""

    async def play(self, sound: bytes, text: str) -> None:
        words = re.sub(r"\W+", "-", text).strip("-")[:LONGEST_NAME]
        name = f"{datetime.now(UTC):{STAMP}}-{words}.wav"
        try:
            await self._run(partial(self._shelf.put, name, sound))
        except OSError as error:
            raise SpeechError(
                "not_played", f"{self._folder}: can not be written to: {error}; name another folder"
            ) from None
