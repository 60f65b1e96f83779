"""Desired properties over an app: what acts at once, what is refused, and with which words."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from edgefn.loader import App
from tests.conftest import AppIn
from tests.steered import HEAD, QUICK, Steered, steered, until
from tests.ticks import PLUGIN

STUB = json.dumps([[[0, "car", 0.9]]])
CODE = """
@app.video_frame_trigger("frame", "synthetic:?width=64&height=48", max_fps=20, real_time=True)
@app.inference_session("net", "stub:answers.json", task="classification")
@app.edge_hub_output("detections", "detections", interval="00:00:01")
async def detect(frame, net, detections: edgefn.Out[dict]):
    detections.set({"id": frame.id})

@app.direct_method_trigger("payload", "keep")
@app.generic_output_binding(arg_name="$return", type="keep")
async def keep(payload):
    return payload
"""


def app_with(app_of: AppIn, code: str = CODE, **settings: str) -> App:
    files = {"host.json": QUICK, "answers.json": STUB, "functions/ticks.py": PLUGIN, "functions/f.py": HEAD + code}
    return app_of(files, **settings)


def options(site: Steered, function: str, binding: str) -> Any:
    """The options of a binding as they are at present."""
    found = next(each.function for each in site.host.running if each.function.name == function)
    return next(b.options for b in found.bindings if b.name == binding)


# --- what acts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [{"maxFps": 7}, {"max_fps": 7}, {"frame": {"maxFps": 7}}, {"maxFps": "7"}], ids=lambda value: str(value)
)
async def test_an_option_of_the_trigger_is_changed_and_taken_back(app_of: AppIn, path: dict[str, Any]) -> None:
    async with steered(app_with(app_of)) as site:
        assert (await site.desire({"functions": {"detect": path}}))["status"] == "applied"
        assert options(site, "detect", "frame").max_fps == 7.0
        assert site.function("detect")["state"] == "running"
        await site.desire({"functions": {"detect": dict.fromkeys(path)}})
        assert options(site, "detect", "frame").max_fps == 20.0


async def test_options_of_bindings_go_by_their_names_and_return_is_that_of_the_value(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        wanted = {"DETECT": {"detections": {"interval": "00:00:05"}}, "keep": {"return": {"failOn": 7}}}
        answer = await site.desire({"functions": wanted})
        assert answer["inForce"] == {"functions": wanted}
        assert options(site, "detect", "detections").interval == 5.0
        assert options(site, "keep", "$return").fail_on == 7
        assert (await site.call("keep", 7))[0] == 500
        assert (await site.call("keep", 8))[0] == 200


async def test_a_setting_that_a_binding_names_is_resolved_anew(app_of: AppIn) -> None:
    async with steered(app_with(app_of, CODE.replace("max_fps=20", "max_fps='%RATE%'"), RATE="20")) as site:
        assert (await site.desire({"settings": {"RATE": 3}}))["status"] == "applied"
        assert options(site, "detect", "frame").max_fps == 3.0
        answer = await site.desire({"settings": {"RATE": "fast"}})
        assert answer["reason"].startswith("functions/f.py:6: option 'max_fps' of videoFrameTrigger: Input should be")
        assert answer["reason"].endswith("found 'fast' (from %RATE%)")
        assert options(site, "detect", "frame").max_fps == 3.0


async def test_a_function_is_disabled_and_enabled(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await site.desire({"functions": {"keep": {"disabled": True}}})
        assert site.function("keep")["state"] == "disabled"
        assert (await site.call("keep", 1))[0] == 503
        await site.desire({"functions": {"keep": {"disabled": False}}})
        assert (site.function("keep")["state"], await site.call("keep", 1)) == ("running", (200, 1))


async def test_a_function_that_the_app_disables_is_enabled_by_the_twin(app_of: AppIn) -> None:
    async with steered(app_with(app_of, AzureWebJobs_keep_Disabled="true")) as site:
        assert site.function("keep")["state"] == "disabled"
        await site.desire({"functions": {"keep": {"disabled": False}}})
        assert await site.call("keep", 1) == (200, 1)
        await site.desire({"functions": None})
        assert site.function("keep")["state"] == "disabled"


async def test_the_time_out_and_the_policy_of_retries_act_for_all_and_for_one(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        retry = {"strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:01"}
        wanted = {"functionTimeout": "00:00:07", "retry": retry, "functions": {"keep": {"functionTimeout": 9}}}
        assert (await site.desire(wanted))["status"] == "applied"
        by_name = {each.function.name: each.function for each in site.host.running}
        assert (by_name["detect"].timeout, by_name["keep"].timeout) == (7.0, 9.0)
        assert [function.retry.max_retry_count for function in by_name.values() if function.retry] == [2, 2]


async def test_what_is_the_apps_own_is_left_to_it_and_a_slip_is_told(app_of: AppIn) -> None:
    code = CODE.replace("max_fps=20", "max_fps='%RATE%'")
    async with steered(app_with(app_of, code, RATE="20")) as site:
        answer = await site.desire({"mode": "auto", "concurrency": 4, "fuctions": {}, "settings": {"RAET": 1}})
        assert answer["status"] == "applied"
        assert answer["warnings"].splitlines() == [
            "concurrency: is left to the app; that of host.json acts when the host starts",
            "fuctions: is left to the app; did you mean 'functions'?",
            "settings.RAET: no binding names it; did you mean 'RATE'?",
        ]


# --- what is refused ---------------------------------------------------------------------------------------------

REFUSED = [
    ({"functions": {"detekt": {}}}, "desired functions.detekt: there is no function 'detekt'; did you mean 'detect'?;"),
    ({"functions": {"detect": 5}}, "desired functions.detect: should be an object, found 5"),
    ({"functions": []}, "desired functions: should be an object, found []"),
    ({"settings": "x"}, "desired settings: should be an object, found 'x'"),
    (
        {"functions": {"detect": {"maxFsp": 5}}},
        "desired functions.detect.maxFsp: unknown option 'maxFsp' of videoFrameTrigger; did you mean 'maxFps'?; "
        "known options: source, policy,",
    ),
    (
        {"functions": {"detect": {"maxFps": -1}}},
        "desired functions.detect.maxFps: option 'maxFps' of videoFrameTrigger: Input should be greater than 0, found",
    ),
    (
        {"functions": {"detect": {"detection": {"interval": 5}}}},
        "desired functions.detect.detection: there is no binding 'detection'; did you mean 'detections'?; "
        "bindings: detections, net, frame",
    ),
    (
        {"functions": {"keep": {"retrun": {"failOn": 5}}}},
        "desired functions.keep.retrun: there is no binding 'retrun'; did you mean 'return'?; bindings: return, ",
    ),
    (
        {"functions": {"detect": {"detections": {"interval": "soon"}}}},
        "desired functions.detect.detections.interval: option 'interval' of edgeHub: should be seconds or HH:MM:SS",
    ),
    (
        {"functions": {"detect": {"net": {"task": "detecting"}}}},
        "functions/f.py:7: inferenceSession 'net' of function 'detect': option 'task' is 'detecting'; did you mean",
    ),
    (
        {"functions": {"detect": {"net": {"type": "x"}}}},
        "desired functions.detect.net.type: 'type' is no option; known options: model, kind, task",
    ),
    (
        {"functions": {"detect": {"disabled": "yes"}}},
        "desired functions.detect.disabled: should be true or false, found 'yes'",
    ),
    (
        {"functions": {"detect": {"functionTimeout": "soon"}}},
        "desired functions.detect.functionTimeout should be HH:MM:SS, or -1 for no limit; found 'soon'",
    ),
    ({"functionTimeout": 0}, "desired functionTimeout should be at least 00:00:01, or -1 for no limit; found 0"),
    (
        {"functions": {"detect": {"retry": {"strategy": "often"}}}},
        "desired functions.detect.retry: retry: there is no strategy 'often'",
    ),
    ({"retry": 5}, "desired retry: should be an object, found 5"),
    (
        {"extensions": {"edgeHub": {}}},
        "desired extensions: acts when the host starts; change it in host.json, and restart the host",
    ),
    (
        {"functions": {"keep": {"methodName": "other"}}},
        "desired functions.keep.methodName: option 'methodName' of directMethodTrigger does not change while the host "
        "runs; change it in the app, and restart the host",
    ),
]


@pytest.mark.parametrize(("patch", "said"), REFUSED, ids=[said.partition(":")[0] for _, said in REFUSED])
async def test_a_wrong_patch_is_refused_with_its_place(app_of: AppIn, patch: dict[str, Any], said: str) -> None:
    async with steered(app_with(app_of)) as site:
        answer = await site.desire({**patch, "mode": "auto"})
        assert answer["status"] == "refused"
        assert answer["reason"].startswith(said)
        assert "inForce" not in answer


async def test_everything_that_is_wrong_is_said_and_nothing_of_the_patch_acts(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await site.desire({"functions": {"detect": {"maxFps": 5}}})
        bad = {"functions": {"detect": {"maxFps": 9, "policy": "best", "everyNth": 0}, "nobody": {}}}
        answer = await site.desire(bad)
        assert len(answer["reason"].splitlines()) == 3
        assert answer["inForce"] == {"functions": {"detect": {"maxFps": 5}}}
        assert options(site, "detect", "frame").max_fps == 5.0
        good = await site.desire({"functions": {"detect": {"policy": None, "everyNth": None}, "nobody": None}})
        assert (good["status"], options(site, "detect", "frame").max_fps) == ("applied", 9.0)


async def test_a_setting_that_would_change_what_is_fixed_is_refused(app_of: AppIn) -> None:
    code = "@app.direct_method_trigger('p', '%METHOD%')\ndef f(p): ..."
    async with steered(app_with(app_of, code, METHOD="one")) as site:
        answer = await site.desire({"settings": {"METHOD": "two"}})
        assert answer["reason"].startswith("desired settings.METHOD: functions/f.py:5: option 'methodName' of direct")
        assert (await site.call("one"))[0] == 200


async def test_an_http_route_does_not_change_while_the_host_runs(app_of: AppIn) -> None:
    code = "@app.route('hello')\ndef f(req): return 'x'"
    async with steered(app_with(app_of, code)) as site:
        answer = await site.desire({"functions": {"f": {"route": "other"}}})
        assert "option 'route' of httpTrigger does not change while the host runs" in answer["reason"]
        kind = site.host.app.kinds.triggers["httptrigger"]
        assert [route.path for route in kind.routes] == ["hello"]  # type: ignore[attr-defined]


async def test_where_the_new_one_can_not_be_opened_the_old_one_goes_on(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        wanted = {"detect": {"net": {"model": "stub:gone.json"}}, "keep": {"return": {"failOn": 7}}}
        answer = await site.desire({"functions": wanted})
        assert (answer["status"], "gone.json" in answer["reason"]) == ("refused", True)
        assert options(site, "keep", "$return").fail_on == -1
        before = site.function("detect")["invocations"]
        await until(lambda: site.function("detect")["invocations"] > before)
        assert site.function("detect")["errors"] == []


async def test_a_function_in_error_for_another_reason_stays_so_and_costs_the_others_nothing(app_of: AppIn) -> None:
    code = CODE.replace("stub:answers.json", "stub:gone.json").replace("max_fps=20", "max_fps='%RATE%'")
    async with steered(app_with(app_of, code)) as site:
        assert site.function("detect")["state"] == "error"
        assert (await site.desire({"functions": {"keep": {"return": {"failOn": 7}}}}))["status"] == "applied"
        assert "gone.json" in (await site.desire({"settings": {"RATE": "7"}}))["reason"]


# --- the last good ones ------------------------------------------------------------------------------------------


async def test_a_start_without_the_hub_has_the_last_good_properties(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await site.desire({"functions": {"detect": {"maxFps": 5}, "keep": {"disabled": True}}})
        await site.desire({"functions": {"detect": {"maxFps": "bad"}}})
    async with steered(app_with(app_of), cable=False) as site:
        assert options(site, "detect", "frame").max_fps == 5.0
        assert site.function("keep")["state"] == "disabled"
        site.hub.plug()
        answer = await site.answer(2)
        assert answer["status"] == "refused"
        assert answer["inForce"] == {"functions": {"detect": {"maxFps": 5}, "keep": {"disabled": True}}}


async def test_last_good_properties_that_do_not_fit_the_app_any_more_are_left_out(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    async with steered(app_with(app_of)) as site:
        await site.desire({"functions": {"keep": {"disabled": True}}})
    code = CODE.replace("keep(payload)", "kept(payload)")
    async with steered(app_with(app_of, code), cable=False) as site:
        assert site.function("kept")["state"] == "running"
        assert "can not be used any more: desired functions.keep: there is no function 'keep'" in caplog.text
        site.hub.plug()
        await until(lambda: site.reported["desired"]["status"] == "refused")


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', '{"version": "x", "properties": {}}', "\xff"])
async def test_a_damaged_file_is_said_and_the_host_starts(
    app_of: AppIn, tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    (tmp_path / ".edgefn").mkdir()
    (tmp_path / ".edgefn" / "desired.json").write_bytes(text.encode("latin-1"))
    async with steered(app_with(app_of), cable=False) as site:
        assert site.function("keep")["state"] == "running"
    assert "can not be used" in caplog.text
    assert "Traceback" not in caplog.text


async def test_many_changes_at_once_end_in_the_last_one(app_of: AppIn) -> None:
    async with steered(app_with(app_of)) as site:
        await asyncio.gather(
            *(site.hub.set_desired({"functions": {"detect": {"maxFps": number}}}) for number in range(1, 20))
        )
        await site.answer(19)
        assert options(site, "detect", "frame").max_fps == 19.0
