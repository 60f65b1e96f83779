"""S2.9: the live view in a real browser, over sources of three sizes; and who may see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgefn.settings import HostConfig
from edgefn.web.options import ServerOptions
from edgefn.web.page.options import has_page
from tests.web.conftest import Serve
from tests.web.page.conftest import Browser
from tests.web.page.pictures import BOXES, DETECT, HEAD, answers, picture

SIZES = {"small": (320, 240), "tall": (500, 700), "large": (1920, 1080)}
LINES = """([name, boxes]) => {
  const canvas = document.querySelector(`[data-source="${name}"] canvas`);
  const box = boxes[Number(canvas.dataset.frame) % boxes.length];
  const { width, height } = canvas;
  const image = canvas.getContext("2d").getImageData(0, 0, width, height).data;
  const colour = (x, y) => [...image.slice(4 * (y * width + x), 4 * (y * width + x) + 3)];
  const isLine = ([r, g, b]) => Math.abs(r - 92) < 40 && Math.abs(g - 214) < 40 && Math.abs(b - 255) < 40;
  const middle = Math.round((box[1] + box[3]) / 2 * height);
  const aside = Math.round((box[0] + 0.9 * (box[2] - box[0])) * width);
  const across = [...Array(width).keys()].filter((x) => isLine(colour(x, middle)));
  const down = [...Array(height).keys()].filter((y) => isLine(colour(aside, y)));
  return { box, width, height, across, down, shown: canvas.clientWidth,
           inside: colour(aside, middle), outside: colour(Math.round(0.98 * width), Math.round(0.98 * height)) };
}"""


async def test_s2_9_boxes_lie_where_the_results_say_at_three_sizes_of_source(
    serve: Serve, browser: Browser, drawn: Any
) -> None:
    for name, (width, height) in SIZES.items():
        drawn(name, width, height, BOXES)
    files = {f"{name}.json": answers(BOXES) for name in SIZES}
    code = HEAD + "".join(DETECT.format(name=name) for name in SIZES)
    site = await serve({**files, "function_app.py": code})
    async with browser.at(site) as tab:
        for name in SIZES:
            seen = set()
            first = await picture(tab, name)
            for _ in range(6):
                found = await tab.page.evaluate(LINES, [name, BOXES])
                check(found, SIZES[name])
                seen.add(tuple(found["box"]))
                selector = f"document.querySelector('[data-source=\"{name}\"] canvas').dataset.frame"
                first = int(await tab.holds(f"{selector} !== '{first}' && {selector}"))
            assert len(seen) > 1
        assert tab.complaints == []


def check(found: dict[str, Any], size: tuple[int, int]) -> None:
    """The lines of the box are on the edges of the drawn object, in the middle of their own width."""
    (left, top, right, bottom), width, height = found["box"], found["width"], found["height"]
    assert (width, height) == (min(size[0], 1280), round(size[1] * min(size[0], 1280) / size[0]))
    thick = max(2, 2 * width / found["shown"]) / 2 + 1.5
    for share, edge, whole in (
        (left, found["across"][0], width),
        (right, found["across"][-1], width),
        (top, found["down"][0], height),
        (bottom, found["down"][-1], height),
    ):
        assert abs(edge - share * whole) <= thick
    red, _, blue = found["inside"]
    assert blue > 160 > 80 > red
    assert all(abs(part - 120) < 12 for part in found["outside"])


@pytest.mark.parametrize(
    ("address", "page", "asked", "there"),
    [
        ("127.0.0.1", {}, None, True),
        ("0.0.0.0", {}, None, False),
        ("127.0.0.1", {"enabled": False}, None, False),
        ("0.0.0.0", {"enabled": True}, None, True),
        ("0.0.0.0", {"enabled": False}, True, True),
        ("127.0.0.1", {"enabled": True}, False, False),
    ],
)
def test_s2_9_the_page_is_on_loopback_unless_configured(
    address: str, page: dict[str, object], asked: bool | None, there: bool
) -> None:
    config = HostConfig({"version": "2.0", "extensions": {"page": page}})
    assert has_page(Path(), config, ServerOptions(address, page=asked)) is there
