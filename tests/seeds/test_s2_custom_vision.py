"""S2.1, S2.2, S2.11: the template that answers as a container of Custom Vision does, over the real model."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import httpx
import numpy as np
import pytest

from edgefn.cli.new import New, run_new
from edgefn.contracts import Box, Detection, PixelBox
from edgefn.custom_vision import LIMIT, prediction
from edgefn.fetching import Fetching, NotFetched, is_public
from edgefn.loader import load_app
from tests.end_to_end.apps import FRUITS
from tests.end_to_end.conftest import Play
from tests.templates import empty_app
from tests.web.conftest import served

TAGS = ["Apple", "Banana", "Lemon", "Orange"]
ORANGE = "images/fruits/orange/IMG_20200229_165220.jpg"


@asynccontextmanager
async def container(folder: Path, data: Path, **settings: str) -> AsyncIterator[httpx.AsyncClient]:
    """The template over the fruits, at Custom Vision's own addresses."""
    app = empty_app(folder / "app")
    assert run_new(New("custom-vision-http", "image", ("--resize", "custom-vision"), app)) == 0
    host = json.loads((app / "host.json").read_text())
    host["extensions"]["http"] = {"routePrefix": ""}
    (app / "host.json").write_text(json.dumps(host))
    model = FRUITS.replace("%DATA%", str(data))
    async with served(load_app(app, environment={}, given={"CUSTOM_VISION_MODEL": model, **settings})) as site:
        yield site.client


@pytest.mark.parametrize(
    "address",
    ["/image", "/image/nostore", "/fruits/image", "/fruits/image/nostore"]
    + [f"/fruits/{task}/iterations/third/image{end}" for task in ("classify", "detect") for end in ("", "/nostore")],
)
async def test_s2_1_each_address_of_the_contract_answers_field_for_field(
    tmp_path: Path, test_data: Path, address: str
) -> None:
    picture = (test_data / ORANGE).read_bytes()
    async with container(tmp_path, test_data) as client:
        raw = await client.post(address, content=picture, headers={"content-type": "application/octet-stream"})
        form = await client.post(address, files={"imageData": ("a.jpg", picture, "image/jpeg")})
    for answer in (raw, form):
        document = answer.json()
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert list(document) == ["id", "project", "iteration", "created", "predictions"]
        assert (UUID(document["id"]).version, datetime.fromisoformat(document["created"]).tzname()) == (4, "UTC")
        assert document["project"] == ("fruits" if "fruits" in address else "")
        assert document["iteration"] == ("third" if "third" in address else "")
        assert sorted(each["tagName"] for each in document["predictions"]) == TAGS
        for each in document["predictions"]:
            assert list(each) == ["probability", "tagId", "tagName", "boundingBox"]
            assert UUID(each["tagId"])
            assert each["boundingBox"] is None
        assert document["predictions"][0]["tagName"] == "Orange"
    assert raw.json()["predictions"] == form.json()["predictions"]


def test_s2_1_a_detection_has_its_box_in_shares_of_the_picture() -> None:
    found = Detection(1, "car", 0.9, Box(0.1, 0.2, 0.5, 0.6), PixelBox(64, 72, 320, 216))
    (each,) = prediction([found])["predictions"]
    assert each["boundingBox"] == {"left": 0.1, "top": 0.2, "width": 0.4, "height": 0.4}


HUGE = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (30000).to_bytes(4, "big") * 2,
    b"BM" + bytes(16) + (30000).to_bytes(4, "little") * 2,
    b"GIF89a" + b"\xff" * 4,
    b"RIFF....WEBPVP8L",
    b"II*\0",
)
"""Pictures of gigabytes, and of forms that Custom Vision does not know, of which they might be."""


