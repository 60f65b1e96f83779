"""What is said: in which words and voice, made once, heard in order, and in nobody's way."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from edgefn.bindings.speech import SpeechOptions, SpeechOutput, SpeechOutputKind
from edgefn.bindings.speech_cache import SpeechCache, key_of
from edgefn.bindings.speech_makers import Azure, Espeak
from edgefn.bindings.speech_programs import SpeechError
from edgefn.bindings.wav import mended, seconds
from edgefn.contracts import Candidate, Event, Services
from edgefn.function import Binding, Direction
from edgefn.loader import load_app
from edgefn.redaction import hold, redact
from edgefn.standin.certificates import Certificates
from edgefn.standin.folder import Folder
from tests.bindings.speech_service import KEY, Service, azure_speech, sound
from tests.conftest import AppIn
from tests.spool.ports import until
from tests.ticks import HEAD


def about(content: bytes) -> tuple[int, int, float]:
    with wave.open(io.BytesIO(content)) as opened:
        return opened.getframerate(), opened.getnchannels(), opened.getnframes() / opened.getframerate()


@dataclass
class Speaker:
    """An output of speech into the folder ``said``."""

    kind: SpeechOutputKind
    output: SpeechOutput
    folder: Path

    async def say(self, *values: Any) -> None:
        """Says values one after the other, and waits for each."""
        for value in values:
            before = sum(self.counts())
            if encoded := self.output.encode(value):
                await self.output.send(encoded, Event(None))
                await until(lambda before=before: sum(self.counts()) > before)  # type: ignore[misc]

    def counts(self) -> tuple[int, int]:
        return self.status["spoken"], sum(self.status["dropped"].values())

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.output.status())

    @property
    def said(self) -> list[str]:
        """What was said: the names of the files without their times."""
        return [path.stem.partition("-")[2] for path in sorted(self.folder.glob("*.wav"))]


def binding(folder: Path, **options: Any) -> Binding:
    declared = SpeechOptions.model_validate({"player": "file", "path": str(folder), **options})
    return Binding("greet", "$return", "speech", Direction.OUT, dict(options), declared)


@asynccontextmanager
async def speaking(services: Services, folder: Path, **options: Any) -> AsyncIterator[Speaker]:
    kind, declared = SpeechOutputKind(services), binding(folder / "said", **options)
    services.state.mkdir(parents=True, exist_ok=True)
    kind.check(declared)
    output = await kind.open(declared)
    try:
        yield Speaker(kind, output, folder / "said")
    finally:
        await output.close()


# --- espeak-ng -----------------------------------------------------------------------------------------------------


async def test_espeak_makes_a_whole_sound_of_a_text() -> None:
    rate, channels, length = about(await Espeak("en", 1.0, 30).sound("You scanned a banana"))
    assert (rate, channels) == (22050, 1)
    assert 0.8 < length < 4
    slow = about(await Espeak("en", 0.5, 30).sound("You scanned a banana"))[2]
    assert slow > 1.5 * length
    options_in_it = await Espeak("de", 1.0, 30).sound("--version [[h@l]] <b>äpfel</b> -w x")
    assert about(options_in_it)[2] > 1


async def test_a_voice_that_espeak_does_not_have_is_told_in_its_words() -> None:
    with pytest.raises(SpeechError, match="The specified espeak-ng voice does not exist"):
        await Espeak("nonsense", 1.0, 30).sound("x")


def test_the_size_in_a_streamed_head_is_mended_and_a_sound_that_is_cut_is_none() -> None:
    whole = sound(0.5)
    streamed = whole[:4] + b"\x24\xf0\xff\x7f" + whole[8:40] + b"\x00\xf0\xff\x7f" + whole[44:]
    assert mended(streamed) == mended(whole) == whole
    assert seconds(whole) == 0.5
    for broken in (whole[:-100], whole[:40], b"", b"<html>", whole[:44]):
        with pytest.raises(ValueError, match=r"is no WAV file|is a WAV file"):
            mended(broken)


# --- words ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Banana", "You scanned a banana"),
        ("kiwi", "That is kiwi, I think"),
        ("Hand", ""),
        ("lemon", ""),
        (None, ""),
        (Candidate(0, "apple", 0.9), "Ein Apfel"),
        ([Candidate(0, "hand", 0.1), Candidate(1, "apple", 0.9)], "Ein Apfel"),
        ({"tagName": "apple", "probability": 0.9}, "Ein Apfel"),
        ([], ""),
    ],
)
async def test_what_is_said_for_a_label_is_in_a_map(services: Services, tmp_path: Path, value: Any, text: str) -> None:
    words = {
        "banana": "You scanned a {label}",
        "apple": "Ein Apfel",
        "hand": "",
        "LEMON": None,
        "*": "That is {label}, I think",
    }
    words["banana"] = "You scanned a banana"
    (tmp_path / "words.json").write_text(json.dumps(words))
    for declared in (words, json.dumps(words), str(tmp_path / "words.json")):
        async with speaking(services, tmp_path, map=declared) as speaker:
            assert speaker.output.encode(value) == text


@pytest.mark.parametrize(("value", "fault"), [(7, "a int can not be said"), ("x" * 1001, "is too long to be said")])
async def test_what_can_not_be_said_is_an_error_of_the_function(
    services: Services, tmp_path: Path, value: Any, fault: str
) -> None:
    async with speaking(services, tmp_path) as speaker:
        with pytest.raises(TypeError, match=fault):
            speaker.output.encode(value)


# --- the cache -----------------------------------------------------------------------------------------------------


async def test_equal_texts_in_one_voice_are_made_once_also_after_a_restart(services: Services, tmp_path: Path) -> None:
    async with speaking(services, tmp_path) as speaker:
        await speaker.say("apple", "banana", "apple")
        assert (speaker.status["syntheses"], speaker.status["cached"], speaker.status["spoken"]) == (2, 1, 3)
        assert speaker.said == ["apple", "banana", "apple"]
    async with speaking(services, tmp_path) as speaker:
        await speaker.say("banana")
        assert (speaker.status["syntheses"], speaker.status["cached"]) == (0, 1)
        assert speaker.status["cache"]["files"] == 2
    async with speaking(services, tmp_path, voice="de") as speaker:
        await speaker.say("banana")
        assert speaker.status["syntheses"] == 1, "another voice is another sound"


async def test_two_functions_that_say_the_same_at_once_make_it_once(services: Services, tmp_path: Path) -> None:
    async with speaking(services, tmp_path) as one:
        declared = binding(tmp_path / "other")
        two = Speaker(one.kind, await one.kind.open(declared), tmp_path / "other")
        await asyncio.gather(one.say("apple"), two.say("apple"))
        await two.output.close()
        assert one.status["syntheses"] + two.status["syntheses"] == 1
        assert one.said == two.said == ["apple"]


async def test_a_damaged_sound_in_the_cache_is_made_again(services: Services, tmp_path: Path) -> None:
    async with speaking(services, tmp_path, cacheFolder="cache") as speaker:
        await speaker.say("apple")
    (path,) = (services.root / "cache").iterdir()
    whole = path.read_bytes()
    for damaged in (whole[:-50], b"", whole[:200] + b"\xff" * 20 + whole[220:]):
        path.write_bytes(damaged)
        async with speaking(services, tmp_path, cacheFolder="cache") as speaker:
            await speaker.say("apple")
            assert speaker.status["syntheses"] == 1
        assert path.read_bytes() == whole


def test_the_cache_is_bounded_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    keys = [key_of("v", str(number)) for number in range(6)]
    cache = SpeechCache(tmp_path, 3, 10**9)
    for key in keys[:3]:
        cache.put(key, sound())
    fresh = SpeechCache(tmp_path, 3, 10**9)
    assert fresh.get(keys[0]) == sound()
    fresh.put(keys[3], sound())
    last = SpeechCache(tmp_path, 3, 10**9)
    assert [last.get(key) is not None for key in keys] == [True, False, True, True, False, False]
    assert last.status()["files"] == len(list(tmp_path.iterdir())) == 3
    small = SpeechCache(tmp_path, 3, 2000)
    small.put(keys[4], sound())
    assert small.status()["bytes"] <= 2000
    in_memory = SpeechCache(None, 1, 1)
    in_memory.put(keys[0], sound())
    assert in_memory.get(keys[0]) == sound()


@pytest.mark.parametrize("bound", [{"cacheFiles": 1}, {"cacheBytes": "2000"}])
async def test_how_many_sounds_are_kept_is_declared(services: Services, tmp_path: Path, bound: dict[str, Any]) -> None:
    async with speaking(services, tmp_path, cacheFolder="cache", **bound) as speaker:
        await speaker.say("apple", "banana", "cherry")
        assert speaker.status["cache"]["files"] == len(list((services.root / "cache").iterdir())) <= 1


async def test_a_cache_that_can_not_be_written_to_is_told_once_and_all_is_said(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    async with speaking(services, tmp_path, cacheFolder=str(tmp_path / "file")) as speaker:
        await speaker.say("apple", "banana", "apple")
        assert speaker.said == ["apple", "banana", "apple"]
        assert speaker.status["syntheses"] == 2, "what is in memory is not made again"
        assert "sounds can not be kept on disk" in speaker.status["fault"]
    assert caplog.text.count("sounds can not be kept on disk") == 1


# --- what is missing -----------------------------------------------------------------------------------------------


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of its own, for programs that a test writes."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    (folder / name).chmod((folder / name).stat().st_mode | stat.S_IEXEC)


async def test_a_machine_without_espeak_says_so_once_and_says_what_is_cached(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with speaking(services, tmp_path) as speaker:
        await speaker.say("apple")
    monkeypatch.setenv("PATH", str(tmp_path))
    async with speaking(services, tmp_path) as speaker:
        assert "espeak-ng is not installed; apt install espeak-ng" in speaker.status["fault"]
        assert speaker.status["state"] == "failing"
        await speaker.say("banana", "apple", "banana")
        assert (speaker.status["spoken"], speaker.status["dropped"]) == (1, {"unavailable": 2})
    assert caplog.text.count("espeak-ng is not installed") <= 2
    monkeypatch.undo()
    async with speaking(services, tmp_path) as speaker:
        await speaker.say("banana")
        assert speaker.status["state"] == "on"


async def test_the_first_program_that_can_plays_the_sound(services: Services, tmp_path: Path, programs: Path) -> None:
    program(programs, "espeak-ng", f"cat {tmp_path}/sound.wav")
    (tmp_path / "sound.wav").write_bytes(sound())
    async with speaking(services, tmp_path, player="auto") as speaker:
        assert (
            "there is no program that plays sounds, looked for pw-play, paplay, aplay, ffplay"
            in speaker.status["fault"]
        )
        await speaker.say("apple")
        assert speaker.status["dropped"] == {"no_player": 1}
        program(programs, "paplay", "echo Connection refused >&2; exit 1")
        await speaker.say("apple")
        assert speaker.status["dropped"] == {"no_player": 1, "not_played": 1}
        assert "Connection refused" in speaker.status["fault"]
        program(programs, "aplay", f'cp "$2" {tmp_path}/heard.wav')
        await speaker.say("apple")
        assert speaker.status["spoken"] == 1
        assert speaker.status["state"] == "on"
    assert (tmp_path / "heard.wav").read_bytes() == sound()
    assert not list(services.state.glob("speech-*"))


async def test_a_program_that_takes_too_long_is_ended(services: Services, tmp_path: Path, programs: Path) -> None:
    program(programs, "espeak-ng", f"echo $$ > {tmp_path}/pid; exec sleep 60")
    async with speaking(services, tmp_path, timeout=0.2) as speaker:
        await speaker.say("apple")
        assert "did not end within 0.2 s; is it well? try it by hand" in speaker.status["fault"]
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


# --- in nobody's way -----------------------------------------------------------------------------------------------


async def test_texts_that_come_faster_than_they_are_said_are_dropped_as_declared(
    services: Services, tmp_path: Path, programs: Path
) -> None:
    (tmp_path / "sound.wav").write_bytes(sound())
    program(programs, "espeak-ng", f"until [ -e {tmp_path}/gate ]; do sleep 0.02; done; cat {tmp_path}/sound.wav")
    async with speaking(services, tmp_path, maxWaiting=2) as speaker:
        for number in range(6):
            await speaker.output.send(f"text {number}", Event(None))
            await asyncio.sleep(0)
        assert speaker.status["dropped"]["busy"] in (3, 4)
        (tmp_path / "gate").touch()
        await until(lambda: sum(speaker.counts()) == 6)
        assert speaker.said[-2:] == ["text-4", "text-5"]


async def test_what_is_too_late_is_not_said(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with speaking(services, tmp_path, ttl=5) as speaker:
        await speaker.say("apple")
        now = __import__("time").monotonic
        monkeypatch.setattr("edgefn.bindings.speech.time.monotonic", lambda: now() + 6)
        utterance = speaker.output._backlog  # what was put six seconds ago
        await utterance.put(type("Old", (), {"text": "banana", "since": now()})())  # type: ignore[arg-type]
        await until(lambda: speaker.status["dropped"] == {"late": 1})
        assert speaker.said == ["apple"]


# --- Azure Speech --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    certificates = Certificates(Folder(tmp_path_factory.mktemp("certificates")), ["localhost"])
    certificates.open()
    return certificates


@pytest.fixture(params=["http", "https"])
def azure(request: Any, trusted: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    if request.param == "https":
        (tmp_path / "root.pem").write_text(trusted.trust_bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))
    with azure_speech(trusted.context() if request.param == "https" else None) as service:
        yield service


OF_AZURE = {"provider": "azure", "speechKey": KEY, "speechRegion": "westeurope", "voice": "de-DE-KatjaNeural"}


async def test_azure_speech_is_asked_as_its_interface_wants_it(
    services: Services, tmp_path: Path, azure: Service
) -> None:
    declared = {**OF_AZURE, "endpoint": azure.url, "rate": 1.2}
    output = await SpeechOutputKind(services).open(binding(tmp_path / "said", **declared))
    speaker = Speaker(SpeechOutputKind(services), output, tmp_path / "said")
    await speaker.say('Äpfel & <Birnen> "7"')
    await output.close()
    (asked,) = azure.asked
    path, headers, body = asked.path, asked.headers, asked.body
    assert path == "/cognitiveservices/v1"
    assert headers["content-type"] == "application/ssml+xml"
    assert headers["x-microsoft-outputformat"] == "riff-24khz-16bit-mono-pcm"
    assert headers["ocp-apim-subscription-key"] == KEY
    assert headers["user-agent"] == "edgefn"
    root = ElementTree.fromstring(body)
    assert root.tag == "{http://www.w3.org/2001/10/synthesis}speak"
    assert root.attrib["{http://www.w3.org/XML/1998/namespace}lang"] == "de-DE"
    assert root[0].attrib["name"] == "de-DE-KatjaNeural"
    assert (root[0][0].attrib["rate"], root[0][0].text) == ("+20%", 'Äpfel & <Birnen> "7"')
    (heard,) = speaker.folder.iterdir()
    assert about(heard.read_bytes()) == (24000, 1, 0.4)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("azure", ["http"], indirect=True)
async def test_after_a_failure_azure_is_not_asked_for_a_while(azure: Service) -> None:
    clock = Clock()

    async def run(call: Any) -> Any:
        return await asyncio.to_thread(call)

    maker = Azure(azure.url, KEY, "", 1.0, 10, run, clock)
    for status, told in ((503, "answers 503"), (429, "too many calls"), (401, "the key is not that of this region")):
        azure.status, before = status, len(azure.asked)
        for _ in range(3):
            with pytest.raises(SpeechError, match=told):
                await maker.sound("x")
        assert len(azure.asked) == before + 1
        clock.now += 60
    azure.status = 200
    azure.body = b"<html>no sound</html>"
    with pytest.raises(SpeechError, match="is no WAV file"):
        await maker.sound("x")
    azure.body = sound()
    clock.now += 60
    assert await maker.sound("x") == sound()


class Ticking(Clock):
    """A second passes between two looks."""

    def __call__(self) -> float:
        self.now += 1
        return self.now


@pytest.mark.parametrize("azure", ["http"], indirect=True)
async def test_a_sound_that_comes_bit_by_bit_has_the_time_out_for_all_of_it(azure: Service) -> None:
    async def run(call: Any) -> Any:
        return await asyncio.to_thread(call)

    azure.body = sound(20, 24000)
    with pytest.raises(SpeechError, match="the sound is not whole after 2 s, the time-out"):
        await Azure(azure.url, KEY, "", 1.0, 2, run, Ticking()).sound("x")


@pytest.mark.parametrize("azure", ["http"], indirect=True)
async def test_the_key_goes_nowhere_else(azure: Service) -> None:
    azure.status, azure.headers = 302, {"Location": azure.url + "/elsewhere"}

    async def run(call: Any) -> Any:
        return await asyncio.to_thread(call)

    with pytest.raises(SpeechError, match="answers 302"):
        await Azure(azure.url, KEY, "", 1.0, 10, run).sound("x")
    assert len(azure.asked) == 1


async def test_no_secret_is_shown_and_what_is_cached_is_said_without_the_service(
    services: Services, tmp_path: Path, azure: Service, caplog: pytest.LogCaptureFixture
) -> None:
    hold("test", [])
    declared = {**OF_AZURE, "endpoint": azure.url}
    for status in (200, 401):
        azure.status = status
        output = await SpeechOutputKind(services).open(binding(tmp_path / "said", **declared))
        speaker = Speaker(SpeechOutputKind(services), output, tmp_path / "said")
        await speaker.say("apple" if status == 200 else "banana", "apple")
        await output.close()
    assert speaker.said == ["apple", "apple", "apple"]
    assert "the key is not that of this region" in speaker.status["fault"]
    shown = f"{speaker.status} {caplog.text} {output._options!r} {redact(KEY)}"
    assert KEY not in shown


# --- the door ------------------------------------------------------------------------------------------------------

OUTPUT = """
@app.timer_trigger("timer", "0 0 0 1 1 *")
@app.speech_output("$return", {options})
def f(timer):
    return "hello"
