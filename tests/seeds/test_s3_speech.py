"""S3.5: what is said is made once for a voice and a text, in nobody's way, and by whatever is configured."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest

from edgefn.host import Host
from tests.bindings.speech_service import KEY, azure_speech, sound
from tests.conftest import AppIn
from tests.spool.ports import until
from tests.ticks import HEAD

SCANNER = """
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48&frames=%FRAMES%", policy="every")
@app.inference_session("classifier", "stub:answers.json")
@app.speech_output(
    "$return", provider="%SPEECH_PROVIDER%", voice="%SPEECH_VOICE%", map="words.json", player="file", path="spoken",
    speech_key="%SPEECH_KEY%", endpoint="%SPEECH_ENDPOINT%", speech_region="westeurope", max_waiting=100,
)
def scan(frame, classifier: edgefn.ClassificationSession):
    return classifier.infer(frame)[0].name
"""
LABELS = ["apple", "banana", "apple", "apple", "hand"]
"""What the model sees, in turn."""
FILES = {
    "functions/f.py": HEAD + SCANNER,
    "answers.json": json.dumps([[[0, label, 0.99]] for label in LABELS]),
    "words.json": json.dumps({"hand": "", "*": "You scanned a {label}"}),
}
ESPEAK = {"SPEECH_PROVIDER": "espeak", "SPEECH_VOICE": "en", "SPEECH_KEY": "", "SPEECH_ENDPOINT": ""}


class Scanner:
    """A host that scans so many frames, and is closed when all of it has been said."""

    def __init__(self, app_of: AppIn, frames: int, **settings: str) -> None:
        self.host = Host(app_of(FILES, FRAMES=str(frames), **{**ESPEAK, **settings}))
        (self.function,) = self.host.running
        assert self.function.function.errors == []

    @property
    def speech(self) -> dict[str, Any]:
        return dict(self.function.outputs["$return"].status())

    @property
    def said(self) -> list[str]:
        return [path.stem.partition("-")[2] for path in sorted((self.host.app.root / "spoken").glob("*.wav"))]

    async def run(self) -> dict[str, Any]:
        await self.host.start()
        try:
            await self.host.wait_for_end()
            await until(lambda: self.speech["waiting"] == 0 and self.heard > 0)
            return self.speech
        finally:
            await self.host.stop()

    @property
    def heard(self) -> int:
        return int(self.speech["spoken"])


async def test_s3_5_two_equal_labels_are_one_synthesis_and_a_warm_cache_needs_neither_program_nor_network(
    app_of: AppIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Scanner(app_of, len(LABELS))
    await first.run()
    await until(lambda: len(first.said) == 4)
    speech = first.speech
    assert (speech["syntheses"], speech["cached"], speech["spoken"]) == (2, 2, 4)
    assert first.said == [f"You-scanned-a-{label}" for label in ("apple", "banana", "apple", "apple")]
    with wave.open(str(sorted((tmp_path / "spoken").iterdir())[0])) as opened:
        assert opened.getframerate() == 22050
        assert opened.getnframes() > 22050 / 2

    monkeypatch.setenv("PATH", "/nowhere")
    again = Scanner(app_of, len(LABELS))
    await again.run()
    await until(lambda: len(again.said) == 8)
    assert (again.speech["syntheses"], again.speech["cached"], again.speech["dropped"]) == (0, 4, {})


async def test_s3_5_a_synthesiser_that_hangs_costs_the_capture_no_frame(
    app_of: AppIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "espeak-ng"
    program.parent.mkdir()
    (tmp_path / "sound.wav").write_bytes(sound())
    program.write_text(
        f"#!/bin/sh\nuntil [ -e {tmp_path}/go ]; do /bin/sleep 0.02; done\n/bin/cat {tmp_path}/sound.wav\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    scanner = Scanner(app_of, 60)
    await scanner.host.start()
    try:
        await scanner.host.wait_for_end()
        status = scanner.host.status()["functions"]["scan"]
        assert scanner.heard == 0, "the first text is still being made"
        assert status["invocations"] == 60
        assert status["trigger"]["dropped"] == {}
        (tmp_path / "go").touch()
        await until(lambda: scanner.heard == 48)
    finally:
        await scanner.host.stop()
    assert scanner.speech["syntheses"] == 2


async def test_s3_5_the_same_function_speaks_by_azure_when_settings_say_so(app_of: AppIn) -> None:
    with azure_speech() as service:
        settings = {"SPEECH_PROVIDER": "azure", "SPEECH_VOICE": "en-GB-SoniaNeural", "SPEECH_KEY": KEY}
        scanner = Scanner(app_of, 2, **settings, SPEECH_ENDPOINT=service.url)
        await scanner.run()
        await until(lambda: len(scanner.said) == 2)
    assert len(service.asked) == 2
    assert b"You scanned a banana" in service.asked[1].body
    assert b"en-GB-SoniaNeural" in service.asked[1].body
    shown = json.dumps(scanner.host.status())
    assert KEY not in shown
