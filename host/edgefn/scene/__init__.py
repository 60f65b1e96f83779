"""A drawn street, seen by a camera that does not move: the pictures of the source `synthetic:` and of the sample clip.

A frame is a function of the seed and of its number, and of nothing else: there is no state to wind forward, so any
frame can be asked for in any order, for ever. Each lane of the street is cut into slots of time; whether somebody
enters in a slot, who, and how fast, is drawn from a generator that is seeded with (seed, lane, slot).

The street is measured in units of its own: 360 to the height of the picture, x to the right and y downwards.
"""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgefn.scene.drawing import draw, plate
from edgefn.scene.street import (
    CYCLE,
    HEIGHT,
    LABELS,
    LIGHT_OF,
    LIGHTS,
    QUIET,
    QUIET_SHARE,
    SIZES,
    VISIBLE,
    Rectangle,
    Traveller,
    fade,
    lanes,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

__all__ = ["CYCLE", "LABELS", "LIGHTS", "VISIBLE", "Scene", "SceneObject"]


@dataclass(frozen=True)
class SceneObject:
    """What is seen in a frame: the part of its box that is inside the picture, from 0 to 1 in both directions."""

    label: str
    x_min: float
    y_min: float
    x_max: float
    y_max: float


class Scene:
    """A street of `width` x `height` pixels at `fps` frames a second of street time."""

    def __init__(self, *, width: int = 640, height: int = 360, fps: float = 15.0, seed: int = 1) -> None:
        import numpy as np

        self.width, self.height, self.fps, self.seed = width, height, fps, seed
        self._unit = height / HEIGHT  # pixels
        self._lanes = lanes(seed)
        self._plates = {light: plate(seed, width, height, light) for light in LIGHTS}
        # Noise that looks new in every frame is one larger picture of it, cut at another place each time.
        noise = np.random.default_rng(seed).normal(128, 32, (height + 64, width + 64, 3))
        self._noise: Image = noise.clip(0, 255).astype(np.uint8)
        self._traveller = functools.lru_cache(maxsize=256)(self._draw_lots)

    def light(self, number: int) -> str:
        """`day`, `dusk` or `night`: the light that is stronger in this frame."""
        before, after, share = fade(number / self.fps)
        return after if share >= 0.5 else before

    def frame(self, number: int) -> tuple[Image, list[SceneObject]]:
        """The picture (height x width x 3, BGR, the caller's own) and what can be seen in it, the farthest first."""
        seconds = number / self.fps
        before, after, share = fade(seconds)
        light = LIGHT_OF[before].towards(LIGHT_OF[after], share)
        image = self._background(before, after, share)
        seen = [(one, one.box(seconds, self._span)) for one in self._on_the_street(seconds)]
        for traveller, box in seen:
            draw(image, self._unit, light, traveller, box)
        self._add_noise(image, number, light.noise)
        boxes = [box for _, box in seen]
        found = [self._see(one.label, box, boxes[place + 1 :]) for place, (one, box) in enumerate(seen)]
        return image, [each for each in found if each is not None]

    @property
    def _span(self) -> float:
        return self.width / self._unit

    def _background(self, before: str, after: str, share: float) -> Image:
        import cv2

        if share == 0.0:
            return self._plates[before].copy()
        return cv2.addWeighted(self._plates[before], 1 - share, self._plates[after], share, 0)  # type: ignore[return-value]

    def _add_noise(self, image: Image, number: int, strength: float) -> None:
        import cv2

        place = random.Random(number)
        y, x = place.randrange(64), place.randrange(64)
        noise = self._noise[y : y + self.height, x : x + self.width]
        cv2.addWeighted(image, 1.0, noise, strength / 32, -128 * strength / 32, dst=image)

    def _on_the_street(self, seconds: float) -> Iterator[Traveller]:
        """Everybody who may be in the picture, the farthest first."""
        for index, lane in enumerate(self._lanes):
            newest = int(seconds // lane.slot)
            oldest = int((seconds - 1.3 * lane.crossing) // lane.slot) - 1
            for slot in range(oldest, newest + 1):
                traveller = self._traveller(index, slot)
                if traveller is not None and traveller.enters <= seconds <= traveller.enters + traveller.crossing:
                    yield traveller

    def _draw_lots(self, index: int, slot: int) -> Traveller | None:
        """Who enters this lane in this slot. Delays and speeds differ so little that no vehicle meets the next one."""
        lane, lots = self._lanes[index], random.Random(f"{self.seed}/{index}/{slot}")
        enters = lane.slot * (slot + lots.uniform(0, 0.15))
        span = enters // QUIET
        quiet = span > 1 and random.Random(f"{self.seed}/{span}").random() < QUIET_SHARE
        if quiet or lots.random() > lane.busy:
            return None
        label = lots.choices(LABELS, weights=lane.weights)[0]
        length, height = (lots.uniform(*span) for span in SIZES[label])
        return Traveller(
            label=label,
            lane=lane,
            enters=enters,
            crossing=lane.crossing * lots.uniform(1 - lane.spread, 1 + lane.spread),
            direction=lane.direction or lots.choice((-1, 1)),
            ground=lane.ground + lots.uniform(0, lane.depth),
            length=length * lane.scale,
            height=height * lane.scale,
            variant=lots.randrange(1 << 16),
        )

    def _see(self, label: str, box: Rectangle, nearer: Sequence[Rectangle]) -> SceneObject | None:
        inside = box.common(Rectangle(0, 0, self._span, HEIGHT))
        visible = inside.area - sum(inside.common(each).area for each in nearer)
        if visible < VISIBLE * box.area:
            return None
        return SceneObject(
            label, inside.x_min / self._span, inside.y_min / HEIGHT, inside.x_max / self._span, inside.y_max / HEIGHT
        )
