"""Functions that hear of desired properties."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, Steered, steered, until


def app_with(app_of: AppIn, parameter: str = "p", more: str = "") -> Any:
    code = f"SEEN = []\n@app.twin_trigger('p'{more})\nasync def f({parameter}):\n    SEEN.append(p)\n"
    return app_of({"host.json": QUICK, "functions/f.py": HEAD + code})


async def seen(site: Steered, count: int) -> list[Any]:
    """What the function was given, as soon as it ran so often."""
    await until(lambda: site.function("f")["invocations"] == count)
    return list(site.module().SEEN)


async def test_the_first_event_is_all_desired_properties_and_the_next_ones_are_changes(app_of: AppIn) -> None:
    app = app_with(app_of)
    await app.services.hub.set_desired({"zoom": {"level": 2, "step": 1}, "mode": "auto"})
    async with steered(app) as site:
        assert await seen(site, 1) == [{"zoom": {"level": 2, "step": 1}, "mode": "auto"}]
        await site.desire({"zoom": {"level": 3}, "mode": None})
        assert (await seen(site, 2))[1] == {"zoom": {"level": 3}, "mode": None}


async def test_a_twin_without_desired_properties_is_told_too(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        assert await seen(site, 1) == [{}]


async def test_without_a_hub_the_function_has_what_was_in_force_last(app_of: AppIn) -> None:
    app = app_with(app_of)
    await app.services.hub.set_desired({"mode": "auto"})
    async with steered(app) as site:
        await site.answer(1)
    async with steered(app_with(app_of), cable=False) as site:
        assert await seen(site, 1) == [{"mode": "auto"}]
        await site.hub.set_desired({"mode": "off", "zoom": 1})
        site.hub.plug()
        assert (await seen(site, 2))[1] == {"mode": "off", "zoom": 1}


async def test_changes_that_are_refused_are_none(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await seen(site, 1)
        answer = await site.desire({"mode": "auto", "functions": {"nobody": {}}})
        assert answer["status"] == "refused"
        await site.desire({"functions": None})
        assert (await seen(site, 2))[1] == {"mode": "auto"}


@pytest.mark.parametrize(
    ("patches", "given"),
    [
        ([({"other": 1}, 1), ({"camera": {"zoom": 3}}, 2)], [2, 3]),
        ([({"camera": {"zoom": None}}, 2)], [2, None]),
        ([({"camera": None}, 2), ({"camera": {"zoom": {"x": 1}}}, 3)], [2, None, {"x": 1}]),
    ],
)
async def test_a_function_may_listen_to_one_property(app_of: AppIn, patches: list[Any], given: list[Any]) -> None:
    app = app_with(app_of, more=", property='camera.zoom'")
    await app.services.hub.set_desired({"camera": {"zoom": 2}, "other": 0})
    async with steered(app) as site:
        for patch, count in [({}, 1), *patches]:
            await site.desire(patch)
            await seen(site, count)
        assert given == site.module().SEEN


async def test_the_value_becomes_the_annotated_type(app_of: AppIn) -> None:
    app = app_with(app_of, "p: list[int] | None", ", property='zones'")
    await app.services.hub.set_desired({"zones": ["1", 2]})
    async with steered(app) as site:
        assert await seen(site, 1) == [[1, 2]]
        await site.desire({"zones": ["x"]})
        await until(lambda: site.function("f")["failed"] == 1)
        await site.desire({"zones": None})
        assert await seen(site, 3) == [[1, 2], None]


async def test_what_the_function_does_with_the_properties_stays_with_it(app_of: AppIn) -> None:
    code = "@app.twin_trigger('p')\nasync def f(p):\n    p.clear()\n"
    app = app_of({"host.json": QUICK, "functions/f.py": HEAD + code})
    await app.services.hub.set_desired({"mode": {"a": 1}})
    async with steered(app) as site:
        await until(lambda: site.function("f")["invocations"] == 1)
        assert site.host.app.services.desired.document == {"mode": {"a": 1}}


@pytest.mark.parametrize("path", [".a", "a..b", "a.$version"])
def test_a_property_that_is_no_path_is_refused(app_of: AppIn, path: str) -> None:
    (function,) = app_with(app_of, more=f", property='{path}'").functions
    assert f"property '{path}' is no path; names with dots between them" in function.errors[0]