async def test_s2_1_what_is_no_picture_is_too_large_or_asked_otherwise_is_refused_in_json(
    tmp_path: Path, test_data: Path
) -> None:
    noise = cv2.imencode(".png", np.random.default_rng(1).integers(0, 255, (1200, 1200, 3), np.uint8))[1].tobytes()
    assert len(noise) > LIMIT
    async with container(tmp_path, test_data) as client:
        refused = [
            (413, await client.post("/image", content=noise)),
            (413, await client.post("/image", files={"imageData": noise})),
            (400, await client.post("/image", content=b"no picture")),
            (400, await client.post("/image")),
            (400, await client.post("/image", files={"other": b"x"})),
            (405, await client.get("/image")),
            (405, await client.put("/fruits/image", content=b"x")),
            (404, await client.post("/url", json={"url": "http://127.0.0.1/a.jpg"})),
            *[(400, await client.post("/image", content=head + bytes(99))) for head in HUGE],
        ]
        for status, answer in refused:
            assert answer.status_code == status
            assert set(answer.json()) == {"code", "message"}
        assert refused[5][1].headers["allow"] == "POST"
        assert (await client.get("/")).status_code == 200
        assert (await client.post("/fruits/other/image/x")).status_code == 404


# --- S2.2 --------------------------------------------------------------------------------------------------------

SCORE = f"""
@app.video_frame_trigger("frame", "%DATA%/images/fruits/%FRUIT%")
@app.inference_session("model", "{FRUITS}", resize="custom-vision", precision="f32", color_order="%ORDER%")
@app.edge_hub_output("$return", "scores")
async def score(frame, model: edgefn.ClassificationSession):
    return {{"item": frame.item, "scores": {{each.name: each.score for each in await model.infer_async(frame)}}}}
"""
Scores = Callable[[str], dict[str, dict[str, float]]]


@pytest.fixture(scope="module")
def scores(play: Play) -> Scores:
    """The scores of all fruits by the path of the picture, with one order of colours."""

    def of(order: str) -> dict[str, dict[str, float]]:
        found: dict[str, dict[str, float]] = {}
        for fruit in ("apple", "banana", "orange"):
            played = play({"functions/score.py": SCORE}, ORDER=order, FRUIT=fruit)
            found |= {f"images/fruits/{fruit}/{body['item']}": body["scores"] for body in played.bodies("scores")}
        return found

    return of


def are_golden(found: dict[str, dict[str, float]], golden: dict[str, Any]) -> bool:
    right = {name: figures["custom-vision-fruits"] for name, figures in golden["images"].items() if name in found}
    return len(right) == 27 and all(found[name] == pytest.approx(right[name], abs=1e-4) for name in right)


def test_s2_2_the_scores_of_the_fruits_are_those_of_custom_vision(scores: Scores, golden: dict[str, Any]) -> None:
    found = scores("bgr")
    assert are_golden(found, golden)
    best = {name: max(tags, key=lambda tag: tags[tag]) for name, tags in found.items()}
    assert sum(tag.lower() == name.split("/")[2] for name, tag in best.items()) == 23


def test_s2_2_the_other_order_of_colours_gives_other_scores(scores: Scores, golden: dict[str, Any]) -> None:
    assert not are_golden(scores("rgb"), golden)


# --- S2.11 -------------------------------------------------------------------------------------------------------


