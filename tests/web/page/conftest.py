"""A real Chromium, and apps whose page it looks at."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ON_CI
from tests.web.conftest import Site

playwright = pytest.importorskip("playwright.async_api") if not ON_CI else __import__("playwright.async_api").async_api

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --force-color-profile=srgb"
)
LONGEST = 15_000
"""Milliseconds that a browser may take for anything."""


@dataclass(slots=True)
class Tab:
    """A page in the browser, and what it complained of."""

    page: Any
    complaints: list[str] = field(default_factory=list)

    async def sees(self, selector: str, text: str = "") -> Any:
        """The element, as soon as it can be seen with that text in it."""
        found = self.page.locator(selector).filter(has_text=text).first if text else self.page.locator(selector).first
        await found.wait_for(state="visible")
        return found

    async def misses(self, selector: str, text: str = "") -> None:
        """Returns when no such element can be seen."""
        found = self.page.locator(selector).filter(has_text=text) if text else self.page.locator(selector)
        await found.first.wait_for(state="hidden")

    async def holds(self, expression: str) -> Any:
        """What an expression of JavaScript gives, as soon as that is true."""
        async with asyncio.timeout(LONGEST / 1000):
            # playwright's own way to wait for it is against the policy of the page
            while not (found := await self.page.evaluate(expression)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found


@dataclass(slots=True)
class Browser:
    """A browser that opens pages of sites."""

    chromium: Any

    def at(self, site: Site, width: int = 1280, height: int = 900) -> AbstractAsyncContextManager[Tab]:
        """The page of a site, in a window of that size."""
        return self.on(site.web.port, width, height)

    @asynccontextmanager
    async def on(self, port: int, width: int = 1280, height: int = 900, **options: Any) -> AsyncIterator[Tab]:
        """The page of the host that serves on a port."""
        context = await self.chromium.new_context(viewport={"width": width, "height": height}, **options)
        context.set_default_timeout(LONGEST)
        tab = Tab(await context.new_page())
        tab.page.on("console", lambda message: _note(tab, message.type, message.text))
        tab.page.on("pageerror", lambda error: tab.complaints.append(f"error: {error}"))
        try:
            await tab.page.goto(f"http://127.0.0.1:{port}/")
            yield tab
        finally:
            await context.close()


def _note(tab: Tab, kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        tab.complaints.append(f"{kind}: {text}")


@pytest.fixture
async def browser(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Browser]:
    """A Chromium of its own; on CI its absence is a failure."""
    if CHROMIUM is None:
        text = "no Chromium on this machine: apt-get install chromium"
        pytest.fail(text) if ON_CI else pytest.skip(text)
    async with playwright.async_playwright() as driver:
        chromium = await driver.chromium.launch(
            executable_path=CHROMIUM, args=OPTIONS.split(), env={"HOME": str(tmp_path_factory.mktemp("home"))}
        )
        try:
            yield Browser(chromium)
        finally:
            await chromium.close()


@pytest.fixture
def drawn(tmp_path: Path) -> Any:
    """Makes a folder of plain pictures with one blue object each, at boxes of shares."""

    def draw(name: str, width: int, height: int, boxes: list[tuple[float, float, float, float]]) -> None:
        import cv2
        import numpy as np

        (tmp_path / name).mkdir()
        for number, (left, top, right, bottom) in enumerate(boxes):
            image = np.full((height, width, 3), 120, np.uint8)
            rows = slice(round(top * height), round(bottom * height))
            image[rows, round(left * width) : round(right * width)] = (200, 40, 20)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), image)

    return draw
