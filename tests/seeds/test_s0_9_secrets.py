"""S0.9: secrets that are planted wherever one can be, and searched for in all that leaves the host."""

from __future__ import annotations

import base64
import json
import shutil
import signal
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from edgefn.logs import FORMS
from tests.cli.command import edgefn, started

PLANTED = {
    "the key of a connection string": "cGxhbnRlZC1rZXk+MDE/Zm9yLWVkZ2Vmbi10ZXN0cw==",
    "a password": "pl4nted-p%ssword",
    "a token of a query": "pl4nted-query-token",
    "an API key": "pl4nted-api-key",
    "the password of a database": "pl4nted!database",
    "a signature": "cGxhbnRlZC1zaWduYXR1cmU=",
    "a bearer token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.cGxhbnRlZC1qd3Q",
    "a key in the code": "cGxhbnRlZC1rZXktaW4tdGhlLWNvZGU=",
    "a password in the code": "pl4nted-in-code",
    "a key that is no Python": "cGxhbnRlZC1icm9rZW4=",
    "a private key": "MIIplantedprivatekey",
    "the master key": "pl4nted-master-key-of-the-host",
    "a function's key": "pl4nted-key-of-a-function",
}
SETTINGS = {
    "CONNECTIONSTRING": f"HostName=127.0.0.1;DeviceId=cam;SharedAccessKey={PLANTED['the key of a connection string']}",
    "CAMERA": f"rtsp://admin:{quote(PLANTED['a password'])}@127.0.0.1:9/live?token={PLANTED['a token of a query']}",
    "API_KEY": PLANTED["an API key"],
    "MODEL_XML_PATH": f"https://a.blob.core.windows.net/m/net.xml?sv=2022&sig={quote(PLANTED['a signature'])}",
}
DATABASE = f"Server=db;Uid=u;Pwd={PLANTED['the password of a database']};"

TELLS = f"""
import base64, json, logging, pathlib, threading, urllib.parse, warnings
import azure.functions as func
app = func.FunctionApp()
log = logging.getLogger("mine")
SETTINGS = json.loads(pathlib.Path(__file__).parents[1].joinpath("local.settings.json").read_text())["Values"]

def connect(text):
    raise ConnectionError("no answer to " + text)

@app.route("tell", auth_level="function")
def tell(req):
    connection, api_key = SETTINGS["CONNECTIONSTRING"], SETTINGS["API_KEY"]
    key = connection.partition("SharedAccessKey=")[2]
    log.info("request %s %s", req.url, dict(req.headers))
    log.warning("keys: %s %s %s", key, urllib.parse.quote(key), base64.b64encode(key.encode()).decode())
    log.error(SETTINGS)
    log.info("%d", connection)
    log.info("-----BEGIN PRIVATE KEY-----\\n{PLANTED["a private key"]}\\n-----END PRIVATE KEY-----")
    warnings.warn("old: " + api_key)
    thread = threading.Thread(target=connect, args=(connection,))
    thread.start()
    thread.join()
    try:
        connect("HostName=h;SharedAccessKey={PLANTED["a key in the code"]}")
    except ConnectionError as error:
        raise ValueError(f"can not use {{connection}} and {{api_key}}") from error
"""
IN_ERROR = f"""
import edgefn
app = edgefn.FunctionApp()

@app.video_frame_trigger("frame", "%CAMERA%")
def camera(frame): ...

@app.video_frame_trigger("frame", "rtsp://admin:{PLANTED["a password in the code"]}@127.0.0.1:9/live")
def coded(frame): ...

@app.video_frame_trigger("frame", "synthetic:")
@app.inference_session("net", "%MODEL_XML_PATH%", kind="openvino")
def model(frame, net): ...

@app.video_frame_trigger("frame", "synthetic:", real_time="%API_KEY%")
def option(frame): ...

@app.video_frame_trigger("frame", "clips/%API_KEY%/%ConnectionStrings:db%.mp4", width="%CONNECTIONSTRING%")
def several(frame): ...
"""
BROKEN = f'connect("HostName=h;SharedAccessKey={PLANTED["a key that is no Python"]}") oops\n'
FUNCTIONS = ("tell", "camera", "coded", "model", "option", "several")


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app with secrets in settings, keys, code and errors."""
    root = tmp_path / "app"
    (root / "functions").mkdir(parents=True)
    for name, code in {"tells": TELLS, "in_error": IN_ERROR, "broken": BROKEN}.items():
        (root / f"functions/{name}.py").write_text(code)
    (root / "host.json").write_text('{"version": "2.0"}')
    document = {"IsEncrypted": False, "Values": SETTINGS, "ConnectionStrings": {"db": DATABASE}}
    (root / "local.settings.json").write_text(json.dumps(document))
    master, own = ({"name": "default", "value": PLANTED[name]} for name in ("the master key", "a function's key"))
    keys = {"host": {"masterKey": master, "functionKeys": [], "systemKeys": []}, "tell": {"keys": [own]}}
    (root / ".edgefn/secrets").mkdir(parents=True)
    for name, text in keys.items():
        (root / f".edgefn/secrets/{name}.json").write_text(json.dumps(text))
    return root


def asked(port: int) -> Iterator[tuple[str, str]]:
    """The answers of a host to whoever may ask it, but for those that list keys."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        bearer = {"authorization": f"Bearer {PLANTED['a bearer token']}"}
        told = client.get("/api/tell", params={"code": PLANTED["a function's key"]}, headers=bearer)
        assert told.status_code == 500
        yield "/api/tell", f"{told.headers}{told.text}"
        client.headers["x-functions-key"] = PLANTED["the master key"]
        paths = ["/metrics", "/health/live", "/", "/admin/host/status", "/admin/edgefn/status", "/admin/functions"]
        paths += [f"/admin/functions/{name}{more}" for name in FUNCTIONS for more in ("", "/status")]
        for path in paths:
            answer = client.get(path)
            assert answer.status_code == 200, path
            yield path, f"{answer.headers}{answer.text}"
        for name in FUNCTIONS:
            answer = client.post(f"/admin/functions/{name}", json={"input": SETTINGS["MODEL_XML_PATH"]})
            yield f"POST {name}", f"{answer.headers}{answer.text}"


