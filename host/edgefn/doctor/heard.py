"""What is to be said and heard: the programs that make sounds, and those that play them."""

from __future__ import annotations

from collections.abc import Iterator

from edgefn.bindings.speech import SpeechOptions
from edgefn.bindings.speech_makers import ESPEAK
from edgefn.bindings.speech_players import PROGRAMS
from edgefn.bindings.speech_programs import first_of
from edgefn.doctor.lines import Line, note, ok, wrong
from edgefn.doctor.subject import Subject
from edgefn.errors import listing


def check_speech(subject: Subject) -> Iterator[Line]:
    """A line for what makes the sounds, and one for what plays them, where functions speak; none where none does."""
    options = [each.options for each in subject.bindings("speech") if isinstance(each.options, SpeechOptions)]
    if any(each.provider == "espeak" for each in options):
        yield _espeak()
    wanted = {name for each in options for name in _players(each)}
    if wanted:
        yield _player([name for name in PROGRAMS if name in wanted])


def _espeak() -> Line:
    program = first_of(ESPEAK)
    if program is None:
        return wrong("speech", "espeak-ng is not installed: only what is cached is said", "apt install espeak-ng")
    return ok("speech", f"sounds are made by {program}")


def _players(options: SpeechOptions) -> list[str]:
    return list(PROGRAMS) if options.player == "auto" else [options.player] if options.player in PROGRAMS else []


def _player(names: list[str]) -> Line:
    program = first_of(names)
    if program is None:
        found = f"there is no program that plays sounds, looked for {listing(names)}"
        return note("speech", found, "apt install alsa-utils, or take the player file or none")
    return ok("speech", f"sounds are played by {program}")
