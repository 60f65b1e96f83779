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
LISTEN = """document.addEventListener("picture", (event) => { window.last = event.detail; }, true)"""
EDGES = """() => {
  const canvas = document.querySelector("canvas[data-frame]"), { width, height } = canvas;
  const context = canvas.getContext("2d"), scale = width / canvas.clientWidth;
  const line = Math.max(2, 2 * scale), tall = 18 * scale, wide = 200 * scale;
  const boxes = window.last.marks.map(({ box: [left, top, right, bottom], index }) => (
    { index, left: left * width, top: top * height, right: right * width, bottom: bottom * height }));
  const lies = (x, y, box, more) =>
    x > box.left - more && x < box.right + more && y > box.top - more && y < box.bottom + more;
  const onLine = (x, y, box) => lies(x, y, box, line) && !lies(x, y, box, -line);
  const onLabel = (x, y, box) =>
    x > Math.min(box.left, width - wide) - line && x < box.left + wide && Math.abs(y - box.top) < tall;
  const points = (box) => [0.1, 0.3, 0.5, 0.7, 0.9].flatMap((share) => [
    [box.left, box.top + share * (box.bottom - box.top)],
    [box.right, box.top + share * (box.bottom - box.top)],
    [box.left + share * (box.right - box.left), box.bottom],
  ]).map((point) => point.map(Math.floor));
  return boxes.flatMap((box) => points(box)
    .filter(([x, y]) => x > 0 && y > 0 && x < width && y < height)
    .filter(([x, y]) => !boxes.some((other) => onLabel(x, y, other) || (other !== box && onLine(x, y, other))))
    .map(([x, y]) => [box.index, [...context.getImageData(x, y, 1, 1).data].slice(0, 3)]));
}"""
"""Points on the edges of all boxes that no label and no line of another box can cover, with their colours."""
HUES = [[255, 201, 77], [92, 214, 255], [141, 240, 138]]
"""Of cars, trucks and people."""


async def test_over_the_sample_the_picture_moves_with_its_boxes(browser: Browser, tmp_path: Path) -> None:
    app = load_app(SAMPLE, environment={}, only=("detect",), state=tmp_path)
    async with served(app) as site, browser.at(site) as tab:
        await tab.page.evaluate(LISTEN)
        first = await picture(tab, "sample/street.mp4")
        await tab.holds(f"window.last && window.last.frame > {first + 10}")
        open_edges = await tab.holds(f"(() => {{ const seen = ({EDGES})(); return seen.length >= 12 && seen; }})()")
        assert [colour for _, colour in open_edges] == [HUES[index] for index, _ in open_edges]
        await tab.sees("#functions td .state", "running")
        assert tab.complaints == []


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
