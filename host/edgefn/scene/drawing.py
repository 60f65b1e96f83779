"""How the street and those on it are drawn: shapes in the light of the moment."""

from __future__ import annotations

import functools
import math
import random
from dataclasses import replace
from typing import TYPE_CHECKING

from edgefn.scene.street import (
    HEIGHT,
    KERB,
    LIGHT_OF,
    PAVEMENT,
    ROAD,
    Colour,
    Light,
    Rectangle,
    Traveller,
    stride,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]
    Point = tuple[float, float]


class _Pen:
    """Draws shapes on an image, from coordinates of its own (origin, and pixels a unit in both directions)."""

    def __init__(self, image: Image, light: Light, origin: Point = (0, 0), unit: Point = (1, 1)) -> None:
        self.image, self.light = image, light
        self._x, self._y = origin
        self._unit_x, self._unit_y = unit

    def polygon(self, points: Sequence[Point], colour: Colour) -> None:
        self._fill(points, self._lit(colour))

    def lamp(self, points: Sequence[Point], off: Colour, colour: Colour) -> None:
        """A shape that shines in its own colour as far as the lamps are on."""
        on = self.light.lamps
        blue, green, red = (own * on + dark * (1 - on) for own, dark in zip(colour, self._lit(off), strict=True))
        self._fill(points, (blue, green, red))

    def rectangle(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        self.polygon(_corners(x, y, width, height), colour)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        import cv2

        centre = (round((self._x + x * self._unit_x) * 16), round((self._y + y * self._unit_y) * 16))
        cv2.circle(self.image, centre, round(radius * abs(self._unit_y) * 16), self._lit(colour), -1, cv2.LINE_AA, 4)

    def line(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        (x, y), (to_x, to_y) = start, end
        length = math.hypot(to_x - x, to_y - y) or 1.0
        across, along = (to_x - x) / length * width / 2, (to_y - y) / length * width / 2
        corners = ((x - along, y + across), (x + along, y - across), (to_x + along, to_y - across))
        self.polygon((*corners, (to_x - along, to_y + across)), colour)

    def glow(self, x: float, y: float, radius: Point, colour: Colour, strength: float) -> None:
        """Light that falls on what is already drawn, weaker towards the rim of an ellipse."""
        import cv2

        half_x, half_y = round(radius[0] * abs(self._unit_x)), round(radius[1] * abs(self._unit_y))
        left, top = round(self._x + x * self._unit_x) - half_x, round(self._y + y * self._unit_y) - half_y
        spot = _spot(half_x, half_y, colour)
        height, width = self.image.shape[:2]
        x_min, y_min = max(0, left), max(0, top)
        x_max, y_max = min(width, left + spot.shape[1]), min(height, top + spot.shape[0])
        if x_min < x_max and y_min < y_max:
            under = self.image[y_min:y_max, x_min:x_max]
            over = spot[y_min - top : y_max - top, x_min - left : x_max - left]
            cv2.addWeighted(under, 1.0, over, strength, 0, dst=under)

    def _fill(self, points: Sequence[Point], colour: Colour) -> None:
        import cv2
        import numpy as np

        corners = [
            (round((self._x + x * self._unit_x) * 16), round((self._y + y * self._unit_y) * 16)) for x, y in points
        ]
        cv2.fillPoly(self.image, [np.array(corners, np.int32)], colour, cv2.LINE_AA, 4)

    def _lit(self, colour: Colour) -> Colour:
        (blue, green, red), (b, g, r) = colour, self.light.ambience
        return blue * b, green * g, red * r


@functools.lru_cache(maxsize=64)
def _spot(half_x: int, half_y: int, colour: Colour) -> Image:
    import numpy as np

    x = np.linspace(-1, 1, max(2 * half_x, 1))[None, :]
    y = np.linspace(-1, 1, max(2 * half_y, 1))[:, None]
    fall = np.clip(1 - np.sqrt(x * x + y * y), 0, 1) ** 1.6
    spot: Image = (fall[:, :, None] * np.array(colour)).astype(np.uint8)
    return spot


def _darker(colour: Colour, share: float) -> Colour:
    return colour[0] * share, colour[1] * share, colour[2] * share


_PAINTS: tuple[Colour, ...] = (
    (232, 234, 236), (176, 172, 168), (74, 68, 64), (48, 52, 198), (164, 92, 34), (148, 138, 44),
    (52, 184, 240), (84, 132, 62), (44, 112, 232), (96, 56, 112),
)  # fmt: skip
_CLOTHES: tuple[Colour, ...] = (
    (56, 60, 208), (190, 120, 46), (72, 176, 236), (92, 144, 70), (214, 214, 220), (66, 60, 58), (150, 78, 140),
    (60, 132, 244),
)  # fmt: skip
_TROUSERS: tuple[Colour, ...] = ((92, 62, 44), (50, 48, 48), (104, 128, 150), (70, 82, 92))
_SKINS: tuple[Colour, ...] = ((168, 196, 236), (116, 154, 206), (70, 98, 146), (48, 66, 104))
_HAIRS: tuple[Colour, ...] = ((30, 32, 38), (36, 62, 96), (72, 134, 190), (150, 152, 156))
_GLASS: Colour = (112, 92, 72)
_GLINT: Colour = (158, 140, 118)
_TYRE: Colour = (38, 36, 36)
_LAMPLIGHT: Colour = (150, 214, 255)


def draw(image: Image, unit: float, light: Light, traveller: Traveller, box: Rectangle) -> None:
    """Draws into a box of which the rear is x = 0 and the ground y = 0, upwards, in units of the traveller's height."""
    size = traveller.height * unit
    rear = box.x_min if traveller.direction > 0 else box.x_max
    pen = _Pen(image, light, (rear * unit, traveller.ground * unit), (traveller.direction * size, -size))
    if traveller.label == "person":
        middle = (box.x_min + box.x_max) / 2
        swing = stride(middle - traveller.length / 2, traveller.height)
        pen = _Pen(image, light, (middle * unit, traveller.ground * unit), (traveller.direction * size, -size))
        _draw_person(pen, traveller.variant, swing)
    elif traveller.label == "truck":
        _draw_truck(pen, traveller.length / traveller.height, traveller.variant, box.x_min)
    else:
        _draw_car(pen, traveller.length / traveller.height, traveller.variant, box.x_min)


_CARS = (  # outlines and panes: x in lengths, y in heights
    (  # saloon
        ((0, .3), (.005, .52), (.04, .6), (.19, .64), (.3, .93), (.36, 1), (.58, 1), (.64, .95), (.77, .66), (.94, .57),
         (.985, .47), (1, .26), (.98, .17), (.02, .17)),
        (((.235, .66), (.325, .91), (.455, .92), (.455, .66)), ((.48, .66), (.48, .92), (.6, .91), (.715, .66))),
    ),
    (  # hatchback
        ((0, .22), (0, .56), (.03, .72), (.09, .95), (.15, 1), (.52, 1), (.6, .95), (.74, .64), (.93, .55), (.985, .45),
         (1, .26), (.98, .17), (.02, .17)),
        (((.075, .66), (.13, .9), (.36, .92), (.36, .66)), ((.39, .66), (.39, .92), (.545, .91), (.68, .66))),
    ),
    (  # estate
        ((0, .22), (0, .6), (.02, .78), (.05, .96), (.1, 1), (.66, 1), (.72, .95), (.84, .64), (.95, .58), (.99, .48),
         (1, .26), (.98, .17), (.02, .17)),
        (((.045, .66), (.075, .91), (.36, .92), (.36, .66)), ((.385, .66), (.385, .92), (.66, .91), (.78, .66))),
    ),
)  # fmt: skip


def _draw_car(pen: _Pen, length: float, variant: int, x: float) -> None:
    paint = _PAINTS[variant % len(_PAINTS)]
    outline, panes = _CARS[variant // 16 % len(_CARS)]
    _draw_shadow(pen, length)
    pen.polygon([(px * length, py) for px, py in outline], paint)
    pen.rectangle(0.02 * length, 0.17, 0.96 * length, 0.13, _darker(paint, 0.68))
    pen.rectangle(0.04 * length, 0.545, 0.9 * length, 0.022, _darker(paint, 0.82))
    pen.rectangle(0.03 * length, 0.485, 0.94 * length, 0.022, _darker(paint, 1.22))
    for pane in panes:
        pen.polygon([(px * length, py) for px, py in pane], _GLASS)
        (left, _), (_, top), (right, _), _ = pane
        low, high = left + 0.45 * (right - left), left + 0.68 * (right - left)
        glint = ((low, 0.68), (low + 0.05, 0.68), (high + 0.04, top - 0.02), (high, top - 0.02))
        pen.polygon([(px * length, py) for px, py in glint], _GLINT)
    pen.rectangle(0.47 * length, 0.3, 0.008 * length, 0.36, _darker(paint, 0.7))
    pen.rectangle(0.4 * length, 0.5, 0.04 * length, 0.03, _darker(paint, 0.5))
    for axle in (0.19, 0.81):
        _draw_wheel(pen, axle * length, 0.2, x)
    _draw_lamps(pen, length, 0.46)


def _draw_truck(pen: _Pen, length: float, variant: int, x: float) -> None:
    paint, cover = _PAINTS[variant % len(_PAINTS)], _PAINTS[variant // 16 % len(_PAINTS)]
    cab = length - 0.56
    _draw_shadow(pen, length)
    pen.rectangle(0.02, 0.15, length - 0.06, 0.08, _TYRE)
    if variant // 256 % 3:  # a closed box
        pen.rectangle(0, 0.22, cab - 0.05, 0.78, cover)
        pen.rectangle(0, 0.22, cab - 0.05, 0.07, _darker(cover, 0.7))
        pen.rectangle(0, 0.5, cab - 0.05, 0.16, paint)
        for rib in range(1, 5):
            pen.rectangle(rib * (cab - 0.05) / 5, 0.29, 0.012, 0.69, _darker(cover, 0.85))
    else:  # a tipper with its load
        load = ((0.1, 0.7), (0.3, 0.92), (0.6 * cab, 1), (cab - 0.3, 0.86), (cab - 0.12, 0.7))
        pen.polygon(load, (88, 122, 150))
        pen.polygon(((0, 0.76), (cab - 0.04, 0.76), (cab - 0.12, 0.23), (0.1, 0.23)), cover)
        for rib in range(1, 5):
            pen.rectangle(0.05 + rib * (cab - 0.15) / 5, 0.26, 0.025, 0.5, _darker(cover, 0.75))
    outline = ((cab, 0.16), (cab, 0.84), (cab + 0.06, 0.88), (cab + 0.4, 0.88), (cab + 0.52, 0.54), (length, 0.48))
    pen.polygon((*outline, (length, 0.16)), paint)
    pen.polygon(((cab + 0.14, 0.52), (cab + 0.14, 0.8), (cab + 0.38, 0.8), (cab + 0.47, 0.52)), _GLASS)
    pen.rectangle(cab, 0.16, 0.56, 0.09, _darker(paint, 0.6))
    for axle in (0.26, 0.58, length - 0.26):
        _draw_wheel(pen, axle, 0.14, x)
    _draw_lamps(pen, length, 0.34)


def _draw_shadow(pen: _Pen, length: float) -> None:
    rim = [(0.5 * length * (1 + 1.02 * math.cos(a)), 0.02 + 0.08 * math.sin(a)) for a in _turn(14)]
    pen.polygon(rim, (56, 52, 50))


def _draw_wheel(pen: _Pen, x: float, radius: float, way: float) -> None:
    pen.disc(x, radius, radius, _TYRE)
    pen.disc(x, radius, radius * 0.62, (178, 176, 174))
    for spoke in range(3):
        angle = way / 9 + spoke * math.pi / 3
        to_x, to_y = 0.55 * radius * math.cos(angle), 0.55 * radius * math.sin(angle)
        pen.line((x - to_x, radius - to_y), (x + to_x, radius + to_y), radius * 0.14, (96, 94, 92))
    pen.disc(x, radius, radius * 0.18, (60, 58, 58))


def _draw_lamps(pen: _Pen, length: float, y: float) -> None:
    front = ((length - 0.13, y), (length - 0.02, y), (length - 0.04, y + 0.1), (length - 0.15, y + 0.11))
    pen.lamp(front, (214, 226, 232), _LAMPLIGHT)
    pen.lamp(((0.005, y), (0.06, y), (0.06, y + 0.13), (0.012, y + 0.13)), (44, 36, 206), (60, 52, 255))
    if pen.light.lamps > 0.05:
        pen.glow(length + 0.75, 0.06, (1.5, 0.3), _LAMPLIGHT, 0.55 * pen.light.lamps)
        pen.glow(length - 0.04, y + 0.05, (0.45, 0.45), _LAMPLIGHT, 0.7 * pen.light.lamps)
        pen.glow(0.02, y + 0.06, (0.36, 0.36), (40, 30, 255), 0.7 * pen.light.lamps)


def _draw_person(pen: _Pen, variant: int, swing: float) -> None:
    coat, trousers = _CLOTHES[variant % len(_CLOTHES)], _TROUSERS[variant // 8 % len(_TROUSERS)]
    skin, hair = _SKINS[variant // 32 % len(_SKINS)], _HAIRS[variant // 128 % len(_HAIRS)]
    reach = 0.19 * swing
    pen.polygon([(0.2 * math.cos(a), 0.005 + 0.03 * math.sin(a)) for a in _turn(10)], (78, 76, 74))
    pen.line((0, 0.74), (-0.9 * reach, 0.46), 0.075, _darker(coat, 0.62))
    for side, shade in ((-1, 0.72), (1, 1.0)):
        foot = side * reach
        pen.line((0, 0.5), (foot * 0.55 + 0.02, 0.25), 0.11, _darker(trousers, shade))
        pen.line((foot * 0.55 + 0.02, 0.27), (foot, 0.04), 0.09, _darker(trousers, shade))
        pen.polygon(((foot - 0.05, 0), (foot + 0.08, 0), (foot + 0.06, 0.05), (foot - 0.04, 0.05)), (40, 38, 40))
    pen.polygon(((-0.09, 0.46), (0.09, 0.46), (0.11, 0.76), (0.06, 0.82), (-0.06, 0.82), (-0.11, 0.76)), coat)
    if variant // 512 % 3 == 0:
        pen.polygon(((-0.1, 0.56), (-0.17, 0.58), (-0.17, 0.76), (-0.1, 0.79)), _darker(trousers, 0.8))
    pen.line((0, 0.76), (0.9 * reach, 0.48), 0.075, _darker(coat, 0.82))
    pen.disc(0.9 * reach, 0.47, 0.035, skin)
    pen.disc(0.0, 0.91, 0.09, hair)
    pen.disc(0.022, 0.895, 0.072, skin)


def _corners(x: float, y: float, width: float, height: float) -> Sequence[Point]:
    return (x, y), (x + width, y), (x + width, y + height), (x, y + height)


def _turn(steps: int) -> Iterator[float]:
    return (2 * math.pi * step / steps for step in range(steps))


# The street itself ---------------------------------------------------------------------------------------------------


def plate(seed: int, width: int, height: int, light: str) -> Image:
    """The empty street in one light. Every light draws the same lots, so that only the light differs."""
    import numpy as np

    unit, lots = height / HEIGHT, random.Random(f"{seed}/street")
    image: Image = np.zeros((height, width, 3), np.uint8)
    pen, span = _Pen(image, LIGHT_OF[light], (0, 0), (unit, unit)), width / unit
    _draw_sky(pen, span, light, lots)
    _draw_houses(pen, span, lots)
    _draw_ground(pen, span, lots)
    _add_texture(image, unit, seed)
    _draw_trees_and_lamps(pen, span, lots)
    return image


def _draw_sky(pen: _Pen, span: float, light: str, lots: random.Random) -> None:
    import numpy as np

    rows = round(PAVEMENT / HEIGHT * pen.image.shape[0])
    above, horizon = (np.array(colour) for colour in pen.light.sky)
    pen.image[:rows] = (above + (horizon - above) * np.linspace(0, 1, rows)[:, None, None] ** 1.3).astype(np.uint8)
    stars = [(lots.uniform(0, span), lots.uniform(0, 70), lots.uniform(0.3, 0.8)) for _ in range(45)]
    clouds = [(lots.uniform(0, span), lots.uniform(14, 60), lots.uniform(9, 18)) for _ in range(5)]
    sun = lots.uniform(0.1, 0.9) * span
    if light == "night":
        for x, y, radius in stars:
            pen.disc(x, y, radius, (400, 420, 430))
        pen.glow(sun, 30, (46, 46), (190, 190, 180), 0.5)
        pen.disc(sun, 30, 10, (540, 660, 740))
        return
    if light == "dusk":
        pen.glow(sun, PAVEMENT, (330, 150), (40, 120, 255), 0.7)
    blue, green, red = pen.light.sky[0]
    white = (255 - blue, 255 - green, 255 - red)  # with what is above
    cover = 0.42 if light == "day" else 0.16
    for x, y, size in clouds:
        for place in (-1.5, -0.7, 0.1, 0.9, 1.6):
            bump = size * (1 - 0.22 * abs(place))
            pen.glow(x + place * size, y - bump * 0.3, (2.4 * bump, 1.1 * bump), white, cover)


_WALLS: tuple[Colour, ...] = (
    (122, 150, 186), (150, 172, 196), (98, 112, 164), (176, 178, 172), (124, 158, 150), (164, 146, 128), (96, 140, 190),
    (140, 136, 160),
)  # fmt: skip


def _draw_houses(pen: _Pen, span: float, lots: random.Random) -> None:
    x = -lots.uniform(0, 40)
    while x < span:  # far away, as silhouettes
        width, top = lots.uniform(28, 70), lots.uniform(48, 100)
        blue, green, red = pen.light.sky[1]
        pen.light, lit = replace(pen.light, ambience=(1.0, 1.0, 1.0)), pen.light
        pen.rectangle(x, top, width, PAVEMENT - top, (blue * 0.87, green * 0.82, red * 0.78))
        pen.light = lit
        x += width
    x = -lots.uniform(0, 60)
    while x < span:
        width = lots.uniform(64, 120)
        _draw_house(pen, x, width, lots.uniform(58, 104), lots)
        x += width + (lots.uniform(8, 40) if lots.random() < 0.25 else 0)


def _draw_house(pen: _Pen, x: float, width: float, top: float, lots: random.Random) -> None:
    wall, trim = lots.choice(_WALLS), (214, 220, 226)
    pen.rectangle(x, top, width, PAVEMENT - top, wall)
    if lots.random() < 0.5:
        pen.polygon(((x - 2, top), (x + width * 0.14, top - 17), (x + width * 0.86, top - 17), (x + width + 2, top)),
                    _darker((70, 76, 132), lots.uniform(0.7, 1.2)))  # fmt: skip
    pen.rectangle(x - 1, top, width + 2, 3.5, _darker(trim, 0.9))
    pen.rectangle(x + width - 3, top + 3, 3, PAVEMENT - top, _darker(wall, 0.8))
    columns = max(2, int(width // 19))
    pitch = width / columns
    for row in range(int((PAVEMENT - 34 - top) // 22)):
        for column in range(columns):
            left, upper = x + (column + 0.5) * pitch - 4.5, top + 9 + row * 22
            pane = _darker((150, 128, 104), lots.uniform(0.8, 1.15))
            pen.rectangle(left - 1.2, upper - 1.2, 11.4, 15.4, trim)
            if lots.random() < 0.45:
                pen.lamp(_corners(left, upper, 9, 13), pane, (96, 176, 236))
            else:
                pen.rectangle(left, upper, 9, 13, pane)
            pen.rectangle(left + 4, upper, 1, 13, trim)
    shop, shade = lots.choice(_CLOTHES), x + 6
    pen.rectangle(shade, 141, width - 14, 27, (96, 84, 72))
    pen.lamp(_corners(shade + 2, 146, width - 36, 17), (172, 152, 124), (140, 190, 226))
    pen.rectangle(x + width - 25, 144, 13, 24, _darker(shop, 0.6))
    stripes = 8
    step = (width - 10) / stripes
    for stripe in range(stripes):
        left, colour = shade - 2 + stripe * step, shop if stripe % 2 else (228, 230, 234)
        pen.polygon(((left + 1, 134), (left + step + 1, 134), (left + step, 145), (left, 145)), colour)


def _draw_ground(pen: _Pen, span: float, lots: random.Random) -> None:
    grey = lots.uniform(0.92, 1.06)
    stone, tar = _darker((166, 170, 174), grey), _darker((98, 94, 92), lots.uniform(0.9, 1.12))
    pen.rectangle(0, PAVEMENT, span, ROAD - PAVEMENT, stone)
    pen.rectangle(0, ROAD - 4, span, 4, _darker(stone, 0.74))
    pen.rectangle(0, ROAD, span, KERB - ROAD, tar)
    pen.rectangle(0, KERB - 3, span, 3, _darker(stone, 1.18))
    pen.rectangle(0, KERB, span, HEIGHT - KERB, stone)
    for x in range(-400, int(span) + 400, 46):  # joints of the slabs run to a far point, as everything on a street does
        pen.line((_towards(span, x, 0.62), PAVEMENT), (_towards(span, x, 0.72), ROAD - 4), 0.8, _darker(stone, 0.88))
        pen.line((_towards(span, x, 1.15), KERB), (_towards(span, x, 1.5), HEIGHT), 1.2, _darker(stone, 0.88))
    for y in (KERB + 16, KERB + 37):
        pen.rectangle(0, y, span, 1.1, _darker(stone, 0.9))
    start = lots.uniform(-60, 0)
    while start < span:
        pen.polygon(((start, 238), (start + 36, 238), (start + 35, 242), (start - 3, 242)), (214, 218, 220))
        start += 74
    pen.rectangle(0, ROAD + 5, span, 1.6, (196, 202, 204))
    hole = lots.uniform(0.2, 0.8) * span
    pen.polygon([(hole + 15 * math.cos(a), 290 + 3.6 * math.sin(a)) for a in _turn(20)], _darker(tar, 0.72))


def _towards(span: float, x: float, scale: float) -> float:
    return span / 2 + (x - span / 2) * scale


def _draw_trees_and_lamps(pen: _Pen, span: float, lots: random.Random) -> None:
    x = lots.uniform(20, 70)
    while x < span:
        if lots.random() < 0.6:
            _draw_tree(pen, x, lots)
        else:
            pen.rectangle(x - 1.2, 92, 2.4, 82, (70, 72, 70))
            pen.rectangle(x - 3, 168, 6, 6, (62, 64, 62))
            pen.lamp(((x - 6, 92), (x - 4, 86), (x + 4, 86), (x + 6, 92)), (206, 212, 214), (190, 232, 255))
            if pen.light.lamps:
                pen.glow(x, 92, (52, 52), (96, 176, 240), 0.75 * pen.light.lamps)
                pen.glow(x, 178, (74, 18), (96, 176, 240), 0.6 * pen.light.lamps)
        x += lots.uniform(80, 130)


def _draw_tree(pen: _Pen, x: float, lots: random.Random) -> None:
    leaf = lots.choice(((62, 122, 84), (70, 138, 112), (58, 104, 66)))
    pen.polygon([(x + 12 * math.cos(a), 172 + 2.4 * math.sin(a)) for a in _turn(12)], (84, 92, 100))
    pen.polygon(((x - 2.6, 172), (x - 1.6, 130), (x + 1.6, 130), (x + 2.6, 172)), (52, 72, 92))
    for shade, spread, count in ((0.72, 19.0, 9), (0.9, 16.0, 8), (1.12, 12.0, 7)):
        for _ in range(count):
            angle, way = lots.uniform(0, 2 * math.pi), lots.uniform(0.2, 1) * spread
            lift = 6 if shade > 1 else 0
            pen.disc(x + way * math.cos(angle) - lift / 2, 118 - lift + 0.9 * way * math.sin(angle),
                     lots.uniform(5, 9), _darker(leaf, shade))  # fmt: skip


def _add_texture(image: Image, unit: float, seed: int) -> None:
    """Stains and grain on the walls and the ground: patches of three sizes, each a few per cent lighter or darker."""
    import cv2
    import numpy as np

    height, width = image.shape[:2]
    lots, first = np.random.default_rng(seed), round(ROAD * unit)
    patches = np.ones((height, width), np.float32)
    for size, strength in ((48, 0.05), (10, 0.035), (2, 0.03)):
        coarse = lots.normal(0, strength, (height // size + 2, width // (2 * size) + 2)).astype(np.float32)
        patches += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image[first:] = (image[first:] * patches[first:, :, None]).clip(0, 255).astype(np.uint8)
