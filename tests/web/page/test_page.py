"""The page in a real browser: what it shows as it comes, what its buttons do, and that text stays text."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

from edgefn.contracts import EdgeMessage, Outgoing
from edgefn.errors import NotConnected
from edgefn.logs import invocations_in_log_lines
from tests.cli.command import ENDLESS, LIVE, app_in, started
from tests.spool.ports import spool_in
from tests.spool.test_lanes import ScriptedBroker
from tests.web.conftest import Serve, Site, until
from tests.web.page.conftest import Browser

EVIL = "<img src=x onerror=window.hit=1><script>window.hit=1</script>"
HEAD = "import edgefn, logging\napp = edgefn.FunctionApp()\n"
WORKS = HEAD + (
    "BROKEN = True\n"
    "@app.edge_hub_trigger('message', 'in')\n"
    "@app.edge_hub_output('out', 'done', properties={'kind': 'test'})\n"
    "def works(message: str, out: edgefn.Out[str]):\n"
    "    logging.getLogger(__name__).warning('looks at %s', message)\n"
    "    if BROKEN:\n"
    "        raise ValueError('no: ' + message)\n"
    "    out.set('did ' + message)\n"
)


async def arrives(site: Site, body: str) -> None:
    """Delivers a message to the input of the app, as its hub does."""
    await site.host.operation.sink.on_input(EdgeMessage(body.encode(), input_name="in", message_id=body[:8]))


async def test_functions_and_errors_are_shown_as_they_come_and_go(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await tab.sees("#functions tr", "works")
        await tab.sees("#functions td .state", "running")
        site.host.app.errors.append("functions/f.py:3: SyntaxError: '(' was never closed")
        await tab.sees("#errors li", "functions/f.py:3: SyntaxError: '(' was never closed")
        site.host.app.errors.clear()
        await tab.misses("#errors")
        assert tab.complaints == []


async def test_a_broken_save_under_a_running_host_appears_and_disappears_when_it_is_mended(
    browser: Browser, tmp_path: Path
) -> None:
    app = app_in(tmp_path, ENDLESS)
    with started("start", "--max-seconds", "100", cwd=app) as host:
        port = re.search(r"Page: http://localhost:(\d+)/", host.log)
        assert port
        async with browser.on(int(port[1])) as tab:
            await tab.sees("#functions tr", "count")
            for broken, reason in (
                ("return (frame.id", "SyntaxError: '(' was never closed"),
                ("return 1\nno", "NameError"),
            ):
                (app / "functions/count.py").write_text(LIVE.replace("return frame.id", broken))
                error = await tab.sees("#errors li", reason)
                assert re.match(r"functions/count\.py:\d: ", await error.inner_text())
                assert broken.splitlines()[-1] in await error.inner_text()
                await tab.sees("#functions td .state", "running")
                (app / "functions/count.py").write_text(LIVE)
                await tab.misses("#errors")
            assert tab.complaints == []


async def test_a_dead_letter_is_looked_at_and_replayed_by_a_click(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await arrives(site, "apple")
        await tab.sees("#store li", "ValueError: no: apple")
        await (await tab.sees("#store button", "Look")).click()
        await tab.sees("#store pre", "raise ValueError")
        site.module()["BROKEN"] = False
        await (await tab.sees("#store button", "Replay")).click()
        await tab.misses("#store li")
        await tab.sees("#messages .body", "did apple")
        await tab.sees("#messages .soft", "kind=test")
        assert tab.complaints == []


async def test_a_dead_letter_is_discarded_by_two_clicks(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await arrives(site, "apple")
        await (await tab.sees("#store button", "Discard")).click()
        assert len(await site.host.app.services.spool.dead_letters()) == 1
        await (await tab.sees("#store button", "Sure?")).click()
        await tab.misses("#store li")
    assert await site.host.app.services.spool.dead_letters() == []


async def test_messages_that_nothing_takes_are_shown_until_something_does(
    serve: Serve, browser: Browser, tmp_path: Path
) -> None:
    broker = ScriptedBroker()
    broker.answer = lambda message: NotConnected("away")
    async with spool_in(tmp_path / ".edgefn") as before:
        before.serve("mqtt://away", broker)
        await before.outbox.put([Outgoing(EdgeMessage(b"hot", topic="alarms"), destination="mqtt://away")])
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await site.host.operation.sink.on_input(EdgeMessage(b"lost", input_name="ni"))
        await tab.sees("#store .unserved li", "1 message for mqtt://away, to which no function sends.")
        await tab.sees("#store .unserved li", "1 message for input ni dropped: no function listens to it.")
        site.host.app.services.spool.serve("mqtt://away", ScriptedBroker())
        await tab.misses("#store .unserved li", "mqtt://away")
        assert tab.complaints == []


async def test_the_cable_is_pulled_and_plugged(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS)
    site.module()["BROKEN"] = False
    async with browser.at(site) as tab:
        await (await tab.sees("button", "Pull the cable")).click()
        await tab.sees("#host", "the cable was pulled")
        await arrives(site, "apple")
        await tab.sees("#store .figures div:has-text('Outbox') dd", "1")
        await (await tab.sees("button", "Plug the cable in")).click()
        await tab.sees("#host", "hub local online")
        await tab.sees("#messages .body", "did apple")
        assert tab.complaints == []


async def test_desired_properties_are_edited_and_a_wrong_one_is_refused_with_the_reason(
    serve: Serve, browser: Browser
) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        text = tab.page.locator("#twin textarea")

        async def saves(written: str) -> None:
            if not await text.is_visible():
                await (await tab.sees("#twin button", "Edit")).click()
            await text.fill(written)
            await tab.page.locator("#twin button.first").click()

        await saves("{no")
        await tab.sees("#twin .fault", "JSON")
        await saves(json.dumps({"functions": {"works": {"maxConcurrency": 0}}}))
        await tab.sees("#twin .verdict.bad", "version 1 is refused")
        await saves(json.dumps({"functions": {"works": {"maxConcurrency": 2}}}))
        await tab.sees("#twin .verdict", "version 2 is in force")
        await tab.sees("#desired", '"maxConcurrency": 2')
        await tab.sees("#reported", '"status": "applied"')


async def test_an_invocation_is_opened_with_its_log_lines_and_its_traceback(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        with invocations_in_log_lines():
            await arrives(site, "apple")
            await tab.sees("#store li")
        await (await tab.sees("#invocations button.row", "failed")).click()
        await tab.sees("#invocations pre", "looks at apple")
        await tab.sees("#invocations pre", "raise ValueError('no: ' + message)")
        await tab.page.mouse.move(0, 0)
        await (await tab.sees("#twin-title")).click()
        for number in range(30):
            await arrives(site, f"pear {number}")
        await tab.sees("#functions td", "31")
        await tab.sees("#invocations pre", "looks at apple")


async def test_text_of_the_host_is_never_html(serve: Serve, browser: Browser, drawn: Any) -> None:
    drawn("p", 320, 240, [(0.2, 0.2, 0.8, 0.8)])
    answers = json.dumps([[{"index": 1, "name": EVIL, "score": 0.5, "box": [0.2, 0.2, 0.8, 0.8]}]])
    video = (
        "@app.video_frame_trigger('frame', 'p', on_end='loop', real_time=True, capture_fps=8)\n"
        "@app.inference_session('net', 'stub:a.json', task='detection')\n"
        "def sees(frame: edgefn.VideoFrame, net: edgefn.DetectionSession):\n    net.infer(frame)\n"
    )
    site = await serve({"a.json": answers, "function_app.py": WORKS + video})
    site.host.app.errors.append(EVIL)
    site.host.running[0].function.name = EVIL
    async with browser.at(site) as tab:
        await arrives(site, EVIL)
        await tab.sees("#errors li", EVIL)
        await tab.sees("#functions .name", EVIL)
        await tab.sees("#store .fault", EVIL)
        await tab.holds("document.querySelector('canvas')?.getAttribute('aria-label').includes('onerror')")
        site.module()["BROKEN"] = False
        await (await tab.sees("#store button", "Replay")).click()
        await tab.sees("#messages .body", EVIL)
        assert await tab.page.evaluate("[window.hit, document.querySelectorAll('main img, main script').length]") == [
            None,
            0,
        ]
        assert tab.complaints == []


async def test_a_host_with_keys_asks_for_one_and_only_the_masters_may_act(serve: Serve, browser: Browser) -> None:
    site = await serve(WORKS, enable_auth=True)
    host, master = (key["value"] for key in reversed(site.web.keys.listed("keys") or []))
    for key, may_act in ((host, False), (master, True)):
        async with browser.at(site) as tab:
            await (await tab.sees("#key input")).fill("wrong")
            await tab.page.keyboard.press("Enter")
            await tab.sees("#key .fault", "does not open")
            await tab.page.fill("#key input", key)
            await tab.page.keyboard.press("Enter")
            await tab.sees("#functions tr", "works")
            assert await tab.page.is_visible("#cable") is may_act
            assert [text for text in tab.complaints if "401" not in text] == []


async def test_the_host_leaves_at_once_while_somebody_looks_and_the_page_says_that_it_is_gone(
    serve: Serve, browser: Browser
) -> None:
    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await tab.sees("#functions tr", "works")
        began = time.monotonic()
        await site.host.stop()
        await site.web.stop()
        assert time.monotonic() - began < 3
        await tab.sees("#link", "no connection")


async def test_a_page_that_is_closed_leaves_nothing_behind(serve: Serve, browser: Browser) -> None:
    import asyncio

    def tasks() -> set[str]:
        return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("page")}

    site = await serve(WORKS)
    async with browser.at(site) as tab:
        await tab.sees("#functions tr", "works")
        assert "page bulletin" in tasks()

    async def gone() -> bool:
        return tasks() == {"page history"}

    await until(gone)