"""


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ('player="file"', "player file needs path"),
        ('player="radio"', "'auto', 'pw-play', 'paplay'"),
        ('provider="azure"', "needs speechRegion"),
        ('provider="azure", speech_region="westeurope"', "needs speechKey: set it, and name the setting"),
        ('provider="azure", speech_region="evil.example/"', "needs speechRegion"),
        ('provider="azure", endpoint="file:///etc/passwd"', "endpoint should be an address"),
        ('speech_key="abc123secret", speech_region="x"', "speechKey is written out"),
        ('map="words.json"', "words.json: can not be read"),
        ('map="host.json"', "PASSES"),
        ('map="{no"', "is no JSON"),
        ('map="list.json"', "should have a text, found"),
        ("rate=9", "less than or equal to 2.5"),
        ('voise="en"', "did you mean 'voice'"),
    ],
)
def test_what_makes_no_sense_is_said_when_the_app_loads(app_of: AppIn, options: str, fault: str) -> None:
    files = {"functions/f.py": HEAD + OUTPUT.format(options=options), "list.json": '{"a": 1}'}
    (function,) = app_of(files).functions
    told = "".join(function.errors)
    assert (told == "") if fault == "PASSES" else (fault in told)
    assert "abc123secret" not in told


@pytest.mark.parametrize(
    ("options", "devices", "writes", "packages"),
    [
        ({"player": "auto", "path": ""}, ("/dev/snd",), (), "espeak-ng alsa-utils"),
        ({"player": "none"}, (), (), "espeak-ng"),
        ({"cacheFolder": "cache"}, (), ("said", "cache"), "espeak-ng"),
        ({**OF_AZURE, "cacheFolder": "none"}, (), ("said",), ""),
    ],
)
def test_a_deployment_is_told_what_it_needs_to_speak(
    services: Services, options: dict[str, Any], devices: tuple[str, ...], writes: tuple[str, ...], packages: str
) -> None:
    needs = SpeechOutputKind(services).needs(binding(Path("said"), **options))
    assert (needs.devices, needs.writes) == (devices, writes)
    assert [packages] == [note.partition("'")[2].strip("'") for note in needs.notes] or not packages


async def test_voice_and_words_change_in_place(app_of: AppIn, services: Services, tmp_path: Path) -> None:
    async with speaking(services, tmp_path, map={"apple": "One"}) as speaker:
        await speaker.say("apple")
        change = speaker.output.adopt(binding(tmp_path / "said", voice="de", map={"apple": "Zwei"}))
        assert change is not None
        change()
        await speaker.say("apple")
        assert speaker.said == ["One", "Zwei"]
        assert speaker.status["voice"] == "de"
        assert speaker.output.adopt(binding(tmp_path / "said", maxWaiting=9)) is None
    assert load_app(tmp_path, environment={}).errors == []