def forms_of(secret: str) -> set[str]:
    """How a secret may stand in a text."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], encoded}


def found_in(texts: Mapping[str, str]) -> list[str]:
    """Which secrets stand where, and beside what."""
    return [
        f"{name} in {where}: {text[max(0, text.index(form) - 80) : text.index(form) + 80]}"
        for where, text in texts.items()
        for name, secret in PLANTED.items()
        for form in forms_of(secret)
        if form in text
    ]


def files(state: Path) -> Iterator[tuple[str, str]]:
    """What the host keeps, but for the keys, which belong there."""
    shutil.rmtree(state / "secrets")
    for path in state.rglob("*"):
        if path.is_file():
            yield str(path), path.read_bytes().decode("latin-1")


SAID = (
    "'authorization': 'Bearer ***'",
    "keys: *** *** ***",
    "HostName=127.0.0.1;DeviceId=cam;SharedAccessKey=***",
    "a log line can not be written: TypeError",
    "-----BEGIN PRIVATE KEY-----***",
    "ConnectionError: no answer to HostName=127.0.0.1;DeviceId=cam;SharedAccessKey=***",
    "ValueError: can not use HostName=127.0.0.1;DeviceId=cam;SharedAccessKey=*** and ***",
    "127.0.0.1:9/live?token=***: does not answer",
    "net.xml?sv=2022&sig=***",
    "functions/broken.py:1: SyntaxError",
)
"""What the log says in spite of that."""


@pytest.mark.parametrize("form", FORMS)
def test_s0_9_no_secret_is_in_what_a_host_writes_and_answers(app: Path, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--enable-auth", "--verbose", "--upstream", "--log-form", form, "--port", str(port))
    with started("start", *options, cwd=app) as running:
        texts = dict(asked(port))
        running.wait_for("does not answer")
        running.send(signal.SIGTERM)
        assert running.end() == 0
    texts |= {"the log": running.log, **dict(files(app / ".edgefn"))}
    assert found_in(texts) == []
    assert [text for text in SAID if text not in running.log] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",),
        ("list", "--json"),
        ("check",),
        ("check", "--json"),
        ("run", "tell", "--input", "x"),
        ("run", "model", "--input", "synthetic:"),
    ],
    ids=" ".join,
)
def test_s0_9_no_secret_is_in_what_the_other_commands_print(app: Path, arguments: tuple[str, ...]) -> None:
    ended = edgefn(*arguments, cwd=app)
    assert found_in({"stdout": ended.stdout, "stderr": ended.stderr}) == []
    assert "***" in ended.stdout + ended.stderr
