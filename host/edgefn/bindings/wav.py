"""What is looked at of a WAV file: whether it is whole, and how long it lasts."""

from __future__ import annotations

import io
import wave

STREAMED = 0x7FFFF000
"""Sizes from here on stand in heads that were written before their writer knew the size."""


def mended(content: bytes) -> bytes:
    """A WAV file, with its real size in the head where it was streamed; raises ValueError for one that is not whole."""
    data = content.find(b"data", 12)
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE" or data < 0 or len(content) < data + 8:
        raise ValueError("is no WAV file")
    declared, there = int.from_bytes(content[data + 4 : data + 8], "little"), len(content) - data - 8
    if declared >= STREAMED or declared == 0:
        head = b"RIFF" + (len(content) - 8).to_bytes(4, "little") + content[8 : data + 4]
        content, declared = head + there.to_bytes(4, "little") + content[data + 8 :], there
    if not 0 < declared <= there:
        raise ValueError("is a WAV file that is cut short" if declared else "is a WAV file without a sound")
    seconds(content)
    return content


def seconds(content: bytes) -> float:
    """How long the sound of a WAV file lasts; raises ValueError."""
    try:
        with wave.open(io.BytesIO(content)) as opened:
            return float(opened.getnframes() / opened.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise ValueError(f"is no WAV file of samples: {error}") from None
