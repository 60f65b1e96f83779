"""What makes a sound of a text: espeak-ng on this machine, or Azure Speech by its REST interface."""

from __future__ import annotations

import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Protocol
from xml.sax.saxutils import escape, quoteattr

from edgefn.bindings.speech_programs import Run, SpeechError, first_of, output_of
from edgefn.bindings.wav import mended

ESPEAK = ("espeak-ng", "espeak")
WORDS_A_MINUTE = 175
"""espeak's usual rate."""
LANGUAGE = re.compile(r"[a-z]{2,3}-[A-Za-z0-9]{2,8}")
FORMAT = "riff-24khz-16bit-mono-pcm"
LARGEST = 32 * 1024 * 1024
"""Bytes of an answer: ten minutes of sound."""
CHUNK = 1 << 16
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
REMEDIES = {
    400: "the voice may be another's, or not be there",
    401: "the key is not that of this region, or there is none",
    403: "the key is not that of this region, or there is none",
    404: "the address is another one",
    429: "there are too many calls for this resource",
}


class Maker(Protocol):
    """Makes sounds in one voice."""

    @property
    def identity(self) -> str:
        """What its sounds depend on, beside the text."""

    @property
    def voice(self) -> str: ...

    def missing(self) -> str:
        """What has to be there and is not; empty when all is."""

    async def sound(self, text: str) -> bytes:
        """A WAV file that is whole; raises SpeechError."""


class Espeak:
    """espeak-ng, without a network. A text goes in by its input, so that none is an option."""

    def __init__(self, voice: str, rate: float, timeout: float) -> None:
        self.voice = voice or "en"
        self._speed = round(WORDS_A_MINUTE * rate)
        self._timeout = timeout
        self.identity = f"espeak/{self.voice}/{self._speed}"

    def missing(self) -> str:
        return "" if first_of(ESPEAK) else "espeak-ng is not installed; apt install espeak-ng, or take provider azure"

    async def sound(self, text: str) -> bytes:
        program = first_of(ESPEAK)
        if program is None:
            raise SpeechError("unavailable", self.missing())
        command = [program, "-b", "1", "-v", self.voice, "-s", str(self._speed), "--stdin", "--stdout"]
        plain = text.replace("[[", "[ [")  # what is in double brackets would be phonemes
        content, complaint = await output_of(command, plain.encode(errors="replace"), self._timeout)
        try:
            return mended(content)
        except ValueError as error:
            raise SpeechError("failed", f"what {program} made {error}{complaint and '; ' + complaint}") from None


class Azure:
    """Azure Speech. After a failure it is not asked for a while, so that what is cached is not kept waiting."""

    def __init__(
        self,
        endpoint: str,
        key: str,
        voice: str,
        rate: float,
        timeout: float,
        run: Run,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.voice = voice or "en-US-JennyNeural"
        self.identity = f"azure/{self.voice}/{rate:g}/{FORMAT}"
        self._endpoint = endpoint
        self._key = key
        self._rate = rate
        self._timeout = timeout
        self._clock = clock
        self._run = run
        self._pause = 0.0
        self._again = clock()
        self._fault = ""

    def missing(self) -> str:
        return ""

    async def sound(self, text: str) -> bytes:
        if self._clock() < self._again:
            raise SpeechError("failed", self._fault)
        try:
            content = mended(await self._run(partial(self._asked, text)))
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._pause = min(LONGEST_PAUSE, max(SHORTEST_PAUSE, 2 * self._pause))
            self._again = self._clock() + self._pause
            self._fault = f"{self._endpoint}: {_told(error)}"
            raise SpeechError("failed", self._fault) from None
        self._pause = 0.0
        return content

    def _asked(self, text: str) -> bytes:
        headers = {
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": FORMAT,
            "User-Agent": "edgefn",
            **({"Ocp-Apim-Subscription-Key": self._key} if self._key else {}),
        }
        request = urllib.request.Request(self._endpoint, ssml(text, self.voice, self._rate), headers, method="POST")
        opener = urllib.request.build_opener(_NoRedirect)  # the key is for this address only
        latest = self._clock() + self._timeout
        try:
            with opener.open(request, timeout=self._timeout) as answer:
                return self._content(answer, latest)
        except urllib.error.HTTPError as error:
            error.close()
            raise

    def _content(self, answer: http.client.HTTPResponse, latest: float) -> bytes:
        """All of an answer; the library alone would wait anew for each piece."""
        content = bytearray()
        while piece := answer.read1(CHUNK):
            content += piece
            if len(content) > LARGEST:
                raise ValueError(f"the answer has more than {LARGEST} bytes")
            if self._clock() > latest:
                raise TimeoutError(f"the sound is not whole after {self._timeout:g} s, the time-out; it is tried again")
        if answer.length:
            raise http.client.IncompleteRead(bytes(content), answer.length)
        return bytes(content)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *about: object) -> None:
        """An address that sends elsewhere is an error."""


def ssml(text: str, voice: str, rate: float) -> bytes:
    """A text as Azure Speech takes it."""
    found = LANGUAGE.match(voice)
    language = found[0] if found else "en-US"
    said = escape("".join(letter for letter in text if letter >= " " or letter in "\t\n"))
    if rate != 1:
        said = f'<prosody rate="{round((rate - 1) * 100):+d}%">{said}</prosody>'
    return (
        '<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" '
        f"xml:lang={quoteattr(language)}><voice name={quoteattr(voice)}>{said}</voice></speak>"
    ).encode(errors="replace")


def _told(error: Exception) -> str:
    """Why the service gave no sound."""
    if isinstance(error, urllib.error.HTTPError):
        remedy = REMEDIES.get(error.code, "it is tried again")
        return f"answers {error.code} {error.reason}; {remedy}"
    if isinstance(error, urllib.error.URLError):
        return f"can not be reached: {error.reason}"
    return str(error) or type(error).__name__
