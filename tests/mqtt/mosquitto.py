"""A real mosquitto for tests, on a free port of the loopback, and somebody else who speaks to it."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.conftest import absent

LONGEST = 20.0
KEPT = ("persistence true", "max_queued_messages 100000")
"""For a broker that has on disk what it had when it was last told to ``save``, or when it ended."""


def executable() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        absent("mosquitto is not installed; tests/run installs it")
    return str(found)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker; ``lines`` are added to its configuration."""

    def __init__(self, folder: Path, lines: Sequence[str] = (), *, anonymous: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self.port = free_port()
        head = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {str(anonymous).lower()}"]
        self._configuration = [*head, f"persistence_location {folder}/", *lines]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        file = self._folder / "mosquitto.conf"
        # as root it would become another user, who may not write here
        file.write_text("\n".join([*self._configuration, "user root", ""]))
        command = [executable(), "-c", str(file)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)
        ends = time.monotonic() + LONGEST
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
                return
            except OSError:
                assert time.monotonic() < ends, (self._folder / "log").read_text()
                assert self._process.poll() is None, (self._folder / "log").read_text()
                time.sleep(0.01)

    def configure(self, *lines: str) -> None:
        """Adds lines to the configuration, for the next start."""
        self._configuration += lines

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(how)
            process.wait(LONGEST)

    def kill(self) -> None:
        """As by ``kill -9``."""
        self.stop(signal.SIGKILL)

    def save(self) -> None:
        """Has it write what it has to disk, and waits for that."""
        assert self._process is not None
        file = self._folder / "mosquitto.db"
        file.unlink(missing_ok=True)
        self._process.send_signal(signal.SIGUSR1)
        until(file.exists)

    def freeze(self) -> None:
        """It answers nothing any more, and its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def broker_in(folder: Path, *lines: str, anonymous: bool = True) -> Iterator[Mosquitto]:
    """A broker that runs."""
    broker = Mosquitto(folder, lines, anonymous=anonymous)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


class Peer:
    """Somebody else at the broker, with a thread of its own."""

    def __init__(
        self, broker: Mosquitto, name: str = "peer", user: tuple[str, str] | None = None, *, clean: bool = False
    ) -> None:
        """``clean`` ends the session that the broker has for the name, and leaves none."""
        self.messages: list[mqtt.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._online = threading.Event()
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        client.max_inflight_messages_set(1000)
        client.reconnect_delay_set(1, 1)
        if user is not None:
            client.username_pw_set(*user)
        client.on_message = lambda *came: self.messages.append(came[2])
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.on_connect = lambda *_: self._online.set()
        session = Properties(PacketTypes.CONNECT)
        session.SessionExpiryInterval = 0 if clean else 3600
        client.connect("127.0.0.1", broker.port, clean_start=clean, properties=session)
        client.loop_start()
        self._client = client
        assert self._online.wait(LONGEST)

    def subscribe(self, *filters: str) -> None:
        for text in filters:
            self._subscribed.clear()
            self._client.subscribe(text, qos=1)
            assert self._subscribed.wait(LONGEST)

    def publish(self, topic: str, *bodies: str | bytes, retain: bool = False, **known: Any) -> None:
        """Returns when the broker has them all; ``known`` are properties by paho's names."""
        properties = Properties(PacketTypes.PUBLISH)
        for name, value in known.items():
            setattr(properties, name, value)
        sent = [self._client.publish(topic, body, 1, retain, properties) for body in bodies]
        for one in sent:
            one.wait_for_publish(LONGEST)
            assert one.is_published()

    @property
    def bodies(self) -> list[str]:
        return [message.payload.decode() for message in self.messages]

    @property
    def ids(self) -> list[str]:
        return [dict(message.properties.UserProperty)["message-id"] for message in self.messages]

    def once(self) -> list[str]:
        """The bodies in the order in which they came first, each once for its id."""
        first: Mapping[str, str] = dict(reversed(list(zip(self.ids, self.bodies, strict=True))))
        return [first[one] for one in dict.fromkeys(self.ids)]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def peer_of(broker: Mosquitto, *filters: str, name: str = "peer", **known: Any) -> Iterator[Peer]:
    peer = Peer(broker, name, **known)
    try:
        peer.subscribe(*filters)
        yield peer
    finally:
        peer.close()


def until(condition: Callable[[], Any], within: float = LONGEST) -> None:
    """Waits in a thread, or a test without a loop."""
    ends = time.monotonic() + within
    while not condition():
        assert time.monotonic() < ends, f"it did not come about within {within} s"
        time.sleep(0.01)
