"""Makes the picture of the page for the README, of a host that runs: ``edgefn start`` over the sample, for a minute.

python docs/make_page.py [URL]; it needs playwright and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZE = {"width": 1440, "height": 1010}


def main(url: str = "http://localhost:7071/") -> None:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport=SIZE)
        page.goto(url)
        page.wait_for_selector("canvas[data-frame]")
        page.wait_for_timeout(3000)
        page.screenshot(path=Path(__file__).with_name("page.png"))
        chromium.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