class Pictures(BaseHTTPRequestHandler):
    """Gives a picture, at once or never, or leads elsewhere."""

    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path == "/slow":
            with suppress(OSError):  # the client leaves
                while True:
                    self.wfile.write(b"x")
                    threading.Event().wait(0.01)
            return
        self.send_response(200 if self.path != "/missing" else 404)
        self.end_headers()
        with_more = 64 if self.path == "/large" else 1
        for _ in range(with_more):
            self.wfile.write(self.server.picture)  # type: ignore[attr-defined]

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def pictures(test_data: Path) -> Iterator[str]:
    """The address of a server of pictures on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        server.picture = (test_data / ORANGE).read_bytes()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()
        thread.join()


def here(*hosts: str) -> Fetching:
    """Fetches from this machine too, which nothing else may."""
    return Fetching(hosts, LIMIT, may_reach=lambda address: address.is_loopback)


def test_s2_11_a_picture_comes_from_an_allowed_host_also_by_a_redirect(pictures: str, test_data: Path) -> None:
    picture = (test_data / ORANGE).read_bytes()
    assert here("localhost").fetch(f"{pictures}/a.jpg") == picture
    assert here("localhost").fetch(f"{pictures}/Äpfel %C3%A4.jpg?x=ü y") == picture
    assert here("localhost").fetch(f"{pictures}/to//a.jpg?x=1") == picture
    assert here("*.0.0.1").fetch(f"{pictures}/a.jpg".replace("localhost", "127.0.0.1")) == picture


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/to/http://evil.example/", "nothing is fetched from 'evil.example'; hosts: localhost"),
        ("/to/file:///etc/passwd", "should be http or https"),
        ("/to/http://user:pass@localhost/", "without a user"),
        ("/to//to//to//to//to//a.jpg", "leads from one address to the next"),
        ("/missing", "answers 404"),
        ("/large", "holds more than 4194304 bytes"),
    ],
)
def test_s2_11_neither_a_redirect_nor_an_answer_leads_out_of_what_is_allowed(
    pictures: str, path: str, reason: str
) -> None:
    with pytest.raises(NotFetched, match=f"^url: .*{reason}"):
        here("localhost").fetch(pictures + path)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/",
        "http://127.0.0.1:8080/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[64:ff9b::a00:1]/",
        "http://169.254.169.254/metadata",
        "http://192.168.1.1/",
        "http://168.63.129.16/machine",
        "http://[::127.0.0.1]/",
        "http://[fec0::1]/",
        "http://[64:ff9b:1::a00:1]/",
    ],
)
def test_s2_11_private_addresses_are_refused_also_where_their_host_is_allowed(url: str) -> None:
    host = str(httpx.URL(url).host).rstrip(".")
    with pytest.raises(NotFetched, match="is in a private network"):
        Fetching([host], LIMIT).fetch(url)


def test_s2_11_a_name_is_asked_for_once_and_all_of_its_addresses_count(
    pictures: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = httpx.URL(pictures).port, []
    ask = socket.getaddrinfo
    answers = [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]]

    def resolve(host: str, *rest: Any, **more: Any) -> Any:
        if host != "rebinding.example":
            return ask(host, *rest, **more)
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in answers[len(asked) - 1]]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    url = f"http://rebinding.example:{port}/a.jpg"
    assert here("rebinding.example").fetch(url)[:2] == b"\xff\xd8"
    assert len(asked) == 1
    with pytest.raises(NotFetched, match="private network"):
        Fetching(["rebinding.example"], LIMIT).fetch(url)
    assert [is_public(ip_address(each)) for each in ("8.8.8.8", "10.1.2.3", "224.0.0.1", "::", "2002:a00:1::")] == [
        True,
        *[False] * 4,
    ]


def test_s2_11_an_answer_that_comes_byte_by_byte_is_given_up_in_time(pictures: str) -> None:
    with pytest.raises(NotFetched, match="can not be fetched: TimeoutError"):
        replace(here("localhost"), timeout=0.1).fetch(f"{pictures}/slow")


def test_s2_11_a_host_that_no_name_could_be_is_said() -> None:
    with pytest.raises(NotFetched, match="can not be fetched: UnicodeError"):
        here("*.example.com").fetch(f"http://{'a' * 64}.example.com/")


async def test_s2_11_url_is_off_by_default_and_names_the_hosts_when_on(
    tmp_path: Path, test_data: Path, pictures: str
) -> None:
    for number, (hosts, status, code, words) in enumerate(
        [
            ("", 404, "NotFound", "not fetched here"),
            ("camera.example", 400, "BadRequestImageUrl", "hosts: camera.example"),
            ("localhost", 400, "BadRequestImageUrl", "private network"),
        ]
    ):
        async with container(tmp_path / str(number), test_data, URL_HOSTS=hosts) as client:
            answer = await client.post("/fruits/url/nostore", json={"url": f"{pictures}/a.jpg"})
            assert (answer.status_code, answer.json()["code"]) == (status, code)
            assert words in answer.json()["message"]
            wrong = await client.post("/url", content=b"[1]")
            assert wrong.status_code == (404 if not hosts else 400)
