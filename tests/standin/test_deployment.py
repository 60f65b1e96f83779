"""A hub that runs with a deployment manifest: where messages go, in which order, and how long they wait."""

from __future__ import annotations

import time
from pathlib import Path

from tests.standin.hubs import HubProcess, running_hub, wait_until
from tests.standin.manifests import TO_LOG, manifest
from tests.standin.mqtt import Module, module

CAM = "FROM /messages/modules/cam/outputs"


def received(client: Module, count: int) -> list[str]:
    return [client.next().payload.decode() for _ in range(count)]


def upstream(hub: HubProcess) -> list[str]:
    return [found.text for found in hub.control.upstream()]


def test_routes_carry_outputs_to_inputs_and_upstream(tmp_path: Path) -> None:
    routes = {
        "toLog": f"{CAM}/detections WHERE as_number(score) > 0.5 {TO_LOG}",
        "alarms": f"{CAM}/alarms INTO $upstream",
    }
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub:
        with module(hub, "log") as log, module(hub, "cam") as cam:
            log.subscribe()
            cam.publish("detections", "low", "score=0.1")
            cam.publish("detections", "high", "score=0.9&%24.mid=m1&%24.cid=c1")
            cam.publish("Alarms", "fire")
            came = log.next()
        assert upstream(hub) == ["fire"]
        assert came.payload == b"high"
        assert came.topic.startswith("devices/edge/modules/log/inputs/in/")
        pairs = set(came.topic.split("/")[6].split("&"))
        assert pairs == {"%24.mid=m1", "%24.cid=c1", "%24.cdid=edge", "%24.cmid=cam", "score=0.9"}
        assert hub.counter("dropped.no_route") == 1


def test_a_message_that_matches_several_sinks_goes_to_each_once(tmp_path: Path) -> None:
    routes = {
        "one": f"{CAM}/a {TO_LOG}",
        "two": f"FROM /messages/* {TO_LOG}",
        "three": "FROM /messages/* INTO $upstream",
    }
    with running_hub(tmp_path, "--verbose", "-d", manifest(tmp_path, routes)) as hub, module(hub, "cam") as cam:
        cam.publish("a", "1")
        assert upstream(hub) == ["1"]
        told = hub.wait_for_line("/messages/modules/cam/outputs/a: 1 bytes -> ")
        assert told.endswith('BrokeredEndpoint("/modules/log/inputs/in") by one, $upstream by three')
        assert hub.client("log")["queued"] == 1


def test_urgent_messages_come_first_to_a_module_that_is_behind(tmp_path: Path) -> None:
    routes = {
        "plain": f"{CAM}/plain {TO_LOG}",
        "urgent": {"route": f"{CAM}/urgent {TO_LOG}", "priority": 0},
        "later": {"route": f"{CAM}/later {TO_LOG}", "priority": 5},
    }
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub:
        with module(hub, "cam") as cam:
            for output in ("plain", "later", "urgent", "plain", "later", "urgent"):
                cam.publish(output, output)
        with module(hub, "log") as log:
            log.subscribe()
            assert received(log, 6) == ["urgent", "urgent", "later", "later", "plain", "plain"]


def test_a_message_that_is_past_its_time_is_not_delivered_and_counted(tmp_path: Path) -> None:
    routes = {
        "short": {"route": f"{CAM}/short {TO_LOG}", "timeToLiveSecs": 1, "priority": 0},
        "long": f"{CAM}/long {TO_LOG}",
    }
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub:
        with module(hub, "cam") as cam:
            cam.publish("short", "short")
            cam.publish("long", "long")
        [(expires,)] = hub.sql("SELECT expires - time FROM queued WHERE priority = 0")
        assert round(expires, 3) == 1
        wait_until(lambda: hub.sql("SELECT COUNT(*) FROM queued WHERE expires < ?", time.time()) == [(1,)])
        with module(hub, "log") as log:
            log.subscribe()
            assert received(log, 1) == ["long"]
        assert hub.counter("dropped.ttl_expiry") == 1


def test_the_hubs_own_time_to_live_counts_where_the_route_has_none(tmp_path: Path) -> None:
    for declared, seconds in ((60, 60.0), (0, 7200.0), (-1, None)):
        path = manifest(tmp_path, {"r": f"{CAM}/a {TO_LOG}"}, time_to_live=declared)
        with running_hub(tmp_path / str(declared), "-d", path) as hub, module(hub, "cam") as cam:
            cam.publish("a", "1")
            assert hub.sql("SELECT ROUND(expires - time, 3) FROM queued") == [(seconds,)]


def test_a_module_that_nobody_knows_yet_finds_its_messages_when_it_comes(tmp_path: Path) -> None:
    routes = {"new": f'{CAM}/a INTO BrokeredEndpoint("/modules/newcomer/inputs/in")'}
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub:
        hub.wait_for_line('route "new" leads to the unknown module "newcomer"; there are cam, log')
        with module(hub, "cam") as cam:
            cam.publish("a", "1")
        hub.restart()
        with module(hub, "newcomer") as newcomer:
            newcomer.subscribe()
            assert received(newcomer, 1) == ["1"]


def test_desired_properties_of_the_manifest_are_the_modules(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"r": "FROM /* INTO $upstream"}, cam={"interval": 5})
    with running_hub(tmp_path, "-d", path) as hub:
        assert hub.control.twin("cam")["desired"] == {"interval": 5, "$version": 2}
        hub.control.set_twin("cam", {"mine": 1})
        hub.restart()
        assert hub.control.twin("cam")["desired"] == {"interval": 5, "$version": 4}
        hub.restart()
        assert hub.control.twin("cam")["desired"]["$version"] == 4


def test_an_output_that_no_route_takes_is_said_once_and_counted(tmp_path: Path) -> None:
    with running_hub(tmp_path, "-d", manifest(tmp_path, {"r": f"{CAM}/a INTO $upstream"})) as hub:
        with module(hub, "cam") as cam:
            for _ in range(3):
                cam.publish("b", "x")
        assert hub.log.count("/messages/modules/cam/outputs/b: no route takes its messages") == 1
        assert hub.counter("dropped.no_route") == 3


def test_a_condition_on_the_body_warns_of_messages_that_do_not_say_what_they_are(tmp_path: Path) -> None:
    routes = {"hot": f"{CAM}/t WHERE $body.t > 20 INTO $upstream"}
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub, module(hub, "cam") as cam:
        cam.publish("t", '{"t": 30}')
        hub.wait_for_line("route hot looks at $body, but its messages do not say contentType application/json")
        cam.publish("t", '{"t": 31}', "%24.ct=application%2Fjson&%24.ce=utf-8")
        cam.publish("t", '{"t": 10}', "%24.ct=application%2Fjson&%24.ce=utf-8")
        assert upstream(hub) == ['{"t": 31}']


def test_reported_properties_are_told_as_twin_changes_where_a_route_wants_them(tmp_path: Path) -> None:
    routes = {"twins": "FROM /twinChangeNotifications INTO $upstream"}
    with running_hub(tmp_path, "-d", manifest(tmp_path, routes)) as hub, module(hub, "cam") as cam:
        cam.publish_on("$iothub/twin/PATCH/properties/reported/?$rid=1", '{"a": 1}')
        [told] = hub.control.wait_for_upstream(1)
        assert (told.module, told.json(), told.content_type) == ("cam", {"a": 1}, "application/json")
