"""Topics and topic filters, as MQTT 5 has them."""

from __future__ import annotations

import zlib
from typing import NamedTuple

LONGEST = 65_535
"""Bytes of a topic, and of any other text in a packet."""
SHARED = "$share/"


class Wanted(NamedTuple):
    """A subscription that is wanted."""

    filter: str
    qos: int = 1
    retained: bool = True
    """Whether it begins with the messages that the broker retains."""


def fault_of_topic(topic: str) -> str:
    """What is wrong with the topic of a message; empty when nothing is."""
    if not topic:
        return "is empty"
    if any(letter in topic for letter in "+#"):
        return "holds + or #, which only a trigger's topic may"
    return _fault_of_text(topic)


def fault_of_filter(text: str) -> str:
    """What is wrong with a topic filter, without ``$share``; empty when nothing is."""
    if not text:
        return "is empty"
    if text.startswith(SHARED):
        return "begins with $share; name the group in share, and the topic alone"
    levels = text.split("/")
    if any(("+" in level and level != "+") or ("#" in level and level != "#") for level in levels):
        return "has + or # beside other letters; each stands for a whole level"
    if "#" in levels[:-1]:
        return "has # before its end; it stands for all further levels"
    return _fault_of_text(text)


def fault_of_group(text: str) -> str:
    """What is wrong with the name of a share group; empty when nothing is."""
    if any(letter in text for letter in "/+#"):
        return "holds /, + or #; a plain name would be right"
    return _fault_of_text(text)


def _fault_of_text(text: str) -> str:
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        return "is no text that UTF-8 has"
    if "\0" in text:
        return "holds a zero byte"
    return f"has {length} bytes; at most {LONGEST} can be sent" if length > LONGEST else ""


def shared(group: str, text: str) -> str:
    """The filter of a shared subscription, or the plain one where there is no group."""
    return f"{SHARED}{group}/{text}" if group else text


def plain(wanted: str) -> str:
    """The filter without its share group."""
    return wanted.split("/", 2)[2] if wanted.startswith(SHARED) else wanted


def matches(wanted: str, topic: str) -> bool:
    """Whether a message of the topic is for a subscription; topics that begin with $ are not for wildcards there."""
    levels, parts = plain(wanted).split("/"), topic.split("/")
    if topic.startswith("$") and levels[0] in ("+", "#"):
        return False
    for number, level in enumerate(levels):
        if level == "#":
            return True
        if number >= len(parts) or level not in ("+", parts[number]):
            return False
    return len(levels) == len(parts)


def identifier(wanted: str) -> int:
    """The number that the broker gives back with each message of a subscription: the same whenever the host runs."""
    return (zlib.crc32(wanted.encode()) & 0x0FFF_FFFF) or 1
