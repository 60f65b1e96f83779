"""Live pictures in a real browser: they move, the boxes lie where the results say, and they cost nothing unwatched."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edgefn.loader import load_app
from tests.web.conftest import Serve, Site, served, until
from tests.web.page.conftest import Browser
from tests.web.page.pictures import BOXES, DETECT, HEAD, answers, picture


def pictures_of(site: Site, function: str) -> float:
    """Pictures that were encoded for the page so far."""
    registry = site.host.app.services.metrics.registry
    return registry.get_sample_value("edgefn_page_pictures_total", {"function": function}) or 0.0


SAMPLE = Path(__file__).parents[3]
EDGES = """() => {
  const canvas = document.querySelector("canvas[data-frame]");
  const context = canvas.getContext("2d");
  const colour = ([left, top, right, bottom], down) => {
    const [x, y] = [left * canvas.width, (top + down * (bottom - top)) * canvas.height].map(Math.round);
    return [...context.getImageData(x, y, 1, 1).data].slice(0, 3);
  };
  return window.last.marks.map((mark) => [0.3, 0.5, 0.7, 0.9].map((down) => colour(mark.box, down)));
}"""
LISTEN = """document.addEventListener("picture", (event) => { window.last = event.detail; }, true)"""


async def test_over_the_sample_the_picture_moves_with_its_boxes(browser: Browser, tmp_path: Path) -> None:
    app = load_app(SAMPLE, environment={}, only=("detect",), state=tmp_path)
    async with served(app) as site, browser.at(site) as tab:
        await tab.page.evaluate(LISTEN)
        first = await picture(tab, "sample/street.mp4")
        await tab.holds(f"window.last && window.last.frame > {first + 10} && window.last.marks.length > 1")
        edges = await tab.page.evaluate(EDGES)
        hues = [(255, 201, 77), (92, 214, 255), (141, 240, 138)]
        lines = [any(near(point, hue) for hue in hues) for points in edges for point in points]
        assert sum(lines) >= 0.7 * len(lines)  # some edges are hidden by another box's label, or cut by the picture
        await tab.sees("#functions td .state", "running")
        assert tab.complaints == []


def near(one: list[int], other: tuple[int, int, int]) -> bool:
    return all(abs(a - b) < 30 for a, b in zip(one, other, strict=True))


async def test_the_picture_changes_and_nothing_is_encoded_when_nobody_looks(
    serve: Serve, browser: Browser, drawn: Any
) -> None:
    drawn("small", 320, 240, BOXES)
    site = await serve({"small.json": answers(BOXES), "function_app.py": HEAD + DETECT.format(name="small")})

    async def runs(count: int) -> None:
        async def holds() -> bool:
            return bool(site.function("small")["invocations"] >= count)

        await until(holds)

    await runs(5)
    assert (pictures_of(site, "small"), site.host.sights.lookers) == (0.0, {})
    async with browser.at(site) as tab:
        first = await picture(tab, "small")
        changed = "document.querySelector('canvas[data-frame]').dataset.frame !== '{}'"
        await tab.holds(changed.format(first))
        await (await tab.sees(".tabs button", "Pause")).click()
        await until(lambda: _nobody(site))
        await (await tab.sees(".tabs button", "Go on")).click()
        await tab.holds(changed.format(await picture(tab, "small")))
    await until(lambda: _nobody(site))
    encoded = pictures_of(site, "small")
    assert encoded >= 2
    await runs(site.function("small")["invocations"] + 5)
    assert pictures_of(site, "small") == encoded


async def _nobody(site: Site) -> bool:
    return not site.host.sights.lookers


async def test_a_function_draws_marks_of_its_own_also_from_its_thread(
    serve: Serve, browser: Browser, drawn: Any
) -> None:
    drawn("small", 320, 240, BOXES[:1])
    code = HEAD + (
        "@app.video_frame_trigger('frame', 'small', on_end='loop', real_time=True, capture_fps=8)\n"
        "def zone(frame: edgefn.VideoFrame):\n"
        "    edgefn.mark('zone', (0.5, 0.5, 0.9, 0.9), colour='#ff00ff')\n"
        "    edgefn.mark('wrong', 'box')\n"
    )
    site = await serve(code)
    async with browser.at(site) as tab:
        await picture(tab, "small")
        pixel = await tab.page.evaluate(
            "[...document.querySelector('canvas[data-frame]').getContext('2d').getImageData(160, 168, 1, 1).data]"
        )
        assert pixel[0] > 200 > 60 > pixel[1]
        await tab.holds("document.querySelector('canvas[data-frame]').getAttribute('aria-label').includes('zone')")


@pytest.mark.parametrize("width", [390, 1280])
async def test_a_source_that_ended_says_so_and_nothing_is_wider_than_the_window(
    serve: Serve, browser: Browser, drawn: Any, width: int
) -> None:
    drawn("small", 320, 240, BOXES[:1])
    code = HEAD + DETECT.format(name="small").replace("'loop'", "'stop'")
    site = await serve({"small.json": answers(BOXES[:1]), "function_app.py": code})
    async with browser.at(site, width=width, height=844) as tab:
        await tab.sees(".source .state", "ended")
        await tab.sees(".screen p", "ended")
        await asyncio.gather(*(tab.sees(f"#{part} h2") for part in ("functions", "charts", "store", "twin")))
        assert await tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.complaints == []
