"""What a fault of a plugin costs: the one function that it is of, or nothing; never what waits for others."""

from __future__ import annotations

import asyncio

import pytest

from edgefn.contracts import EdgeMessage
from edgefn.host import Host
from tests.conftest import AppIn
from tests.steered import until
from tests.test_host import HEALTHY, KEEP, TICKS, run_until_end
from tests.test_plugins import SESSION_PLUGIN
from tests.ticks import HEAD, PLUGIN

ON_INPUT = "@app.edge_hub_trigger('m', 'in')\n@app.edge_hub_output('$return', 'out')\ndef f(m): return 1\n"
PATIENT = "import edgefn\n@edgefn.hookimpl\ndef {}(**given): raise LookupError('the plugin fell over')\n"


@pytest.mark.parametrize("in_flight", [1, 2])
async def test_a_listener_goes_on_where_what_it_waits_for_is_cancelled(
    app_of: AppIn, in_flight: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgefn.running.FIRST_PAUSE", 0.02)
    broken = PLUGIN.replace(
        "            self.next += 1\n",
        "            self.next += 1\n"
        "            if self.next in (5, 6):\n"
        "                gone = asyncio.get_running_loop().create_future()\n"
        "                gone.cancel()\n"
        "                await gone\n",
    )
    code = HEALTHY.replace("count=300", f"count=300, in_flight={in_flight}")
    status = await run_until_end(Host(app_of({"functions/ticks.py": broken, "functions/healthy.py": code})))
    assert status["functions"]["healthy"]["outputs"]["out"]["kept"] == [*range(4), *range(6, 300)]
    assert "cancelled" in status["functions"]["healthy"]["last_error"]


async def test_a_session_kind_that_can_not_be_closed_keeps_nothing_else_open(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    broken = SESSION_PLUGIN.replace(
        "    def close(self): ...\n\n@", "    def close(self): raise OSError('jammed')\n\n@"
    )
    assert "jammed" in broken
    host = Host(app_of({"functions/hash.py": broken, "functions/f.py": HEAD + ON_INPUT}))
    await host.start()
    await host.stop()
    assert host.state == "stopped"
    assert "Closing failed: OSError: jammed" in caplog.text
    again = Host(app_of({"functions/hash.py": broken, "functions/f.py": HEAD + ON_INPUT}))
    await again.start()  # which it could not, if the state folder were not free
    await again.stop()


async def test_a_message_runs_once_though_a_plugin_fails_on_the_end_of_each_invocation(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    host = Host(
        app_of(
            {
                "functions/patient.py": PATIENT.format("edgefn_invocation_ended"),
                "functions/f.py": HEAD + ON_INPUT,
            }
        )
    )
    await host.start()
    spool = host.app.services.spool
    for number in range(3):
        await spool.inbox.on_input(EdgeMessage(str(number).encode(), input_name="in"))
    async with asyncio.timeout(10):
        await spool.inbox.idle()
    status = host.status()["functions"]["f"]
    await host.stop()
    assert (status["state"], status["invocations"]) == ("running", 3)
    assert caplog.text.count("the plugin fell over") == 2, "the 1st and 2nd of three times are told"


async def test_a_plugin_that_fails_on_the_start_and_the_end_of_the_host_is_told_and_holds_up_neither(
    app_of: AppIn, caplog: pytest.LogCaptureFixture
) -> None:
    patient = PATIENT.format("edgefn_host_started") + PATIENT.format("edgefn_host_stopped").partition("\n")[2]
    host = Host(app_of({"functions/patient.py": patient, "functions/f.py": HEAD + ON_INPUT}))
    await host.start()
    await until(lambda: host.status()["functions"]["f"]["state"] == "running")
    await host.stop()
    assert host.state == "stopped"
    assert caplog.text.count("the plugin fell over") == 2


async def test_a_part_that_can_not_tell_how_it_is_leaves_the_status_of_all_others(app_of: AppIn) -> None:
    broken = PLUGIN.replace('        return {"kept": self.kept}', "        raise LookupError('who knows')")
    other = f"{HEAD}{TICKS.format(', endless=True')}{KEEP}async def f(tick, out): ...\n"
    host = Host(
        app_of(
            {
                "functions/ticks.py": broken,
                "functions/f.py": other,
                "functions/g.py": HEAD + ON_INPUT.replace(" f(", " g("),
            }
        )
    )
    await host.start()
    status = host.status()["functions"]
    await host.stop()
    assert status["f"]["outputs"] == {"out": {"fault": "its status can not be told: LookupError: who knows"}}
    assert status["f"]["trigger"]["ticks"] >= 0
    assert status["g"]["trigger"]["input"] == "in"


async def test_an_output_that_never_closes_does_not_hold_up_the_end_of_the_host(
    app_of: AppIn, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("edgefn.host.CLOSING", 0.05)
    broken = PLUGIN.replace(
        '        return {"kept": self.kept}\n    async def close(self): ...',
        '        return {"kept": self.kept}\n    async def close(self): await asyncio.Event().wait()',
    )
    code = f"{HEAD}{TICKS.format(', endless=True')}{KEEP}async def f(tick, out): ...\n"
    host = Host(app_of({"functions/ticks.py": broken, "functions/f.py": code}))
    await host.start()
    async with asyncio.timeout(20):
        await host.stop()
    assert "KeepOutput.close" in caplog.text
