"""Who is on the street, and in which light: lanes, those who pass along them, and the time of day."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace
from typing import NamedTuple

Colour = tuple[float, float, float]  # blue, green, red

LABELS = ("car", "truck", "person")
LIGHTS = ("day", "dusk", "night")
VISIBLE = 0.4  # an object is labelled from this share of its box on: inside the picture, and not behind a nearer one

HEIGHT = 360.0  # units; the width follows from the shape of the picture
PAVEMENT, ROAD, KERB = 168.0, 196.0, 300.0  # where the far pavement, the road and the near pavement begin
CYCLE = (("day", 12.0), ("dusk", 5.0), ("night", 8.0), ("dusk", 5.0))  # seconds
FADE = 1.4  # seconds from one light to the next
QUIET, QUIET_SHARE = 20.0, 0.25  # in this share of such spans of seconds nobody enters, but for the first two


class Rectangle(NamedTuple):
    x_min: float
    y_min: float
    x_max: float
    y_max: float

    @property
    def area(self) -> float:
        return max(0.0, self.x_max - self.x_min) * max(0.0, self.y_max - self.y_min)

    def common(self, other: Rectangle) -> Rectangle:
        return Rectangle(
            max(self.x_min, other.x_min),
            max(self.y_min, other.y_min),
            min(self.x_max, other.x_max),
            min(self.y_max, other.y_max),
        )


@dataclass(frozen=True)
class Lane:
    ground: float  # y of the feet and wheels that are farthest away
    scale: float
    direction: int  # 1 to the right, -1 to the left, 0 both
    slot: float  # seconds
    crossing: float  # seconds from edge to edge
    weights: tuple[float, float, float]  # of the labels
    busy: float = 0.85  # the share of slots in which somebody enters
    spread: float = 0.08  # of the crossing time
    depth: float = 0.0  # the feet may be so much nearer


def lanes(seed: int) -> tuple[Lane, ...]:
    """The lanes, the farthest first: that is the order of drawing."""
    way = random.Random(f"{seed}/way").choice((-1, 1))
    return (
        Lane(178, 0.92, 0, 4.5, 13.0, (0, 0, 1), busy=0.6, spread=0.25, depth=3),
        Lane(186, 0.96, 0, 7.0, 13.0, (0, 0, 1), busy=0.5, spread=0.25, depth=3),
        Lane(224, 0.95, -way, 4.4, 5.6, (0.72, 0.28, 0)),
        Lane(276, 1.25, way, 4.0, 4.7, (0.7, 0.3, 0)),
        Lane(318, 1.5, 0, 6.0, 11.0, (0, 0, 1), busy=0.45, spread=0.25, depth=4),
        Lane(336, 1.62, 0, 7.5, 10.0, (0, 0, 1), busy=0.45, spread=0.25, depth=6),
    )


SIZES = {  # length and height, in units, at scale 1
    "car": ((90, 106), (34, 40)),
    "truck": ((140, 182), (68, 84)),
    "person": ((14, 17), (44, 53)),
}


@dataclass(frozen=True)
class Traveller:
    label: str
    lane: Lane
    enters: float  # seconds
    crossing: float
    direction: int
    ground: float
    length: float
    height: float
    variant: int  # paint, clothes and shape are taken from it

    def box(self, seconds: float, span: float) -> Rectangle:
        way = (seconds - self.enters) / self.crossing * (span + self.length) - self.length
        x_min = way if self.direction > 0 else span - self.length - way
        if self.label != "person":
            return Rectangle(x_min, self.ground - self.height, x_min + self.length, self.ground)
        middle, half = x_min + self.length / 2, self.height * (0.11 + 0.13 * abs(stride(x_min, self.height)))
        return Rectangle(middle - half, self.ground - self.height, middle + half, self.ground)


def stride(x: float, height: float) -> float:
    """How far the legs are apart, -1 to 1: two steps take a way of 0.9 of the height."""
    return math.sin(2 * math.pi * x / (0.9 * height))


@dataclass(frozen=True)
class Light:
    ambience: Colour  # what is left of each colour
    lamps: float  # 0 off, 1 bright
    noise: float  # standard deviation, of 255
    sky: tuple[Colour, Colour]  # above, at the horizon

    def towards(self, other: Light, share: float) -> Light:
        blue, green, red = (a + (b - a) * share for a, b in zip(self.ambience, other.ambience, strict=True))
        lamps = self.lamps + (other.lamps - self.lamps) * share
        return replace(
            self, ambience=(blue, green, red), lamps=lamps, noise=self.noise + (other.noise - self.noise) * share
        )


LIGHT_OF = {
    "day": Light((1.0, 1.0, 1.0), 0.0, 2.0, ((214, 160, 96), (238, 222, 200))),
    "dusk": Light((0.66, 0.60, 0.76), 0.6, 2.6, ((134, 84, 82), (112, 158, 240))),
    "night": Light((0.44, 0.34, 0.30), 1.0, 3.6, ((44, 24, 14), (92, 58, 44))),
}


def fade(seconds: float) -> tuple[str, str, float]:
    """The light that was, the light that comes, and its share: 0 but for the last FADE seconds of each light."""
    left = seconds % sum(length for _, length in CYCLE)
    for place, (light, length) in enumerate(CYCLE):
        if left < length:
            after = CYCLE[(place + 1) % len(CYCLE)][0]
            share = max(0.0, 1 - (length - left) / FADE)
            return light, after, share * share * (3 - 2 * share)
        left -= length
    return CYCLE[0][0], CYCLE[0][0], 0.0  # rounding, at the very end of a cycle
