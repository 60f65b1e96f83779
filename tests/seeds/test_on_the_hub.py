"""Modules on a hub: rows S2.7 and SA.4, and two hosts that talk by routes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.faults.box import HostProcess, box
from tests.standin.hubs import HubProcess, wait_until

ALARM = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "input1")
    @app.edge_hub_output("$return", "alarms")
    def alarm(m: dict):
        best = max(m["predictions"], key=lambda tag: tag["probability"])
        if best["probability"] > 0.6:
            return {"n": m["n"], "tag": best["tagName"]}
        return None
"""


def predictions(number: int, score: float) -> str:
    return json.dumps({"n": number, "predictions": [{"tagName": "apple", "probability": score}]})


def test_s2_7_a_message_triggers_a_function_and_bad_json_becomes_a_dead_letter(tmp_path: Path) -> None:
    with box(tmp_path, {"functions/alarm.py": ALARM}) as there:
        there.hub.control.send(
            "box", "input1", predictions(1, 0.7), predictions(2, 0.5), "{no json", predictions(3, 0.61)
        )
        came = there.hub.control.wait_for_upstream(2, within=30)
        wait_until(lambda: there.host.spool()["inbox"]["messages"] == 0)
        letters = there.host.dead_letters()
    assert [message.json() for message in came] == [{"n": 1, "tag": "apple"}, {"n": 3, "tag": "apple"}]
    assert [(letter["function"], letter["attempts"]) for letter in letters] == [("alarm", 1)]
    assert "does not fit parameter 'm'" in letters[0]["reason"]


COUNT = """
    import edgefn
    app = edgefn.FunctionApp()

    SOURCE = "synthetic:?width=64&height=48&fps=100&frames=300"

    @app.video_frame_trigger("frame", SOURCE, real_time=True, policy="every")
    @app.edge_hub_output("$return", "frames")
    def count(frame):
        return {"n": frame.id}
"""
BOUND = 50


def test_sa_4_while_the_hub_is_away_messages_wait_in_order_up_to_a_bound_and_each_loss_is_counted(
    tmp_path: Path,
) -> None:
    host = {"version": "2.0", "extensions": {"spool": {"outbox": {"maxMessages": BOUND}}}}
    with box(tmp_path, {"functions/count.py": COUNT, "host.json": json.dumps(host)}, started=False) as there:
        there.hub.kill()
        there.host.start()
        there.host.wait_for("Function 'count' has ended")
        there.hub.start()
        arrived = wait_until(lambda: (rows := there.arrived()) and rows[-1][0] == 299 and rows)
        wait_until(lambda: there.host.spool()["outbox"]["messages"] == 0)
        kinds = {(message.content_type, message.system["contentEncoding"]) for message in there.hub.control.upstream()}
        log = there.host.log
    numbers = [number for number, _ in arrived]
    assert numbers == sorted(set(numbers))
    assert numbers[-BOUND + 1 :] == list(range(300 - BOUND + 1, 300))
    assert len({message_id for _, message_id in arrived}) == len(arrived) <= BOUND + 1
    assert kinds == {("application/json", "utf-8")}
    assert "The outbox is full: messages of output 'frames' are not kept" in log


DETECTOR = """
    import edgefn
    app = edgefn.FunctionApp()

    @app.edge_hub_trigger("m", "frames")
    @app.edge_hub_output("$return", "found")
    def detect(m: dict):
        return {"n": m["n"], "found": m["n"] % 2}
"""
TWO = {
    "modulesContent": {
        "$edgeAgent": {"properties.desired": {"modules": {"camera": {}, "detector": {}}}},
        "$edgeHub": {
            "properties.desired": {
                "schemaVersion": "1.1",
                "routes": {
                    "frames": "FROM /messages/modules/camera/outputs/frames "
                    'INTO BrokeredEndpoint("/modules/detector/inputs/frames")',
                    "found": {
                        "route": "FROM /messages/modules/detector/outputs/found WHERE $body.found = 1 INTO $upstream"
                    },
                },
                "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
            }
        },
    }
}


def test_two_modules_talk_by_the_routes_of_a_deployment(tmp_path: Path) -> None:
    manifest = tmp_path / "deployment.json"
    manifest.write_text(json.dumps(TWO))
    hub = HubProcess(tmp_path / "hub", "-d", str(manifest))
    hosts = []
    try:
        hub.start()
        hosts.append(HostProcess(tmp_path / "detector", hub, {"functions/detect.py": DETECTOR}, "detector"))
        hosts.append(HostProcess(tmp_path / "camera", hub, {"functions/count.py": COUNT}, "camera", port=8081))
        for host in hosts:
            host.start()
        came = hub.control.wait_for_upstream(150, within=60)
    finally:
        for host in hosts:
            host.close()
        hub.close()
    assert [message.json() for message in came] == [{"n": n, "found": 1} for n in range(1, 300, 2)]
    assert {message.module for message in came} == {"detector"}
